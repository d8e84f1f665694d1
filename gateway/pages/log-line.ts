/**
 * One line of a sandbox's log as a person reads it: without terminal sequences (ECMA-48 §5.4) and control characters,
 * what a carriage return overwrote gone, and of bounded length. The waking page's script carries this very function in
 * its source, so it may not refer to anything outside itself.
 */
export function plainLine(line: string) {
  const text = line
    .slice(0, 4000)
    .replace(/(\x1b\]|\x9d).*?(\x07|\x1b\\|\x9c|$)|(\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|\x1b[ -/]*[0-~]?/gs, "");
  const lastWritten = text.split("\r").findLast(Boolean) ?? "";
  return lastWritten.replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/g, "").slice(0, 1000);
}
