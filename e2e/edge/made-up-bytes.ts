import { Readable } from "node:stream";
import { crc32 } from "node:zlib";

const block = Buffer.alloc(256 * 1024);
for (let index = 0; index < block.length; index++) block[index] = (index * 31 + (index >> 8) * 17) & 255;

/** So many bytes that nobody stores: the same ones each time, and no two places of a block alike for long. */
export function madeUpBytes(count: number): Readable {
  let left = count;
  return new Readable({
    highWaterMark: block.length,
    read() {
      const next = block.subarray(0, Math.min(left, block.length));
      left -= next.length;
      this.push(next.length === 0 ? null : next);
    },
  });
}

export type Checksum = { readonly count: number; readonly crc: number };

/** How many bytes came, and what they were. */
export async function checksumOf(bytes: AsyncIterable<Buffer>): Promise<Checksum> {
  let [count, crc] = [0, 0];
  for await (const chunk of bytes) {
    count += chunk.length;
    crc = crc32(chunk, crc);
  }
  return { count, crc };
}
