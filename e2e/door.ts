import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * Carries connections from one network namespace to another over a unix socket. Run as a program it is the inner side:
 * `door.ts <port> <socket>` listens on the port of its own loopback.
 */
export function carry(server: Server, dial: () => Socket): Server {
  return server.on("connection", (near: Socket) => {
    const far = dial();
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
}

if (import.meta.main) {
  const [port, path] = process.argv.slice(2);
  carry(createServer(), () => connect(path!)).listen(Number(port), "127.0.0.1");
}
