import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Theme } from "./page.ts";

/**
 * Reads `theme.css` and `footer.html`, either of which may be absent. Throws when the directory cannot be read or the
 * style could not stand inside a page.
 */
export function readTheme(directory: string): Partial<Theme> {
  const files = new Set(readdirSync(directory));
  const read = (name: string) =>
    files.has(name) ? normalised(readFileSync(join(directory, name), "utf8")) : undefined;
  const css = read("theme.css");
  const footer = read("footer.html");
  if (css !== undefined && /<\/style|<!--/i.test(css)) {
    throw new Error(`Cannot use ${join(directory, "theme.css")}: it contains markup`);
  }
  return { ...(css !== undefined && { css }), ...(footer !== undefined && { footer }) };
}

/** As an HTML parser sees the text, so that the hash in the policy matches (HTML §13.2.3.5). */
function normalised(text: string): string {
  return text
    .replace(/^\ufeff/, "")
    .replace(/\r\n?/g, "\n")
    .replaceAll("\0", "\ufffd");
}
