import t from "tap";
import { refusalCodes } from "#contract/error-codes.ts";
import { openPages, type RefusalView, refusalTexts } from "./pages.ts";
import { sandboxId } from "./scripted-preview.ts";

const pages = openPages();
const hostile = `"><script>alert(1)</script><a href='`;
const view = (more: Partial<RefusalView>): RefusalView => ({ code: "exited", ...refusalTexts.exited, ...more });

t.test("refusalTexts has a status, a title and a detail for every code", async (t) => {
  t.same(Object.keys(refusalTexts).sort(), [...refusalCodes].sort());
  for (const code of refusalCodes) {
    const { status, title, detail, hint } = refusalTexts[code];
    t.ok(status >= 400 && status < 600, code);
    t.match(title, /^[A-Z].*[a-z]$/, code);
    t.match(detail, /^[A-Z].*\.$/, code);
    if (hint !== undefined) t.match(hint, /^[A-Z].*\.$/, code);
    t.equal((hint ?? "").split("`").length % 2, 1, `${code}: backticks come in pairs`);
  }
});

t.test("refusalTexts uses the specified statuses", async (t) => {
  const statuses = Object.fromEntries(refusalCodes.map((code) => [code, refusalTexts[code].status]));
  t.match(statuses, { not_found: 404, misdirected: 421, bad_request: 400, unauthorized: 401, forbidden: 403 });
  t.match(statuses, { asleep: 503, waking: 503, waking_timeout: 503, busy: 503, queue_full: 503, low_memory: 503 });
  t.match(statuses, { engine_unavailable: 503, control_unavailable: 503, too_many_requests: 429 });
  t.match(statuses, { exited: 502, start_failed: 502, out_of_memory: 502, image_missing: 502, no_listener: 502 });
  t.match(statuses, { loopback_only: 502, upstream_reset: 502, upstream_timeout: 504 });
});

t.test("refusal() has one page for every code", async (t) => {
  for (const code of refusalCodes) {
    const { html } = pages.refusal({ code, ...refusalTexts[code], sandboxId });
    t.match(html, `<h1>${refusalTexts[code].title.replaceAll("'", "&#39;")}</h1>`);
    t.match(html, `${refusalTexts[code].status} ${code}`);
    t.equal(html.split("<h1").length, 2);
    t.match(html, /^<!doctype html>\n<html lang="en">/);
    t.notMatch(html, "<script");
    t.ok(html.length < 8000, `${code} is small`);
  }
});

t.test("refusal() escapes all that it is given", async (t) => {
  const { html } = pages.refusal(
    view({
      title: hostile,
      detail: hostile,
      reason: hostile,
      signal: hostile,
      logTail: [hostile, `\x1b[31m${hostile}`],
      action: "retry",
      url: `/${hostile}`,
      refreshSeconds: 5,
    }),
  );
  t.notMatch(html, "<script");
  t.notMatch(html, "href='");
  t.notMatch(html, "\x1b");
});

t.test("refusal() links to safe URLs only", async (t) => {
  for (const url of ["javascript:alert(1)", "data:text/html,x", "//evil.example/"]) {
    const { html } = pages.refusal(view({ action: "retry", url, refreshSeconds: 3 }));
    t.notMatch(html, /"(;url=)?(javascript|data:text|\/\/evil)/);
    t.notMatch(html, "url=//evil");
    t.match(html, 'class="button"');
  }
  const { html } = pages.refusal(view({ action: "wake", url: "/a?b=1&c=2" }));
  t.match(html, '<a class="button" href="/a?b=1&amp;c=2">Wake it up</a>');
});

t.test("refusal() refreshes to where it is told", async (t) => {
  t.notMatch(pages.refusal(view({})).html, "http-equiv");
  t.match(pages.refusal(view({ refreshSeconds: 5 })).html, '<meta http-equiv="refresh" content="5">');
  const toLogin = view({ ...refusalTexts.unauthorized, code: "unauthorized", refreshSeconds: 0, action: "retry" });
  const { html } = pages.refusal({ ...toLogin, url: "https://auth.example/?return=%2F&x=1" });
  t.match(html, 'content="0;url=https://auth.example/?return=%2F&amp;x=1"');
  t.match(html, ">Sign in</a>");
});

t.test("refusal() tells what is known", async (t) => {
  const { html } = pages.refusal(
    view({
      sandboxId,
      exitCode: 1,
      signal: "SIGKILL",
      listeningPorts: [5173, 8080],
      queuePosition: 3,
      memAvailablePercent: 9,
      retryAfterSeconds: 1,
      reason: "expired",
      logTail: Array.from({ length: 60 }, (_, index) => `line ${index}.`),
    }),
  );
  t.match(html, "<dt>Exit code</dt><dd>1</dd><dt>Signal</dt><dd>SIGKILL</dd>");
  t.match(html, "<dt>Ports that listen</dt><dd>5173, 8080</dd>");
  t.match(html, "<dt>Place in the queue</dt><dd>3</dd><dt>Free memory</dt><dd>9 %</dd>");
  t.match(html, "<dt>Try again in</dt><dd>1 second</dd>");
  t.match(html, "the link or session has expired");
  t.match(html, sandboxId);
  t.match(html, "line 59.");
  t.notMatch(html, "line 19.");
  t.match(pages.refusal(view({ listeningPorts: [] })).html, "<dt>Ports that listen</dt><dd>none</dd>");
  t.match(pages.refusal(view({ reason: "constructor" })).html, "<dd>constructor</dd>");
});
