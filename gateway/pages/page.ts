import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { faviconDataUrl } from "./favicon.ts";
import { Html, html } from "./html.ts";

/** A whole page, and the policy that must go with it in `Content-Security-Policy`. */
export type Page = { readonly html: string; readonly contentSecurityPolicy: string };

export type PageContent = {
  readonly title: string;
  /** What else belongs into the head. */
  readonly head?: Html | undefined;
  readonly main: Html;
};

/** Puts content between what all pages of one kind share. */
export type PageRenderer = (content: PageContent) => Page;

export type Theme = {
  /** Appended to the style of every page. */
  readonly css: string;
  /** Stands in place of the footer. */
  readonly footer: string;
};

const style = compactStyle(readFileSync(new URL("page.css", import.meta.url), "utf8"));
const plainFooter = "<p>sandboxd</p>";

/** Prepares one kind of page: its style, its script if it has one, and the policy that lets exactly these run. */
export function pageRenderer(theme: Partial<Theme>, script?: string): PageRenderer {
  const css = style + (theme.css ?? "");
  const contentSecurityPolicy = policy(css, script);
  const before = new Html(
    `<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="${faviconDataUrl}">
<style>${css}</style>`,
  );
  const after = new Html(
    `<footer>${theme.footer ?? plainFooter}</footer>${script === undefined ? "" : `\n<script>${script}</script>`}`,
  );
  return ({ title, head, main }) => ({
    html: html`<!doctype html>
<html lang="en">
<head>
${before}
<title>${title}</title>${head}
</head>
<body>
${main}
${after}
</body>
</html>
`.text,
    contentSecurityPolicy,
  });
}

/**
 * A script without its comments and needless blanks, and otherwise as it is. It must end every statement with a semicolon
 * and have no regular expressions, and no sign next to another one.
 */
export function compactScript(source: string): string {
  return source
    .replace(/("(?:[^"\\\n]|\\.)*"|`[^`]*`)|\/\/.*|\/\*[\s\S]*?\*\//g, "$1")
    .replace(/("(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?<![\w$])\s+|\s+(?![\w$])|(\s)\s*/g, "$1$2");
}

function compactStyle(source: string): string {
  return source
    .replace(/\/\*[\s\S]*?\*\/|\s+/g, " ")
    .replace(/ ?([{}:;,]) /g, "$1")
    .replaceAll(";}", "}")
    .replace(/(?<=[ :,(-])0\./g, ".")
    .trim();
}

function policy(css: string, script: string | undefined): string {
  const scripts = script === undefined ? "" : `script-src ${hashSource(script)}; connect-src 'self'; `;
  return `default-src 'none'; style-src ${hashSource(css)}; ${scripts}img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors *`;
}

/** A source expression that matches one inline element's text (CSP Level 3 §2.3.1). */
function hashSource(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}
