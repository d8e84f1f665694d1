import { once } from "node:events";
import type { Test } from "tap";
import type { Route, WakeOutcome } from "#contract/gateway-api.ts";
import type { GatewayConfig } from "../config.ts";
import { addRoute, eventually, newId, RawClient, routeTo, startGateway, type TestGateway } from "./test-gateway.ts";

export const get = (host: string, more = "") => `GET / HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`;
export const upgrade = (host: string) =>
  get(host, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n");

/** A gateway with one sleeping sandbox, whose wake ends when the test says so. */
export class Sleeping {
  readonly test: TestGateway;
  readonly route: Route;
  readonly host: string;
  readonly #wakes: ((outcome: WakeOutcome) => void)[] = [];

  private constructor(test: TestGateway, route: Route, host: string) {
    this.test = test;
    this.route = route;
    this.host = host;
    test.control.wake = () => new Promise((resolve) => this.#wakes.push(resolve));
  }

  static async open(t: Test, app: number, config: Partial<GatewayConfig> = {}): Promise<Sleeping> {
    const test = await startGateway(t, config);
    const route = routeTo(newId(), app);
    return new Sleeping(test, route, await addRoute(test, { ...route, status: "stopped", endpoints: [] }));
  }

  get wakes(): number {
    return this.test.control.wakes.length;
  }

  client(bytes = get(this.host)): RawClient {
    return new RawClient(this.test.port).send(bytes);
  }

  /** Sends one request and resolves when control has heard of it. */
  async firstClient(bytes?: string): Promise<RawClient> {
    const heard = once(this.test.control.called, "wake");
    const client = this.client(bytes);
    await heard;
    return client;
  }

  /** Resolves when the gateway has so many requests open. */
  async holds(count: number): Promise<void> {
    const held = () => this.test.control.reports.at(-1)?.sandboxes.find(({ id }) => id === this.route.id);
    await eventually(() => {
      const { openRequests = 0, openSockets = 0 } = held() ?? {};
      return openRequests + openSockets === count;
    }, `${count} are held`);
  }

  end(outcome: WakeOutcome): void {
    for (const resolve of this.#wakes.splice(0)) resolve(outcome);
  }

  /** The sandbox runs now. */
  succeed(): void {
    this.end({ outcome: "ready", route: this.test.control.publish({ ...this.route, run: 2 }) });
  }
}
