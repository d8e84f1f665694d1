import { createHash } from "node:crypto";
import { join } from "node:path";
import t from "tap";
import { compactScript, type Page } from "./page.ts";
import { favicon, openPages, type Pages, type RefusalView, refusalTexts } from "./pages.ts";
import { sandboxId } from "./scripted-preview.ts";

const view: RefusalView = { code: "asleep", ...refusalTexts.asleep };
const allOf = (pages: Pages): Page[] => [
  pages.refusal(view),
  pages.waking({ sandboxId, port: 3000, url: "/" }),
  pages.waking({ sandboxId, port: 3000, url: "/", phase: "asleep" }),
  pages.redeem({ sandboxId, url: "/?preview_token=x" }),
];

function inline(html: string, element: "style" | "script"): string[] {
  return [...html.matchAll(new RegExp(`<${element}>([^]*?)</${element}>`, "g"))].map((match) => match[1]!);
}

function sourceOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

t.test("Every page's policy allows its own style and script and nothing else", async (t) => {
  for (const { html, contentSecurityPolicy } of allOf(openPages())) {
    const scripts = inline(html, "script");
    t.match(contentSecurityPolicy, /^default-src 'none'; style-src 'sha256-/);
    t.equal(contentSecurityPolicy.match(/style-src ([^;]*);/)?.[1], inline(html, "style").map(sourceOf).join(" "));
    t.equal(contentSecurityPolicy.match(/script-src ([^;]*);/)?.[1] ?? "", scripts.map(sourceOf).join(" "));
    t.equal(contentSecurityPolicy.includes("connect-src 'self'"), scripts.length > 0);
    t.match(contentSecurityPolicy, "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors *");
    t.notMatch(html, / (style|on[a-z]+)="/);
  }
});

t.test("No page loads anything from elsewhere, and none is big", async (t) => {
  for (const { html } of allOf(openPages())) {
    t.notMatch(html, /(src|href)="(https?:)?\/\//);
    t.notMatch(html, "url(");
    // What a server may send at once on a new connection.
    t.ok(html.length < 14_000, `${html.length} bytes`);
  }
});

t.test("waking() says where its wake is, for whoever has no script", async (t) => {
  const pages = openPages();
  const waking = (more: object) => pages.waking({ sandboxId, port: 3000, url: "/", ...more }).html;
  t.match(waking({}), '<noscript><meta http-equiv="refresh" content="2"></noscript>');
  t.match(waking({}), '<li data-step="starting" aria-current="step">Starting the sandbox</li>');
  t.match(waking({}), /<li data-step="queued"[^>]* hidden>/);
  t.match(waking({ phase: "queued", queuePosition: 3 }), /aria-current="step">In the queue<span id="place">, place 3</);
  t.match(waking({ phase: "waiting_for_port" }), '<li data-step="starting" class="done">');
  t.match(waking({ usualStartMs: 6000, elapsedMs: 1500 }), 'data-usual-ms="6000" data-elapsed-ms="1500"');
  t.match(waking({ url: '/"><script>' }), 'href="/%22%3E%3Cscript%3E"');
});

t.test("redeem() posts to the URL that was asked for", async (t) => {
  const { html } = openPages().redeem({ sandboxId, url: '/a?preview_token=x"y' });
  t.match(html, '<form method="post" action="/a?preview_token=x%22y">');
});

t.test("openPages() takes the style and the footer of a theme", async (t) => {
  const themeDirectory = t.testdir({
    "theme.css": "\ufeff:root{--accent:#060}\r\n",
    "footer.html": "<p>Acme previews</p>",
  });
  for (const { html, contentSecurityPolicy } of allOf(openPages({ themeDirectory }))) {
    t.match(html, ":root{--accent:#060}\n</style>");
    t.match(contentSecurityPolicy, sourceOf(inline(html, "style")[0]!));
    t.match(html, "<footer><p>Acme previews</p></footer>");
  }
  t.match(openPages({ themeDirectory: t.testdir({}) }).refusal(view).html, "<footer><p>sandboxd</p></footer>");
});

t.test("openPages() refuses a theme that it cannot use", async (t) => {
  const themeDirectory = t.testdir({ "theme.css": "</style><script>" });
  t.throws(() => openPages({ themeDirectory }), { message: /theme\.css: it contains markup/ });
  t.throws(() => openPages({ themeDirectory: join(themeDirectory, "none") }), { code: "ENOENT" });
});

t.test("favicon is an SVG picture", async (t) => {
  t.match(favicon.toString(), /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg".*<\/svg>$/);
});

t.test("compactScript() leaves strings and templates alone", async (t) => {
  const source = 'const a = "x  // y"; // note\n/** doc\n * more */\nif (a) {\n  return `b  /* c */ d`;\n} else b();\n';
  t.equal(compactScript(source), 'const a="x  // y";if(a){return`b  /* c */ d`;}else b();');
});
