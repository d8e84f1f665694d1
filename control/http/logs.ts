import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { LogLine, SandboxEngine } from "../engines/sandbox-engine.ts";
import type { Collaborators } from "../sandboxes/collaborators.ts";
import type { LiveStream, LiveStreams } from "./live-streams.ts";
import { toTime } from "./resource.ts";

const keepAliveMs = 15_000;

/** Answers with the log as it is now, one line a line. */
export function sendLog(
  engine: SandboxEngine,
  id: SandboxId,
  options: { tail?: number },
  reply: FastifyReply,
): FastifyReply {
  return reply.type("text/plain; charset=utf-8").send(Readable.from(plain(engine.logs(id, options))));
}

async function* plain(lines: AsyncIterable<LogLine>): AsyncGenerator<string> {
  for await (const { line } of lines) yield `${line}\n`;
}

/** Answers with the log and what follows, as server-sent events or as plain lines, until either side ends it. */
export async function streamLog(
  { engine, logger }: Collaborators,
  id: SandboxId,
  { tail, asEvents }: { tail?: number; asEvents: boolean },
  streams: LiveStreams,
  reply: FastifyReply,
): Promise<void> {
  const stream = streams.open(reply, asEvents ? "text/event-stream; charset=utf-8" : "text/plain; charset=utf-8");
  const beats = asEvents ? setInterval(() => stream.push(": alive\n\n"), keepAliveMs) : undefined;
  try {
    const options = { follow: true, signal: stream.signal, ...(tail !== undefined && { tail }) };
    for await (const line of engine.logs(id, options)) await writeLine(stream, line, asEvents);
    stream.end();
  } catch (error) {
    if (!stream.signal.aborted) logger.warn({ sandbox: id, err: error }, "a log cannot be followed");
    stream.cut();
  } finally {
    clearInterval(beats);
  }
}

function writeLine(live: LiveStream, { stream, time, line }: LogLine, asEvents: boolean): Promise<void> {
  if (!asEvents) return live.write(`${line}\n`);
  return live.write(`event: log\ndata: ${JSON.stringify({ stream, time: toTime(time), line })}\n\n`);
}
