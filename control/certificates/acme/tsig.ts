import { createHmac, timingSafeEqual } from "node:crypto";
import { type Answer, type DecodedPacket, decode, encode, type Packet } from "dns-packet";

/** A secret that a name server shares with those who may change its zones (RFC 8945). */
export type TsigKey = {
  /** In lower case, without the last dot. */
  readonly name: string;
  readonly algorithm: TsigAlgorithm;
  readonly secret: Buffer;
};
export type TsigAlgorithm = (typeof algorithms)[number];

const algorithms = ["hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"] as const;

/** As `nsupdate -y` and `tsig-keygen` have it. */
export const tsigKeyForm = "algorithm:name:secret, such as hmac-sha256:update:<base64>";

/** Undefined for what is not in that form. */
export function readTsigKey(text: string): TsigKey | undefined {
  const match = /^(?:([a-z0-9-]+):)?([A-Za-z0-9._-]+):([A-Za-z0-9+/]+={0,2})$/.exec(text.trim());
  if (match === null) return undefined;
  const [, algorithm = "hmac-sha256", name = "", secret = ""] = match;
  if (!algorithms.includes(algorithm as TsigAlgorithm)) return undefined;
  return {
    name: name.toLowerCase().replace(/\.$/, ""),
    algorithm: algorithm as TsigAlgorithm,
    secret: Buffer.from(secret, "base64"),
  };
}

/** How far the clocks may be apart. */
const fudgeSeconds = 300;
/** Of the record before its data: type, class, TTL and length (RFC 1035 §3.2.1). */
const fixedLength = 10;

export type SignedRequest = { readonly message: Buffer; readonly mac: Buffer };

/** The message with a TSIG record at its end (RFC 8945 §5.1). */
export function signRequest(packet: Packet, unsigned: Buffer, key: TsigKey, now: Date): SignedRequest {
  const times = timesAt(now);
  const variables = variablesOf(key, times, 0, Buffer.alloc(0));
  const mac = createHmac(key.algorithm.slice(5), key.secret).update(unsigned).update(variables).digest();
  const rest = Buffer.alloc(6);
  rest.writeUInt16BE(packet.id!, 0);
  const data = Buffer.concat([wireName(key.algorithm), times, withLength(mac), rest]);
  const record = { type: "TSIG", name: key.name, class: "ANY", ttl: 0, data } as Answer;
  // Encoded alone: the library does not know all that the message says.
  const alone = encode({ type: "query", additionals: [record] });
  const message = Buffer.concat([unsigned, alone.subarray(12)]);
  message.writeUInt16BE(message.readUInt16BE(10) + 1, 10);
  return { message, mac };
}

/**
 * Decodes the answer to a signed request (RFC 8945 §5.3).
 *
 * @throws {Error} when the server did not sign it with the key, and when it says that ours is not right.
 */
export function readSignedAnswer(message: Buffer, request: SignedRequest, key: TsigKey, now: Date): DecodedPacket {
  const packet = decode(message);
  const record = packet.additionals?.at(-1);
  if (record?.type !== "TSIG") {
    // A server that does not know the key cannot sign.
    if (rcodeOf(message) !== 0) return packet;
    throw new Error("the name server's answer is not signed");
  }
  const { times, mac, error, other } = readData(record.data as Buffer);
  if (error !== 0) throw new Error(`the name server refuses the key ${key.name}: ${errors[error] ?? `error ${error}`}`);
  const variables = variablesOf(key, times, error, other);
  const expected = createHmac(key.algorithm.slice(5), key.secret)
    .update(withLength(request.mac))
    .update(withoutLast(message, key, record.data as Buffer))
    .update(variables)
    .digest();
  const isRight = mac.length === expected.length && timingSafeEqual(mac, expected);
  const apart = Math.abs(times.readUIntBE(0, 6) - now.getTime() / 1000);
  if (!isRight || apart > fudgeSeconds) throw new Error(`the name server's answer is not signed with ${key.name}`);
  return packet;
}

export function rcodeOf(message: Buffer): number {
  return message[3]! & 0xf;
}

const errors: Record<number, string> = {
  16: "the secret or its algorithm is another one (BADSIG)",
  17: "it does not know it, or the key may not do this (BADKEY)",
  18: "the clocks are too far apart (BADTIME)",
  22: "it wants a longer signature (BADTRUNC)",
};

/** Seconds in 48 bits, then how many of them do not matter. */
function timesAt(now: Date): Buffer {
  const times = Buffer.alloc(8);
  times.writeUIntBE(Math.floor(now.getTime() / 1000), 0, 6);
  times.writeUInt16BE(fudgeSeconds, 6);
  return times;
}

/** RFC 8945 §4.3.3. */
function variablesOf(key: TsigKey, times: Buffer, error: number, other: Buffer): Buffer {
  const anyClassNoTtl = Buffer.from([0, 255, 0, 0, 0, 0]);
  const code = Buffer.from([error >> 8, error & 0xff]);
  return Buffer.concat([wireName(key.name), anyClassNoTtl, wireName(key.algorithm), times, code, withLength(other)]);
}

function readData(data: Buffer): { times: Buffer; mac: Buffer; error: number; other: Buffer } {
  let offset = 0;
  while (data[offset] !== 0) offset += data[offset]! + 1;
  offset++;
  const times = data.subarray(offset, offset + 8);
  const macLength = data.readUInt16BE(offset + 8);
  const mac = data.subarray(offset + 10, offset + 10 + macLength);
  const rest = data.subarray(offset + 10 + macLength);
  return { times, mac, error: rest.readUInt16BE(2), other: rest.subarray(6) };
}

/** The message as it was before the server put its TSIG record at the end. */
function withoutLast(message: Buffer, key: TsigKey, data: Buffer): Buffer {
  const end = message.length - data.length - fixedLength;
  const name = wireName(key.name);
  const isWhole =
    message
      .subarray(end - name.length, end)
      .toString("latin1")
      .toLowerCase() === name.toString("latin1");
  const before = Buffer.from(message.subarray(0, end - (isWhole ? name.length : 2)));
  before.writeUInt16BE(before.readUInt16BE(10) - 1, 10);
  return before;
}

function wireName(name: string): Buffer {
  const labels = name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label, "latin1")]));
  return Buffer.concat([...labels, Buffer.alloc(1)]);
}

function withLength(content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([content.length >> 8, content.length & 0xff]), content]);
}
