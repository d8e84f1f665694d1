import type { LogLine } from "../sandbox-engine.ts";
import { readFrames } from "./multiplexed-output.ts";

/** A line of a container's log and its time in nanoseconds since 1970, for asking for what comes after it. */
export type ContainerLogLine = LogLine & { readonly nanoseconds: bigint };

/** Reads the daemon's log with timestamps: a frame per line, or per 16 KiB of a longer one. */
export async function* readContainerLog(stream: AsyncIterable<Buffer>): AsyncGenerator<ContainerLogLine> {
  for await (const frame of readFrames(stream)) yield toLine(frame.stream, frame.bytes.toString());
}

function toLine(stream: LogLine["stream"], text: string): ContainerLogLine {
  const space = text.indexOf(" ");
  const nanoseconds = toNanoseconds(text.slice(0, space));
  const line = text.slice(space + 1).replace(/\r?\n$/, "");
  return { stream, time: Number(nanoseconds / 1_000_000n), line, nanoseconds };
}

/** RFC 3339 with up to nine fractional digits. */
function toNanoseconds(time: string): bigint {
  const [seconds = "", fraction = "0"] = time.replace("Z", "").split(".");
  return BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

/** Seconds with nine digits after the point, as the daemon takes them. */
export function toSince(nanoseconds: bigint): string {
  const billion = 1_000_000_000n;
  return `${nanoseconds / billion}.${String(nanoseconds % billion).padStart(9, "0")}`;
}
