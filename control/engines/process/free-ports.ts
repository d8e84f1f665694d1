import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { EngineError } from "../sandbox-engine.ts";

/** Below the range out of which kernels take the local ports of outgoing connections. */
const lowest = 20_000;
const highest = 29_999;
const tries = 200;

/** Hands out ports of 127.0.0.1 that nothing listens on, none of them twice until it is released. */
export class FreePorts {
  readonly #taken = new Set<number>();

  /** Throws `start_failed` when it finds none. */
  async take(count: number): Promise<number[]> {
    const taken = await Promise.allSettled(Array.from({ length: count }, () => this.#takeOne()));
    const ports = taken.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    if (ports.length === count) return ports;
    this.release(ports);
    throw new EngineError("start_failed", `No free port between ${lowest} and ${highest}`);
  }

  /** Notes ports that an earlier run of this program handed out. */
  adopt(ports: readonly number[]): void {
    for (const port of ports) this.#taken.add(port);
  }

  release(ports: readonly number[]): void {
    for (const port of ports) this.#taken.delete(port);
  }

  async #takeOne(): Promise<number> {
    for (let attempt = 0; attempt < tries; attempt++) {
      const port = randomInt(lowest, highest + 1);
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      if (await canBind(port)) return port;
      this.#taken.delete(port);
    }
    throw new Error("every port tried is in use");
  }
}

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
