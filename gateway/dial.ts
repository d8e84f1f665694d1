import { createConnection } from "node:net";
import type { Endpoint } from "#contract/gateway-api.ts";

/** Whether the endpoint takes a connection within so many milliseconds. The connection is closed at once. */
export function dial({ address, upstreamPort }: Endpoint, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: address, port: upstreamPort, timeout: timeoutMs });
    const end = (reached: boolean) => {
      socket.destroy();
      resolve(reached);
    };
    socket.once("connect", () => end(true));
    socket.once("timeout", () => end(false));
    socket.once("error", () => end(false));
  });
}
