import { randomInt } from "node:crypto";
import { connect } from "node:net";
import { type Answer, encode, type Packet } from "dns-packet";
import { type Address, formatAddress } from "#contract/environment.ts";
import type { ChallengeRecord, ChallengeRecords } from "./challenge-records.ts";
import type { NameServers } from "./name-servers.ts";
import { rcodeOf, readSignedAnswer, signRequest, type TsigKey } from "./tsig.ts";

const answerMs = 10_000;
const ttlSeconds = 60;
const update = 5 << 11;
/** The class of a record that is to go (RFC 2136 §2.5.4). */
const none = 254;

/** Changes the zone itself, by DNS UPDATE over TCP (RFC 2136), signed with TSIG. */
export class DnsUpdate implements ChallengeRecords {
  readonly #server: Address;
  readonly #key: TsigKey;
  readonly #nameServers: NameServers;

  constructor(server: Address, key: TsigKey, nameServers: NameServers) {
    this.#server = server;
    this.#key = key;
    this.#nameServers = nameServers;
  }

  present(record: ChallengeRecord, signal: AbortSignal): Promise<void> {
    return this.#update(record, "add", signal);
  }

  remove(record: ChallengeRecord, signal: AbortSignal): Promise<void> {
    return this.#update(record, "delete", signal);
  }

  async #update({ name, value }: ChallengeRecord, change: "add" | "delete", signal: AbortSignal): Promise<void> {
    const { zone } = await this.#nameServers.authorityOf(name, signal);
    const packet = updateOf(zone, name, value, change);
    const unsigned = encodeUpdate(packet, zone, name, change);
    const request = signRequest(packet, unsigned, this.#key, new Date());
    const message = await exchange(this.#server, request.message, signal);
    if (message.length < 12 || message.readUInt16BE(0) !== packet.id) {
      throw new Error("the name server's answer is of another request");
    }
    readSignedAnswer(message, request, this.#key, new Date());
    const rcode = rcodeOf(message);
    if (rcode !== 0) throw new Error(`the name server refuses to change ${name}: ${codes[rcode] ?? `code ${rcode}`}`);
  }
}

const codes: Record<number, string> = {
  1: "FORMERR",
  2: "SERVFAIL",
  4: "NOTIMP, it takes no updates",
  5: "REFUSED, the key may not do that",
  9: "NOTAUTH, it is not the zone's primary or does not know the key",
  10: "NOTZONE",
};

function updateOf(zone: string, name: string, value: string, change: "add" | "delete"): Packet {
  const ttl = change === "add" ? ttlSeconds : 0;
  const record: Answer = { type: "TXT", name, class: "IN", ttl, data: [value] };
  return {
    type: "query",
    id: randomInt(0x10000),
    flags: update,
    questions: [{ type: "SOA", name: zone, class: "IN" }],
    authorities: [record],
  };
}

function encodeUpdate(packet: Packet, zone: string, name: string, change: "add" | "delete"): Buffer {
  const message = encode(packet);
  if (change === "add") return message;
  // The library has no name for this class. A name on the wire is two bytes longer than it is written.
  const classOfRecord = 12 + (zone.length + 2 + 4) + (name.length + 2) + 2;
  message.writeUInt16BE(none, classOfRecord);
  return message;
}

/** One message there and one back, each behind its length (RFC 1035 §4.2.2). */
async function exchange({ host, port }: Address, message: Buffer, signal: AbortSignal): Promise<Buffer> {
  const both = AbortSignal.any([signal, AbortSignal.timeout(answerMs)]);
  const socket = connect({ host, port });
  const stop = () => socket.destroy(new Error("no answer in time"));
  both.addEventListener("abort", stop, { once: true });
  try {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    socket.write(Buffer.concat([length, message]));
    let received = Buffer.alloc(0);
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk]);
      if (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        return received.subarray(2, 2 + received.readUInt16BE(0));
      }
    }
    throw new Error("it ends the connection");
  } catch (cause) {
    signal.throwIfAborted();
    const { message: reason } = cause as Error;
    throw new Error(`the name server ${formatAddress({ host, port })} does not take updates: ${reason}`, { cause });
  } finally {
    both.removeEventListener("abort", stop);
    socket.destroy();
  }
}
