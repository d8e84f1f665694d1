/** Opens an edge whose settings are in its environment, and ends with 0 when Traefik serves the CA's certificate. */
import "./die-once.ts";
import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { openEdge } from "../edge.ts";

const { config, options } = JSON.parse(process.env.EDGE!);
await using edge = await openEdge(config, { logger: pino({ level: "warn" }), ...options });
for (;;) {
  const status = edge.status();
  if (status.tls && status.from === "acme" && status.served === true) break;
  await delay(20);
}
