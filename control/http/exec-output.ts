import { once } from "node:events";
import { PassThrough, type Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import type { ExecEnd, ExecMessage } from "../sandboxes/exec-in-sandbox.ts";

/** Of each output of a command whose answer comes in one piece. */
export const mostOutputBytes = 1024 * 1024;

export type ExecAnswer = {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit_code: number;
  readonly signal: string | null;
  readonly ended_by: ExecEnd["endedBy"];
  readonly stdout_truncated: boolean;
  readonly stderr_truncated: boolean;
  readonly duration_ms: number;
};

/** All that a command said, up to the bounds; what comes behind them is read and thrown away. */
export async function collect(messages: AsyncIterable<ExecMessage>): Promise<ExecAnswer> {
  const outputs = { stdout: new BoundedText(), stderr: new BoundedText() };
  const { stdout, stderr } = outputs;
  let end: ExecEnd | undefined;
  for await (const message of messages) {
    if (message.type === "output") outputs[message.stream].add(message.bytes);
    else end = message;
  }
  return {
    ...{ stdout: stdout.text(), stderr: stderr.text(), ...toAnswer(end!) },
    ...{ stdout_truncated: stdout.truncated, stderr_truncated: stderr.truncated },
  };
}

/** As lines of JSON: what it says as it says it, and how it ended in the last one. */
export async function* toLines(messages: AsyncIterable<ExecMessage>): AsyncGenerator<string> {
  const decoders = { stdout: new StringDecoder(), stderr: new StringDecoder() };
  for await (const message of messages) {
    if (message.type === "output") {
      const data = decoders[message.stream].write(message.bytes);
      if (data !== "") yield line({ stream: message.stream, data });
      continue;
    }
    for (const stream of ["stdout", "stderr"] as const) {
      const data = decoders[stream].end();
      if (data !== "") yield line({ stream, data });
    }
    yield line(toAnswer(message));
  }
}

/** As the earlier clients of the short form know it: stdout as it comes, then stderr, then the exit code. */
export async function* toPlainText(messages: AsyncIterable<ExecMessage>): AsyncGenerator<Buffer | string> {
  const stderr = new BoundedText();
  for await (const message of messages) {
    if (message.type === "end") {
      if (stderr.text().trim() !== "") yield `---stderr---\n${stderr.text()}`;
      yield `exit_code: ${message.exitCode}\n`;
    } else if (message.stream === "stdout") yield message.bytes;
    else stderr.add(message.bytes);
  }
}

/**
 * What is written as a stream that is read at once, so that a reader who is gone before the first byte ends the writing
 * too: nobody would end a generator that has not begun.
 */
export function toStream(pieces: AsyncIterable<Buffer | string>): Readable {
  const stream = new PassThrough();
  const write = async () => {
    for await (const piece of pieces) {
      if (stream.destroyed) return;
      if (!stream.write(piece)) await Promise.race([once(stream, "drain"), once(stream, "close")]);
    }
    stream.end();
  };
  write().catch((error: Error) => stream.destroy(error));
  return stream;
}

function toAnswer({ exitCode, signal, endedBy, durationMs }: ExecEnd) {
  return { exit_code: exitCode, signal, ended_by: endedBy, duration_ms: durationMs };
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

class BoundedText {
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  truncated = false;

  add(chunk: Buffer): void {
    const room = mostOutputBytes - this.#bytes;
    if (chunk.length > room) this.truncated = true;
    if (room === 0) return;
    // A copy: a piece of a larger buffer would keep all of it.
    const kept = Buffer.from(chunk.subarray(0, room));
    this.#chunks.push(kept);
    this.#bytes += kept.length;
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString();
  }
}
