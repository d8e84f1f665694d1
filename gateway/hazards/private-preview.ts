import type { Test } from "tap";
import type { AccessSettings } from "#contract/access.ts";
import type { Route } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import {
  addRoute,
  answering,
  exchangeBytes,
  newId,
  routeTo,
  startApp,
  startGateway,
  type TestGateway,
} from "./test-gateway.ts";
import { hmacKey, publicKey } from "./test-tokens.ts";

/** A private preview whose app remembers what reached it. */
export type PrivatePreview = TestGateway & {
  readonly id: SandboxId;
  readonly host: string;
  readonly route: Route;
  readonly appPort: number;
  /** The heads that the app got, oldest first. */
  readonly heads: string[];
  /** Sends one request with these header lines on a connection of its own, and returns the whole answer. */
  ask(lines?: string, requestLine?: string, body?: string): Promise<string>;
};

const upgraded = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

export async function startPrivatePreview(
  t: Test,
  {
    settings = {},
    route = {},
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  }: { settings?: Partial<AccessSettings>; route?: Partial<Route>; answer?: string } = {},
): Promise<PrivatePreview> {
  const test = await startGateway(t);
  const keys = [hmacKey, publicKey("EdDSA"), publicKey("ES256"), publicKey("RS256")];
  await settle(test, () => test.control.setAccess({ keys, ...settings }));
  const heads: string[] = [];
  const app = await startApp(
    t,
    answering((head) => {
      heads.push(head);
      return /^upgrade:/im.test(head) ? upgraded : answer;
    }),
  );
  const id = newId();
  const made = routeTo(id, app, { visibility: "private", ...route });
  const host = await addRoute(test, made);
  const ask = (lines = "", requestLine = "GET / HTTP/1.1", body = "") =>
    exchangeBytes(test.port, `${requestLine}\r\nHost: ${host}\r\nConnection: close\r\n${lines}\r\n${body}`);
  return { ...test, id, host, route: made, appPort: app, heads, ask };
}

/** Does something that control tells on the stream, and resolves when the gateway has heard it. */
export async function settle({ gateway, control }: TestGateway, act: () => void): Promise<void> {
  act();
  // Both come on one stream: whoever has heard of this has heard of that.
  await addRoute({ gateway, control, port: 0 }, routeTo(newId(), 1));
}

export const statusOf = (answer: string) => Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(answer)?.[1]);
export const reasonOf = (answer: string) => /"reason":"([a-z_]+)"/.exec(answer)?.[1];

export function headerOf(answer: string, name: string): string | undefined {
  return new RegExp(`^${name}: (.*)\r$`, "im").exec(answer)?.[1];
}

export const navigation = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n";
