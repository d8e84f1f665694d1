import { readFileSync } from "node:fs";
import { wakeRefusalCodes } from "#contract/error-codes.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { html, safeUrl } from "./html.ts";
import { plainLine } from "./log-line.ts";
import { marks } from "./mark.ts";
import { compactScript, type Page, type PageRenderer } from "./page.ts";
import { refusalTexts } from "./refusal-texts.ts";

/** What the page shows before its script has heard from the gateway, or instead of it. */
export type WakingView = {
  readonly sandboxId: SandboxId;
  readonly port: number;
  /** The path and query that were asked for. */
  readonly url: string;
  readonly phase?: "asleep" | "queued" | "starting" | "waiting_for_port" | undefined;
  readonly queuePosition?: number | undefined;
  readonly usualStartMs?: number | undefined;
  /** Milliseconds since the wake began. */
  readonly elapsedMs?: number | undefined;
};

const refreshSecondsWithoutScript = 2;
const title = "Waking up the sandbox";
const phases = {
  queued: "Others wake up on this server first. The app opens here by itself.",
  starting: "It is starting. The app opens here by itself.",
  waiting_for_port: "It is running. The app opens here as soon as it answers.",
  ready: "The app is ready.",
};
/** What can end a wake or come in the way of it. */
const outcomes = [
  ...wakeRefusalCodes,
  "asleep",
  "waking_timeout",
  "no_listener",
  "loopback_only",
  "control_unavailable",
] as const;

/**
 * The page that a navigation sees while its sandbox wakes. Of one that is asleep it waits for a sign of somebody before it
 * wakes it. `render` carries `wakingScript`.
 */
export function wakingPage(view: WakingView, render: PageRenderer): Page {
  const { phase = "starting", queuePosition = 0, usualStartMs = 0, elapsedMs = 0 } = view;
  const isAsleep = phase === "asleep";
  const heading = isAsleep ? refusalTexts.asleep.title : title;
  const step = stepList(isAsleep ? "starting" : phase);
  return render({
    title: heading,
    head: isAsleep
      ? undefined
      : html`<noscript><meta http-equiv="refresh" content="${refreshSecondsWithoutScript}"></noscript>`,
    main: html`<main data-phase="${phase}" data-usual-ms="${usualStartMs}" data-elapsed-ms="${elapsedMs}">
${marks.moon}
<div role="status">
<h1 id="title">${heading}</h1>
<p id="detail">${isAsleep ? refusalTexts.asleep.detail : phases[phase]}</p>
<p id="ports"></p>
<p id="hint" class="quiet"></p>
</div>
<div id="progress"${isAsleep && html` hidden`}>
<progress aria-label="Waking up"></progress>
<p class="quiet times"><span id="elapsed"></span><span id="usual"></span></p>
<ol class="steps">
${step("queued", html`In the queue<span id="place">${queuePosition > 0 && `, place ${queuePosition}`}</span>`)}
${step("starting", "Starting the sandbox")}
${step("waiting_for_port", `Waiting for the app on port ${view.port}`)}
${step("ready", "Opening the app")}
</ol>
</div>
<p id="action"${!isAsleep && html` hidden`}><a class="button" href="${safeUrl(view.url) ?? ""}">${isAsleep ? "Wake it up" : "Try again"}</a></p>
<p id="countdown" class="quiet"></p>
<p id="notice" class="quiet" role="status"></p>
${!isAsleep && html`<noscript><p class="quiet">This page looks again every ${refreshSecondsWithoutScript} seconds.</p></noscript>`}
<section id="log" aria-labelledby="log-title" hidden>
<h2 id="log-title">Log</h2>
<div class="log" role="log" aria-live="off" aria-labelledby="log-title" tabindex="0"><div id="lines"></div></div>
</section>
<dl><dt>Sandbox</dt><dd>${view.sandboxId}</dd></dl>
</main>`,
  });
}

type Step = keyof typeof phases;

function stepList(phase: Step) {
  const order = Object.keys(phases);
  return (step: Step, text: Parameters<typeof html>[1]) => {
    const isDone = order.indexOf(step) < order.indexOf(phase);
    const isHidden = step === "queued" && phase !== "queued";
    return html`<li data-step="${step}"${isDone && html` class="done"`}${step === phase && html` aria-current="step"`}${isHidden && html` hidden`}>${text}</li>`;
  };
}

/** The waking page's script. It is the same on every page, so that one hash allows it. */
export const wakingScript = [
  plainLine.toString().replace(/\n\s*/g, "\n"),
  `const words=${JSON.stringify({ title, phases, outcomes: outcomeWords() }).replaceAll("<", "\\u003c")};`,
  compactScript(readFileSync(new URL("waking-script.js", import.meta.url), "utf8")),
].join("\n");

/** By code: the title, what to do about it, whether it passes by itself, and a detail for when no message comes with it. */
function outcomeWords() {
  const entries = outcomes.map((code) => {
    const { title, hint = "", detail, status } = refusalTexts[code];
    const passes = status === 503 ? 1 : 0;
    return [code, code === "asleep" ? [title, hint, passes, detail] : [title, hint, passes]];
  });
  return Object.fromEntries(entries);
}
