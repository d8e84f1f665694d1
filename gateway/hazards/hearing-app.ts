import type { Socket } from "node:net";
import { ok } from "./test-gateway.ts";

/** An app that keeps what it hears, and answers once that ends so. */
export function hearing(
  end: string,
  answer = ok,
): { app: (socket: Socket) => void; heard: () => string; closed: Promise<void> } {
  let text = "";
  const closed = Promise.withResolvers<void>();
  const app = (socket: Socket) => {
    // Only connections with a request matter: others are looks at whether the port answers.
    socket.once("data", () => socket.once("close", closed.resolve));
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (text.endsWith(end)) socket.write(answer);
    });
    socket.once("end", () => socket.end());
  };
  return { app, heard: () => text, closed: closed.promise };
}
