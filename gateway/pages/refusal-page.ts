import type { RefusalCode } from "#contract/error-codes.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { type Html, html, prose, safeUrl } from "./html.ts";
import { plainLine } from "./log-line.ts";
import { type Mark, marks } from "./mark.ts";
import type { Page, PageRenderer } from "./page.ts";
import { reasonText, refusalTexts } from "./refusal-texts.ts";

/** What is known about a refusal; the page and the problem document show the same. */
export type RefusalView = {
  readonly code: RefusalCode;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly sandboxId?: SandboxId | undefined;
  readonly retryAfterSeconds?: number | undefined;
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly listeningPorts?: readonly number[] | undefined;
  readonly queuePosition?: number | undefined;
  readonly memAvailablePercent?: number | undefined;
  /** Why a credential was refused. */
  readonly reason?: string | undefined;
  /** The last lines of the sandbox's log, as the sandbox wrote them. */
  readonly logTail?: readonly string[] | undefined;
  /** Shows a button that leads to `url`, or to the page's own URL when there is none. */
  readonly action?: "wake" | "retry" | undefined;
  /** A path on the same host, or an http or https URL; anything else is ignored. */
  readonly url?: string | undefined;
  /** The page goes to `url`, or loads itself again, after so many seconds. */
  readonly refreshSeconds?: number | undefined;
};

const shownLogLines = 40;

/** The page for one refused navigation. */
export function refusalPage(view: RefusalView, render: PageRenderer): Page {
  const hint = refusalTexts[view.code].hint;
  return render({
    title: view.title,
    head: refresh(view),
    main: html`<main>
${marks[markOf(view.code)]}
<h1>${view.title}</h1>
<p>${view.detail}</p>
${hint !== undefined && html`<p class="quiet">${prose(hint)}</p>`}
${button(view)}
${logTail(view)}
${facts(view)}
</main>`,
  });
}

function markOf(code: RefusalCode): Mark {
  switch (code) {
    case "asleep":
    case "waking":
      return "moon";
    case "unauthorized":
    case "forbidden":
      return "lock";
    case "not_found":
    case "misdirected":
      return "signpost";
    case "waking_timeout":
    case "busy":
    case "queue_full":
    case "too_many_requests":
    case "low_memory":
      return "pause";
    default:
      return "alert";
  }
}

function refresh({ refreshSeconds, url }: RefusalView): Html | undefined {
  if (refreshSeconds === undefined) return undefined;
  const target = safeUrl(url);
  return html`<meta http-equiv="refresh" content="${refreshSeconds}${target !== undefined && `;url=${target}`}">`;
}

function button({ action, code, url, refreshSeconds = 0 }: RefusalView): Html | undefined {
  if (action === undefined) return undefined;
  const target = safeUrl(url) ?? "";
  const leads = target.startsWith("http");
  const onward = code === "unauthorized" ? "Sign in" : "Continue";
  const label = action === "wake" ? "Wake it up" : leads ? onward : "Try again";
  const does = leads ? "goes on" : "tries again";
  return html`<p><a class="button" href="${target}">${label}</a></p>
${refreshSeconds > 0 && html`<p class="quiet">This page ${does} by itself in ${seconds(refreshSeconds)}.</p>`}`;
}

function logTail({ logTail: lines = [] }: RefusalView): Html | undefined {
  if (lines.length === 0) return undefined;
  return html`<section aria-labelledby="log">
<h2 id="log">The end of its log</h2>
<div class="log" role="region" aria-labelledby="log" tabindex="0"><div>${lines
    .slice(-shownLogLines)
    .map((line) => html`<div>${plainLine(line)}</div>`)}</div></div>
</section>`;
}

function facts(view: RefusalView): Html {
  const { reason, listeningPorts: ports, memAvailablePercent: memory, retryAfterSeconds: wait } = view;
  const rows: readonly [string, string | number | undefined][] = [
    ["Reason", reason === undefined ? undefined : reasonText(reason)],
    ["Exit code", view.exitCode],
    ["Signal", view.signal],
    ["Ports that listen", ports === undefined ? undefined : ports.join(", ") || "none"],
    ["Place in the queue", view.queuePosition],
    ["Free memory", memory === undefined ? undefined : `${memory} %`],
    ["Try again in", wait === undefined || view.refreshSeconds !== undefined ? undefined : seconds(wait)],
    ["Sandbox", view.sandboxId],
    ["Status", `${view.status} ${view.code}`],
  ];
  const known = rows.filter(([, value]) => value !== undefined);
  return html`<dl>${known.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

function seconds(count: number): string {
  return count === 1 ? "1 second" : `${count} seconds`;
}
