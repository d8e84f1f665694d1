export type ByteRange = { readonly start: number; readonly length: number };

/**
 * What of a file a Range header asks for (RFC 9110 §14.1.2): undefined for all of it, which is also the answer to several
 * ranges and to what cannot be read; null when the file has nothing there.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | undefined | null {
  const [, first = "", last = ""] = /^bytes=([0-9]*)-([0-9]*)$/i.exec(header?.trim() ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? null : { start: size - length, length };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== "" && Number(last) < start) return undefined;
  return start >= size ? null : { start, length: end - start + 1 };
}
