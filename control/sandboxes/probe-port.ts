import { get } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { Endpoint } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { notFound, wakeRefusal } from "../api-error.ts";
import type { Collaborators } from "./collaborators.ts";

const pauseMs = 25;
const answerPatienceMs = 5_000;

/**
 * Resolves when a port of a running sandbox answers HTTP with any status, or takes a connection and speaks something
 * else. Throws ApiError when the sandbox ends meanwhile and `start_failed` when the signal aborts first.
 */
export async function probePort(
  { records }: Collaborators,
  id: SandboxId,
  port: number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const sandbox = records.get(id);
    if (sandbox === undefined) throw notFound();
    if (sandbox.status === "stopped" && sandbox.reason?.code === "exited")
      throw wakeRefusal({ ...sandbox.reason, code: "exited" });
    const endpoint = records.endpoints(id).find((each) => each.port === port);
    if (endpoint !== undefined && (await answers(endpoint))) return;
    await delay(pauseMs, undefined, { signal }).catch(() => {});
  }
  const message = `The sandbox runs, but nothing answered on port ${port} in time`;
  throw wakeRefusal({ code: "start_failed", message });
}

function answers({ address, upstreamPort, port }: Endpoint): Promise<boolean> {
  return new Promise((resolve) => {
    const options = {
      host: address,
      port: upstreamPort,
      headers: { host: `localhost:${port}` },
      agent: false,
    } as const;
    let connected = false;
    const request = get(options, (response) => {
      response.destroy();
      resolve(true);
    });
    request.setTimeout(answerPatienceMs, () => request.destroy());
    request.on("socket", (socket) => socket.on("connect", () => (connected = true)));
    // A server of another protocol takes the connection and then the request as nonsense.
    request.on("error", ({ code }: NodeJS.ErrnoException) => resolve(connected && code !== "ECONNRESET"));
    request.on("close", () => resolve(false));
  });
}
