/**
 * Follows the frames of one direction of a WebSocket (RFC 6455 §5.2) without keeping any of it: tells data from control
 * frames, and where a frame ends.
 */
export class WebSocketFrames {
  /** How many bytes of a frame's header have come; of its first two, their values. */
  #have = 0;
  #first = 0;
  #second = 0;
  /** What the bytes of an extended length have made so far. */
  #length = 0;
  #payloadLeft = 0;
  #closed = false;
  #isData = false;

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
      this.#take(chunk[offset++]!);
      if (this.#have < this.#headerLength()) continue;
      this.#payloadLeft = this.#length;
      this.#have = 0;
      const opcode = this.#first & 0x0f;
      this.#isData = opcode < 0x8;
      this.#closed ||= opcode === 0x8;
      data ||= this.#isData;
    }
    return data;
  }

  #take(byte: number): void {
    const place = this.#have++;
    if (place === 0) this.#first = byte;
    else if (place === 1) {
      this.#second = byte;
      this.#length = this.#lengthBytes() === 0 ? byte & 0x7f : 0;
    } else if (place < 2 + this.#lengthBytes()) this.#length = this.#length * 256 + byte;
  }

  /** How many bytes of an extended length follow the first two. */
  #lengthBytes(): number {
    const length = this.#second & 0x7f;
    return length === 126 ? 2 : length === 127 ? 8 : 0;
  }

  #headerLength(): number {
    if (this.#have < 2) return 2;
    return 2 + this.#lengthBytes() + (this.#second & 0x80 ? 4 : 0);
  }
}

/** A server's close frame with a status (RFC 6455 §7.4.1): 1001 says that this end goes away. */
export function closeFrame(status: number): Buffer {
  return Buffer.from([0x88, 0x02, status >> 8, status & 0xff]);
}
