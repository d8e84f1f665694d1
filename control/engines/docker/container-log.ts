import type { LogLine } from "../sandbox-engine.ts";

const headerBytes = 8;

/** A line of a container's log and its time in nanoseconds since 1970, for asking for what comes after it. */
export type ContainerLogLine = LogLine & { readonly nanoseconds: bigint };

/**
 * Reads the daemon's multiplexed log with timestamps: a frame per line, or per 16 KiB of a longer one, with its stream
 * and length in front (Docker Engine API, "Attach to a container", stream format).
 */
export async function* readContainerLog(stream: AsyncIterable<Buffer>): AsyncGenerator<ContainerLogLine> {
  let bytes: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    while (bytes.length >= headerBytes) {
      const end = headerBytes + bytes.readUInt32BE(4);
      if (bytes.length < end) break;
      yield toLine(bytes[0] === 2 ? "stderr" : "stdout", bytes.toString("utf8", headerBytes, end));
      bytes = bytes.subarray(end);
    }
  }
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
