/** Text that is markup already. Only `html` makes it from strings, so a string never becomes markup by accident. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Part = string | number | Html | undefined | false | readonly Part[];

/** Builds markup. Strings put into it are escaped for text and quoted attributes; undefined and false add nothing. */
export function html(literals: TemplateStringsArray, ...parts: readonly Part[]): Html {
  let text = literals[0]!;
  for (let index = 0; index < parts.length; index++) text += render(parts[index]) + literals[index + 1]!;
  return new Html(text);
}

function render(part: Part): string {
  if (part === undefined || part === false) return "";
  if (part instanceof Html) return part.text;
  if (typeof part === "object") return part.map(render).join("");
  return escapeHtml(String(part));
}

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]!);
}

/**
 * A URL that is safe in `href`, `action` and a meta refresh: an absolute one of http or https, or a path that stays on the
 * page's own host however many slashes it starts with. Anything else becomes undefined.
 */
export function safeUrl(url: string | undefined): string | undefined {
  if (url === undefined) return undefined;
  if (/^https?:\/\//i.test(url)) return URL.parse(url)?.href;
  if (!url.startsWith("/")) return undefined;
  const parsed = URL.parse(`http://host.invalid${url}`);
  if (parsed === null) return undefined;
  const path = parsed.pathname + parsed.search;
  return path.startsWith("//") ? `/.${path}` : path;
}

/** Our own prose, in which backticks mark code. */
export function prose(text: string): Html {
  return html`${text.split("`").map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))}`;
}
