import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { ulid } from "ulid";
import type {
  AccessMessage,
  AccessSettings,
  KeyAnswer,
  RefusalReport,
  Revocation,
  ShareOutcome,
  ShareRequest,
} from "#contract/access.ts";
import {
  type ActivityReport,
  type FenceReport,
  gatewayApiHost,
  type Listeners,
  type ProgressMessage,
  type Route,
  type RouteMessage,
  type WakeOutcome,
  type WakeRequest,
} from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { ControlClient } from "../control-client.ts";

type Call =
  | "shares"
  | "keys"
  | "refusals"
  | "routes"
  | "wake"
  | "listeners"
  | "progress"
  | "fences"
  | "activity"
  | "api";

/** Control as the gateway sees it: the contract over a real unix socket, with answers that a test decides. */
export class TestControl {
  readonly socketPath: string;
  readonly fences: FenceReport[] = [];
  readonly reports: ActivityReport[] = [];
  readonly wakes: SandboxId[] = [];
  readonly wakeRequests: WakeRequest[] = [];
  /** What a routes stream was asked for with, oldest first. */
  readonly watches: URLSearchParams[] = [];
  /** Every call of the gateway's own and of the API, oldest first. */
  readonly calls: Call[] = [];
  /** Emits each call by its name when it was recorded. */
  readonly called = new EventEmitter<Record<Call, []>>();
  /** What the API answers to calls that are passed on. */
  api: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => response.end("api");
  wake: (id: SandboxId) => Promise<WakeOutcome> | WakeOutcome = () => ({ outcome: "timed-out" });
  listeners: Listeners = { reachable: [], loopbackOnly: [] };
  /** Returns false to break a call off without an answer. */
  accept: (call: Call) => Promise<boolean> | boolean = () => true;
  revision = 0;
  readonly shareRequests: ShareRequest[] = [];
  share: (request: ShareRequest) => ShareOutcome = () => ({ outcome: "refused", reason: "revoked" });
  findKeys: () => KeyAnswer = () => ({ access: this.access, retryAfterMs: 30_000 });
  readonly refusals: RefusalReport["refusals"][number][] = [];
  #server: Server | undefined;
  readonly #streams = new Set<ServerResponse>();
  readonly #progress = new Map<string, Set<ServerResponse>>();
  readonly #routes = new Map<SandboxId, Route>();
  readonly #changes: RouteMessage[] = [];
  #epoch = ulid();
  #settings: AccessSettings = {
    ...{ secure: false, sessionKey: Buffer.alloc(32, 7).toString("base64url"), keys: [] },
    ...{ keysMayGrow: false, redirectUrl: null, denyMode: "redirect" },
  };
  #revocations: Revocation[] = [];

  constructor(directory: string) {
    this.called.setMaxListeners(0);
    this.socketPath = join(directory, "control.sock");
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** `keepEpoch`: it is the control from before, and streams may resume. */
  async start({ keepEpoch = false } = {}): Promise<void> {
    if (!keepEpoch) this.#epoch = ulid();
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.listen(this.socketPath);
    await once(this.#server, "listening");
  }

  async stop(): Promise<void> {
    this.#server?.close();
    this.#server?.closeAllConnections();
    if (this.#server) await once(this.#server, "close");
    this.#server = undefined;
  }

  /** Tells every gateway of this route, with the next generation. */
  publish(route: Route): Route {
    const next = this.learn(route);
    this.send({ type: "change", revision: this.revision, route: next });
    return next;
  }

  /** Changes a route and tells nobody, as when a change is lost on its way. */
  learn(route: Route): Route {
    const known = this.#routes.get(route.id);
    const next = { ...route, generation: Math.max(route.generation, (known?.generation ?? 0) + 1) };
    this.#routes.set(route.id, next);
    this.#changes[++this.revision] = { type: "change", revision: this.revision, route: next };
    return next;
  }

  remove(id: SandboxId): void {
    this.#routes.delete(id);
    const removal = { type: "removal", revision: ++this.revision, id } as const;
    this.#changes[this.revision] = removal;
    this.send(removal);
  }

  /** What every routes stream begins with. */
  get access(): AccessMessage {
    return { type: "access", settings: this.#settings, revocations: this.#revocations };
  }

  /** Changes what decides about access, and tells every gateway. */
  setAccess(settings: Partial<AccessSettings>): void {
    this.#settings = { ...this.#settings, ...settings };
    this.send(this.access);
  }

  revoke(revocation: Revocation): void {
    this.#revocations.push(revocation);
    this.send({ type: "revocation", revocation });
  }

  /** Says this on every routes stream. */
  send(message: RouteMessage): void {
    for (const stream of this.#streams) stream.write(`${JSON.stringify(message)}\n`);
  }

  /** Breaks every routes stream. */
  cut(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  /** Says this to whoever follows the sandbox's wake. */
  tell(id: SandboxId, message: ProgressMessage): void {
    for (const stream of this.#progress.get(id) ?? []) stream.write(`${JSON.stringify(message)}\n`);
  }

  /** How many follow the wake of this sandbox, or of any. */
  followers(id?: SandboxId): number {
    const streams = id === undefined ? [...this.#progress.values()] : [this.#progress.get(id) ?? new Set()];
    return streams.reduce((sum, { size }) => sum + size, 0);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { host } = request.headers;
    const url = new URL(request.url!, "http://control");
    const [, , , id = "", action = ""] = url.pathname.split("/");
    const call = (host !== gatewayApiHost ? "api" : action || url.pathname.split("/")[2]) as Call;
    this.calls.push(call);
    if (!(await this.accept(call))) return void response.destroy();
    await this.#answer(call, id as SandboxId, url, request, response);
    this.called.emit(call);
  }

  async #answer(
    call: Call,
    id: SandboxId,
    url: URL,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    switch (call) {
      case "api":
        return this.api(request, response);
      case "routes":
        this.watches.push(url.searchParams);
        return this.#stream(url.searchParams, response);
      case "wake":
        this.wakes.push(id);
        this.wakeRequests.push(JSON.parse(Buffer.concat(await request.toArray()).toString()));
        return void Promise.resolve(this.wake(id)).then((outcome) => response.end(JSON.stringify(outcome)));
      case "shares": {
        const asked = JSON.parse(Buffer.concat(await request.toArray()).toString()) as ShareRequest;
        this.shareRequests.push(asked);
        return void response.end(JSON.stringify(this.share(asked)));
      }
      case "keys":
        return void response.end(JSON.stringify(this.findKeys()));
      case "refusals": {
        const report = JSON.parse(Buffer.concat(await request.toArray()).toString()) as RefusalReport;
        this.refusals.push(...report.refusals);
        return void response.writeHead(204).end();
      }
      case "listeners":
        return void response.end(JSON.stringify(this.listeners));
      case "progress":
        return this.#follow(id, response);
      case "fences":
      case "activity": {
        const body = JSON.parse(Buffer.concat(await request.toArray()).toString());
        (call === "fences" ? this.fences : this.reports).push(body);
        return void response.writeHead(204).end();
      }
      default: {
        const never: never = call;
        throw new Error(`unknown call: ${never}`);
      }
    }
  }

  #stream(query: URLSearchParams, response: ServerResponse): void {
    this.#streams.add(response);
    response.once("close", () => this.#streams.delete(response));
    response.write(`${JSON.stringify(this.access)}\n`);
    if (query.get("epoch") === this.#epoch) {
      for (const message of this.#changes.slice(Number(query.get("since")) + 1)) {
        response.write(`${JSON.stringify(message)}\n`);
      }
      return;
    }
    const routes = [...this.#routes.values()];
    response.write(`${JSON.stringify({ type: "snapshot", epoch: this.#epoch, revision: this.revision, routes })}\n`);
  }

  #follow(id: string, response: ServerResponse): void {
    const streams = this.#progress.get(id) ?? new Set();
    this.#progress.set(id, streams.add(response));
    response.once("close", () => streams.delete(response));
    response.flushHeaders();
  }
}

/** A test control and the gateway's own client of it; both end with the test. */
export async function startControl(
  t: Test,
): Promise<{ readonly control: TestControl; readonly client: ControlClient }> {
  const directory = mkdtempSync(join(tmpdir(), "gateway-"));
  const control = new TestControl(directory);
  await control.start();
  const client = new ControlClient(control.socketPath);
  t.teardown(async () => {
    await client.close();
    await control.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  return { control, client };
}
