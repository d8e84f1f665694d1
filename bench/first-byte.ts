import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { isListening } from "./child.ts";
import { WrongAnswerError } from "./scenario.ts";

export type Address = { readonly address: string; readonly port: number };

const patienceMs = 60_000;

/** Asks on a new connection, and resolves with the answer's first piece. Throws WrongAnswerError unless it is the app's. */
export function firstByte({ address, port }: Address, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: address, noDelay: true });
    socket.once("error", reject);
    socket.once("close", () => reject(new WrongAnswerError("the app closed the connection")));
    socket.once("data", (chunk) => {
      const text = chunk.toString("latin1");
      if (text.startsWith("HTTP/1.1 200 ") && !/^x-sandbox-gateway:/im.test(text)) resolve();
      else reject(new WrongAnswerError(`not the app's answer: ${text}`));
      socket.destroy();
    });
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  });
}

/** The same of an app that is about to listen: asked as soon as it does. */
export async function firstByteOnceListening(app: Address): Promise<void> {
  const until = Date.now() + patienceMs;
  while (!(await isListening(app.port, app.address))) {
    if (Date.now() > until) throw new WrongAnswerError("the app does not listen");
    await delay(1);
  }
  await firstByte(app, "localhost");
}
