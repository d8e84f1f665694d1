import { cpus, loadavg } from "node:os";
import type { Measurement } from "./scenario.ts";
import { formatTarget, judge, targets, type Verdict } from "./targets.ts";

type Row = Measurement & { readonly target: string; readonly verdict: Verdict };

/** The measurements as a table for people: what was measured, what is asked, and whether it was reached. */
export function formatTable(measurements: readonly Measurement[]): string {
  const rows = measurements.map(withTarget);
  const cells = rows.map((row) => [row.name, `${rounded(row.value)} ${row.unit}`.trim(), row.target, row.verdict]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => row[column]!.length)));
  return rows
    .map(({ remark }, index) => {
      const [name, value, target, verdict] = cells[index]!.map((cell, column) => cell.padEnd(widths[column]!));
      return `${name}  ${value!.trimEnd().padStart(widths[1]!)}  ${target}  ${verdict}  ${remark ?? ""}`.trimEnd();
    })
    .join("\n");
}

/** The same for programs, with what is needed to compare two runs. */
export function formatJson(measurements: readonly Measurement[]): string {
  const load = loadavg().map((each) => Math.round(each * 10) / 10);
  const machine = { processor: cpus()[0]?.model, processors: cpus().length, node: process.version, load };
  const rows = measurements.map(withTarget);
  return `${JSON.stringify({ time: new Date().toISOString(), machine, measurements: rows }, null, 2)}\n`;
}

/** Where a run was made and how busy it was there, on one line. */
export function describeMachine(): string {
  const load = loadavg()[1]!.toFixed(0);
  return `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}, load average ${load} at the end of the run`;
}

function withTarget(measurement: Measurement): Row {
  const target = targets[measurement.name];
  if (target === undefined) return { ...measurement, target: "", verdict: "" };
  return { ...measurement, target: formatTarget(target), verdict: judge(target, measurement.value) };
}

function rounded(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
