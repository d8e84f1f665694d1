import type { SandboxId } from "#contract/sandbox-id.ts";
import { html, safeUrl } from "./html.ts";
import { marks } from "./mark.ts";
import type { Page, PageRenderer } from "./page.ts";

export type RedeemView = {
  readonly sandboxId: SandboxId;
  /** The path and query that were asked for, the token among them; the button posts an empty form to it. */
  readonly url: string;
};

/** Stands before a link that can be used once: only a person presses the button, a scanner's GET spends nothing. */
export function redeemPage({ sandboxId, url }: RedeemView, render: PageRenderer): Page {
  return render({
    title: "Open the preview",
    main: html`<main>
${marks.lock}
<h1>You are invited to a private preview</h1>
<p>This link can be used only a limited number of times. Opening the preview uses it once and remembers this browser.</p>
<form method="post" action="${safeUrl(url) ?? ""}"><button class="button" type="submit">Open the preview</button></form>
<dl><dt>Sandbox</dt><dd>${sandboxId}</dd></dl>
</main>`,
  });
}
