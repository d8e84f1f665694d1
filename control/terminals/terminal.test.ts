import { once } from "node:events";
import { PassThrough } from "node:stream";
import t from "tap";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { Terminal, type TerminalEnd } from "./terminal.ts";

/** A terminal over a stream that a test writes to; an end closes it. */
function open(bounds = { unwatchedMs: 60_000, untouchedMs: 60_000 }) {
  const output = new PassThrough();
  const exit = once(output, "close").then(() => ({ code: 0, signal: null, outOfMemory: false }));
  const typed: string[] = [];
  const stop = new AbortController();
  let isOver = false;
  const shell = {
    output,
    exit,
    write: async (bytes: Buffer) => void typed.push(String(bytes)),
    resize: async () => {},
    end: async () => void output.end(),
  };
  const exec = { started: () => stop.signal, over: () => (isOver = true) };
  const terminal = new Terminal(newSandboxId(), shell, exec, stop.signal, bounds);
  const view = (take: (text: string) => Promise<void> = async () => {}) => {
    const seen: string[] = [];
    const ends: TerminalEnd[] = [];
    const show = async (bytes: Buffer) => {
      seen.push(String(bytes));
      await take(String(bytes));
    };
    const detach = terminal.attach({ show, end: (end) => ends.push(end), drop: () => ends.push({} as TerminalEnd) });
    return { seen, ends, detach };
  };
  return { terminal, output, typed, stop, view, isOver: () => isOver };
}

t.test("a terminal ends when nobody looks at it for long", async (t) => {
  const { terminal, view, isOver } = open({ unwatchedMs: 20, untouchedMs: 60_000 });
  const { detach } = view();
  detach();
  await terminal.over;
  t.ok(isOver());
});

t.test("a terminal ends when nobody touches it for long, whoever looks at it", async (t) => {
  const { terminal, view } = open({ unwatchedMs: 60_000, untouchedMs: 20 });
  const { ends } = view();
  await terminal.over;
  t.match(ends, [{ because: "idle" }]);
});

t.test("a terminal ends with its sandbox's sleep", async (t) => {
  const { terminal, view, stop } = open();
  const { ends } = view();
  stop.abort();
  await terminal.over;
  t.match(ends, [{ because: "stop" }]);
});

t.test("whoever comes back sees the end of what was shown, and everybody what comes", async (t) => {
  const { terminal, output, view } = open();
  for (let n = 0; n < 100; n++) output.write(`${n}`.padEnd(10_000));
  output.write("last");
  const first = view();
  while (!first.seen.join("").includes("last")) await new Promise((resolve) => setImmediate(resolve));
  const second = view();
  const shown = second.seen.join("");
  t.ok(shown.endsWith("last"));
  t.ok(shown.length >= 256 * 1024 && shown.length < 400 * 1024, `${shown.length}`);
  output.end("more");
  await terminal.over;
  t.equal(first.seen.at(-1), "more");
  t.equal(second.seen.at(-1), "more");
});

t.test("a viewer who is gone holds up nobody", async (t) => {
  const { terminal, output, view } = open();
  const gone = view(() => Promise.reject(new Error("closed")));
  const other = view();
  output.end("text");
  await terminal.over;
  t.equal(other.seen.join(""), "text");
  t.equal(gone.ends.length, 1);
});
