import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { textFrame, upgrade } from "./idle-sockets.ts";
import { WrongAnswerError } from "./scenario.ts";

export type MessageLoad = {
  readonly port: number;
  readonly host: string;
  readonly connections: number;
  readonly seconds: number;
};

const payload = Buffer.from("0123456789abcdef".repeat(4));
/** A text frame of the server (RFC 6455 §5.2). */
const expected = Buffer.concat([Buffer.from([0x81, payload.length]), payload]);

/**
 * Sends messages over WebSockets, on each the next one as soon as the last has come back, and counts them.
 * Throws WrongAnswerError unless each comes back as it was.
 */
export async function exchangeMessages({ port, host, connections, seconds }: MessageLoad) {
  const open = await Promise.all(Array.from({ length: connections }, () => upgrade(port, host, "127.0.0.1")));
  const begun = performance.now();
  const ends = new AbortController();
  const all = Promise.all(open.map((socket) => talk(socket, ends.signal)));
  try {
    await Promise.race([delay(seconds * 1000), all]);
    ends.abort();
    const messages = (await all).reduce((sum, count) => sum + count, 0);
    return { messages, seconds: (performance.now() - begun) / 1000 };
  } finally {
    for (const socket of open) socket.destroy();
  }
}

/** Resolves with the number of messages that came back, with the first one after the signal. */
function talk(socket: Socket, signal: AbortSignal): Promise<number> {
  const frame = textFrame(payload);
  return new Promise((resolve, reject) => {
    let count = 0;
    let pending = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      if (pending.length < expected.length) return;
      if (!pending.equals(expected)) return reject(new WrongAnswerError(`not the echo: ${pending.toString("hex")}`));
      pending = Buffer.alloc(0);
      count++;
      if (signal.aborted) resolve(count);
      else socket.write(frame);
    });
    socket.once("close", () => reject(new WrongAnswerError("a socket was closed while it was talked to")));
    socket.write(frame);
  });
}
