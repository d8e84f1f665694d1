/**
 * Follows the frames of one direction of a WebSocket (RFC 6455 §5.2) without keeping any of it: tells data from control
 * frames, and where a frame ends.
 */
export class WebSocketFrames {
  /** The header bytes of a frame that are still to come, gathered across chunks. */
  readonly #header = Buffer.alloc(14);
  #have = 0;
  #payloadLeft = 0;
  #closed = false;

  /** Whether a frame could begin right here. */
  get atBoundary(): boolean {
    return this.#have === 0 && this.#payloadLeft === 0;
  }

  /** Whether a close frame has gone by. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Takes what flows by; true when any of it belongs to a data frame (text, binary, continuation). */
  push(chunk: Buffer): boolean {
    let data = false;
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#payloadLeft > 0) {
        const taken = Math.min(this.#payloadLeft, chunk.length - offset);
        this.#payloadLeft -= taken;
        offset += taken;
        data ||= this.#isData;
        continue;
      }
      this.#header[this.#have++] = chunk[offset++]!;
      if (this.#have < this.#headerLength()) continue;
      this.#payloadLeft = this.#payloadLength();
      this.#have = 0;
      const opcode = this.#header[0]! & 0x0f;
      this.#isData = opcode < 0x8;
      this.#closed ||= opcode === 0x8;
      data ||= this.#isData;
    }
    return data;
  }

  #isData = false;

  #headerLength(): number {
    if (this.#have < 2) return 2;
    const second = this.#header[1]!;
    const length = second & 0x7f;
    return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + (second & 0x80 ? 4 : 0);
  }

  #payloadLength(): number {
    const length = this.#header[1]! & 0x7f;
    if (length === 126) return this.#header.readUInt16BE(2);
    if (length === 127) return this.#header.readUInt32BE(2) * 2 ** 32 + this.#header.readUInt32BE(6);
    return length;
  }
}

/** A server's close frame with a status (RFC 6455 §7.4.1): 1001 says that this end goes away. */
export function closeFrame(status: number): Buffer {
  return Buffer.from([0x88, 0x02, status >> 8, status & 0xff]);
}
