import type { Measurement } from "./scenario.ts";
import { formatTarget, judge, type Target, targets, type Verdict } from "./targets.ts";

type Bar = { readonly name: string; readonly label: string; readonly share: number; readonly verdict: Verdict };

const nameWidth = 400;
const scaleWidth = 320;
const labelWidth = 200;
const rowHeight = 26;
const topHeight = 64;
/** Where bars end, in what is allowed: longer ones are cut. */
const mostShare = 2;

/**
 * An SVG with a bar for each measurement that has a target: how much it takes of what it may. Whatever ends before the line
 * has met it. Drawn for a light page and for a dark one.
 */
export function drawChart(measurements: readonly Measurement[], subtitle: string): string {
  const bars = measurements.flatMap(toBar);
  const width = nameWidth + scaleWidth + labelWidth;
  const height = topHeight + bars.length * rowHeight + 12;
  const limit = nameWidth + scaleWidth / mostShare;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>What the benchmark measured, as a share of what the targets allow</title>
<style>
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600 } .quiet { fill: #656d76; font-size: 12px }
  .met { fill: #2da44e } .missed { fill: #cf222e } .aim { fill: #bf8700 }
  line { stroke: #656d76; stroke-dasharray: 3 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #8d96a0 } line { stroke: #8d96a0 }
    .met { fill: #3fb950 } .missed { fill: #f85149 } .aim { fill: #d29922 }
  }
</style>
<text class="title" x="12" y="22">What was measured, as a share of what the target allows</text>
<text class="quiet" x="12" y="42">${escapeText(subtitle)}</text>
<text class="quiet" x="${limit}" y="58" text-anchor="middle">target</text>
${bars.map(drawBar).join("\n")}
<line x1="${limit}" x2="${limit}" y1="${topHeight}" y2="${height - 8}"/>
</svg>
`;
}

function toBar({ name, value, unit }: Measurement): Bar[] {
  const target = targets[name];
  if (target === undefined) return [];
  const label = `${Math.round(value * 100) / 100} ${unit}`.trim();
  const verdict = judge(target, value);
  return [{ name, label: `${label}  (${formatTarget(target)})`, share: shareOf(target, value), verdict }];
}

/** 1 is the bound itself. Of nothing that is allowed, nothing is no share and anything too much. */
function shareOf({ most, least, aim }: Target, value: number): number {
  const bound = most ?? least ?? aim!;
  const share = most === undefined && least !== undefined ? bound / value : value / bound;
  return Number.isNaN(share) ? 0 : Math.min(mostShare, Math.max(0, share));
}

function drawBar({ name, label, share, verdict }: Bar, index: number): string {
  const y = topHeight + index * rowHeight;
  const color = verdict === "missed" ? "missed" : verdict === "aim" ? "aim" : "met";
  const length = Math.max(2, (share / mostShare) * scaleWidth).toFixed(1);
  return `<text x="${nameWidth - 8}" y="${y + 17}" text-anchor="end">${escapeText(name)}</text>
<rect class="${color}" x="${nameWidth}" y="${y + 5}" width="${length}" height="16" rx="2"/>
<text class="quiet" x="${nameWidth + scaleWidth + 8}" y="${y + 17}">${escapeText(label)}</text>`;
}

function escapeText(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
