import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { LogLine } from "../sandbox-engine.ts";
import { isGone } from "./container-calls.ts";
import type { ContainerEvent, ContainerEvents } from "./container-events.ts";
import { readContainerLog, toSince } from "./container-log.ts";
import { containerName } from "./container-options.ts";
import type { DockerClient } from "./docker-client.ts";

/** Keeps a daemon that ends a running container's log from being asked without a pause. */
const pauseMs = 50;

export type LogSource = {
  readonly id: SandboxId;
  readonly client: DockerClient;
  readonly events: ContainerEvents;
  readonly isUp: () => Promise<boolean>;
};

export type LogRequest = { readonly tail?: number; readonly follow?: boolean; readonly signal: AbortSignal };

/** A container's log. The daemon ends what it follows when the container stops; here it goes on with the next run. */
export async function* readLog(source: LogSource, request: LogRequest): AsyncGenerator<LogLine> {
  const { follow = false, signal } = request;
  let since: bigint | undefined;
  while (!signal.aborted) {
    const change = nextChange(source, signal);
    try {
      const opened = BigInt(Date.now()) * 1_000_000n;
      const stream = await open(source, request, since);
      if (stream === undefined) return;
      for await (const { nanoseconds, ...line } of readContainerLog(stream)) {
        since = nanoseconds + 1n;
        yield line;
        if (signal.aborted) return;
      }
      since ??= opened;
      if (!follow || (await isRemoved(source, change.happened))) return;
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    } finally {
      change.forget();
    }
  }
}

async function open({ id, client }: LogSource, { tail, follow, signal }: LogRequest, since: bigint | undefined) {
  const wanted = since === undefined ? { tail: tail ?? "all" } : { since: toSince(since) };
  const options = { stdout: true, stderr: true, timestamps: true, abortSignal: signal, ...wanted } as object;
  try {
    return await client.use(
      async (docker): Promise<AsyncIterable<Buffer>> => {
        const container = docker.getContainer(containerName(id));
        if (!follow) return Readable.from([await container.logs({ ...options, follow: false })]);
        const stream = (await container.logs({ ...options, follow: true })) as Readable;
        signal.addEventListener("abort", () => stream.destroy(), { once: true });
        return stream;
      },
      { patient: true },
    );
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** Waits for the next run of a container that has stopped. True when there will be none. */
async function isRemoved({ isUp }: LogSource, happened: Promise<ContainerEvent["type"]>): Promise<boolean> {
  if (!(await isUp())) return (await happened) === "destroy";
  await delay(pauseMs);
  return false;
}

/** The next event that matters to one who waits for a stopped container; an abort counts as one. */
function nextChange({ id, events }: LogSource, signal: AbortSignal) {
  const { promise, resolve } = Promise.withResolvers<ContainerEvent["type"]>();
  const unwatch = events.watch((event) => {
    const matters = event.type === "start" || event.type === "destroy";
    if (event.type === "gap" || (matters && event.id === id)) resolve(event.type);
  });
  const abort = () => resolve("gap");
  signal.addEventListener("abort", abort, { once: true });
  const forget = () => {
    unwatch();
    signal.removeEventListener("abort", abort);
  };
  return { happened: promise, forget };
}
