import { type PreviewOrigin, parseHost, previewUrl } from "#contract/preview-host.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";

/** Where a visitor goes after the landing: a preview of ours, taken apart. */
export type ReturnUrl = { readonly id: SandboxId; readonly port: number; readonly href: string };

const longest = 4096;

/**
 * Reads a URL that somebody else wrote. Undefined unless it is written plainly and is one of our previews, on the scheme
 * and port that they have: browsers and URL parsers disagree about much that is neither.
 */
export function readReturnUrl(text: string, origin: PreviewOrigin): ReturnUrl | undefined {
  if (text.length > longest || !/^https?:\/\/[A-Za-z0-9]/.test(text) || /[^\x21-\x7e]|\\/.test(text)) return undefined;
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "") return undefined;
  const written = /^https?:\/\/([^/?#]*)/.exec(text)![1]!;
  // What the parser had to mend is not what it says it is.
  if (!/^[A-Za-z0-9.-]+(?::[0-9]{1,5})?$/.test(written)) return undefined;
  const host = parseHost(url.host, origin.domain);
  if (host.kind !== "preview") return undefined;
  const { id, port } = host;
  if (new URL(previewUrl(origin, id, port)).origin !== url.origin) return undefined;
  return { id, port, href: url.href };
}
