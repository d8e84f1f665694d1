import type { Readable } from "node:stream";
import { Client, type Dispatcher } from "undici";
import {
  decodeKeyAnswer,
  decodeShareOutcome,
  type KeyAnswer,
  type RefusalReport,
  type ShareOutcome,
  type ShareRequest,
} from "#contract/access.ts";
import {
  type ActivityReport,
  decodeListeners,
  decodeProgressMessage,
  decodeRouteMessage,
  decodeWakeOutcome,
  type FenceReport,
  gatewayApiHost,
  gatewayApiPaths,
  type Listeners,
  type ProgressMessage,
  type RouteMessage,
  type WakeOutcome,
  type WakeRequest,
} from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { UpstreamPool } from "./upstream-pool.ts";

/** Control did not answer, or not in the words of the contract. `cause` is kept. */
export class ControlUnavailableError extends Error {
  override readonly name = "ControlUnavailableError";
}

const origin = `http://${gatewayApiHost}`;
/** Control holds a wake until its outcome is known: no timeout of the transport may cut it. */
const accessPatienceMs = 10_000;
const patience = { headersTimeout: 0, bodyTimeout: 0 };

/** The gateway's calls to control over its unix socket. Every method throws ControlUnavailableError. */
export class ControlClient {
  readonly #socketPath: string;
  readonly #calls: UpstreamPool;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
    this.#calls = new UpstreamPool(origin, { socketPath, keepAliveTimeout: 4_000 });
  }

  /** Yields the routes stream: a snapshot first, unless control can go on after `since` of the same epoch. */
  async *routes(
    worker: string,
    { epoch, since, signal }: { epoch: string; since: number; signal: AbortSignal },
  ): AsyncGenerator<RouteMessage> {
    const query = new URLSearchParams({ worker, ...(epoch && { epoch, since: String(since) }) });
    // A connection of its own: it is never idle.
    const client = new Client(origin, { socketPath: this.#socketPath, ...patience });
    try {
      const lines = this.#lines(client, `${gatewayApiPaths.routes}?${query}`, signal);
      for await (const line of lines) yield decodeRouteMessage(line);
    } catch (cause) {
      throw new ControlUnavailableError("the routes stream ended", { cause });
    } finally {
      void client.destroy();
    }
  }

  /** Asks for a wake and waits for its outcome. Leaving early does not cancel the wake. */
  async wake(id: SandboxId, request: WakeRequest, signal?: AbortSignal): Promise<WakeOutcome> {
    return await this.#call("POST", withId(gatewayApiPaths.wake, id), decodeWakeOutcome, { body: request, signal });
  }

  /** Yields a wake's progress and the sandbox's log until the signal aborts. */
  async *progress(id: SandboxId, signal: AbortSignal): AsyncGenerator<ProgressMessage> {
    const client = new Client(origin, { socketPath: this.#socketPath, ...patience });
    try {
      for await (const line of this.#lines(client, withId(gatewayApiPaths.progress, id), signal)) {
        yield decodeProgressMessage(line);
      }
    } catch (cause) {
      throw new ControlUnavailableError("the progress stream ended", { cause });
    } finally {
      void client.destroy();
    }
  }

  async listeners(id: SandboxId, signal?: AbortSignal): Promise<Listeners> {
    return await this.#call("GET", withId(gatewayApiPaths.listeners, id), decodeListeners, { signal });
  }

  async report(report: ActivityReport): Promise<void> {
    await this.#call("POST", gatewayApiPaths.activity, nothing, { body: report, signal: AbortSignal.timeout(5_000) });
  }

  async acknowledgeFence(report: FenceReport): Promise<void> {
    await this.#call("POST", gatewayApiPaths.fences, nothing, { body: report, signal: AbortSignal.timeout(5_000) });
  }

  /** Looks at a share, or uses it once. */
  async share(request: ShareRequest): Promise<ShareOutcome> {
    const signal = AbortSignal.timeout(accessPatienceMs);
    return await this.#call("POST", gatewayApiPaths.shares, decodeShareOutcome, { body: request, signal });
  }

  /** Has control look for keys that it does not know yet. */
  async findKeys(): Promise<KeyAnswer> {
    const signal = AbortSignal.timeout(accessPatienceMs);
    return await this.#call("POST", gatewayApiPaths.keys, decodeKeyAnswer, { body: {}, signal });
  }

  async reportRefusals(report: RefusalReport): Promise<void> {
    await this.#call("POST", gatewayApiPaths.refusals, nothing, { body: report, signal: AbortSignal.timeout(5_000) });
  }

  async close(): Promise<void> {
    await this.#calls.destroy();
  }

  async #call<T>(
    method: "GET" | "POST",
    path: string,
    decode: (text: string) => T,
    { body, signal }: { body?: unknown; signal?: AbortSignal | undefined },
  ): Promise<T> {
    try {
      const answer = await this.#calls.request({
        method,
        path,
        headers: body === undefined ? {} : { "content-type": "application/json" },
        body: body === undefined ? null : JSON.stringify(body),
        ...(signal && { signal }),
        ...patience,
      });
      const text = await answer.body.text();
      if (answer.statusCode >= 300) throw new Error(`control answered ${answer.statusCode}: ${text.slice(0, 200)}`);
      return decode(text);
    } catch (cause) {
      throw new ControlUnavailableError(`control did not answer ${method} ${path}`, { cause });
    }
  }

  async *#lines(client: Dispatcher, path: string, signal: AbortSignal): AsyncGenerator<string> {
    const { statusCode, body } = await client.request({ method: "GET", path, signal });
    if (statusCode !== 200) throw new Error(`control answered ${statusCode} to ${path}`);
    yield* lines(body);
  }
}

function nothing(): void {}

function withId(path: string, id: SandboxId): string {
  return path.replace("{id}", id);
}

/** Splits a stream at line feeds; a piece without one at the end is not a line. */
async function* lines(stream: Readable): AsyncGenerator<string> {
  stream.setEncoding("utf8");
  let rest = "";
  for await (const chunk of stream as AsyncIterable<string>) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop()!;
    for (const part of parts) if (part !== "") yield part;
  }
}
