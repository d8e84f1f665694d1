import { createHash, randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { WrongAnswerError } from "./scenario.ts";

/** Connections opened at a time: more would be refused by the queue of a busy listener. */
const atOnce = 200;
/** A loopback address has about 28,000 ports for one listener: each address takes so many, to leave some over. */
const perAddress = 5_000;
const word = Buffer.from("still there");

/** WebSockets that are open through a gateway and say nothing. */
export class IdleSockets {
  readonly #sockets: readonly Socket[];

  private constructor(sockets: readonly Socket[]) {
    this.#sockets = sockets;
  }

  static async open(port: number, host: string, count: number): Promise<IdleSockets> {
    const sockets: Socket[] = [];
    while (sockets.length < count) {
      const batch = Math.min(atOnce, count - sockets.length);
      const address = `127.0.0.${2 + Math.floor(sockets.length / perAddress)}`;
      sockets.push(...(await Promise.all(Array.from({ length: batch }, () => upgrade(port, host, address)))));
    }
    return new IdleSockets(sockets);
  }

  /** Opens one socket, sends a word over it, and closes it. */
  static async checkEcho(port: number, host: string): Promise<void> {
    const one = await IdleSockets.open(port, host, 1);
    await one.checkSome();
    await one.close();
  }

  /** Sends a word over a hundredth of the sockets. Throws WrongAnswerError unless each comes back. */
  async checkSome(): Promise<void> {
    const dead = this.#sockets.filter(({ destroyed }) => destroyed).length;
    if (dead > 0) throw new WrongAnswerError(`${dead} idle sockets were closed`);
    for (let index = 0; index < this.#sockets.length; index += 100) await echo(this.#sockets[index]!);
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#sockets.map((socket) => {
        const closed = new Promise((resolve) => socket.once("close", resolve));
        socket.end();
        return closed;
      }),
    );
  }
}

/** Opens a WebSocket from a local address. Throws WrongAnswerError unless the upgrade is answered as it must be. */
export function upgrade(port: number, host: string, localAddress: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const key = randomBytes(16).toString("base64");
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    const socket = connect({ port, host: "127.0.0.1", localAddress });
    socket.once("error", reject);
    socket.once("close", () => reject(new WrongAnswerError("an upgrade was not answered")));
    socket.once("data", (chunk) => {
      const text = chunk.toString("latin1");
      if (!text.startsWith("HTTP/1.1 101 ") || !text.includes(accept)) {
        return reject(new WrongAnswerError(`not an upgrade: ${text}`));
      }
      socket.on("error", () => {});
      resolve(socket);
    });
    socket.write(
      `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    );
  });
}

async function echo(socket: Socket): Promise<void> {
  const answered = new Promise<Buffer>((resolve, reject) => {
    socket.once("data", resolve);
    socket.once("close", () => reject(new WrongAnswerError("an idle socket was closed")));
  });
  socket.write(textFrame(word));
  const frame = await answered;
  if (!frame.subarray(2).equals(word)) throw new WrongAnswerError(`an idle socket echoed ${frame.toString("hex")}`);
}

/** A masked text frame as a client's (RFC 6455 §5.2). */
export function textFrame(payload: Buffer): Buffer {
  const mask = randomBytes(4);
  const masked = payload.map((byte, index) => byte ^ mask[index % 4]!);
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), mask, masked]);
}
