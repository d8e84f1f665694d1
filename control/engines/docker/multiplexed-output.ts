const headerBytes = 8;

/** What a program wrote to one of its outputs. */
export type OutputFrame = { readonly stream: "stdout" | "stderr"; readonly bytes: Buffer };

/**
 * Takes apart what the daemon sends of both outputs in one stream: frames with their stream and length in front (Docker
 * Engine API, "Attach to a container", stream format).
 */
export async function* readFrames(source: AsyncIterable<Buffer>): AsyncGenerator<OutputFrame> {
  let bytes: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    while (bytes.length >= headerBytes) {
      const end = headerBytes + bytes.readUInt32BE(4);
      if (bytes.length < end) break;
      yield { stream: bytes[0] === 2 ? "stderr" : "stdout", bytes: bytes.subarray(headerBytes, end) };
      bytes = bytes.subarray(end);
    }
  }
}
