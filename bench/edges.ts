import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createAnswering } from "./answers.ts";
import { firstLine, startChild } from "./child.ts";
import { type Contender, freePort } from "./proxies/contender.ts";
import { startDirectTraefik, startProjectTraefik } from "./proxies/traefik.ts";
import type { ScenarioOptions } from "./scenario.ts";
import { startStack } from "./stack.ts";
import { mintToken, tokenKey } from "./tokens.ts";

/** One way in from outside, over TLS, to a public and to a private preview. */
export type Edge = { readonly open: Contender; readonly hidden: Contender };

export interface Edges extends AsyncDisposable {
  /** Traefik as the project sets it up, before the gateway. */
  readonly own: Edge;
  /** Traefik straight to the apps, with an access log, and forwardAuth for the private one. */
  readonly direct: Edge;
  /** The token of a sandbox that is neither of them. */
  readonly otherToken: string;
}

/** Starts both ways in to the same two apps, with the same certificate. */
export async function startEdges({ profileDirectory }: ScenarioOptions): Promise<Edges> {
  await using started = new AsyncDisposableStack();
  const ports = { web: await freePort(), websecure: await freePort(), internal: await freePort() };
  const environment = {
    PREVIEW_TLS: "true",
    PREVIEW_ENTRYPOINT: "websecure",
    HTTP_PORT: String(ports.web),
    HTTPS_PORT: String(ports.websecure),
  };
  const stack = started.use(await startStack({ profileDirectory, environment }));
  const open = await createAnswering(stack, "public");
  const hidden = await createAnswering(stack, "private");
  const dynamic = join(stack.dataDirectory, "traefik", "dynamic");
  const authority = await readFile(join(stack.dataDirectory, "certificates", "ca.pem"), "utf8");
  const traefik = started.use(await startProjectTraefik(join(stack.dataDirectory, "own"), dynamic, ports));

  const program = fileURLToPath(new URL("proxies/token-checker.ts", import.meta.url));
  const env = { ...process.env, NODE_NO_WARNINGS: "1" };
  const checker = started.use(startChild(process.execPath, [program, tokenKey.secret], { env }));
  const routes = [
    { host: nameOf(open.sandbox.host), appPort: open.port },
    { host: nameOf(hidden.sandbox.host), appPort: hidden.port, checkerPort: await firstLine(checker, Number) },
  ];
  const directPort = await freePort();
  const certificate = await readFile(join(dynamic, "certificate.yml"), "utf8");
  const directory = join(stack.dataDirectory, "direct");
  const direct = started.use(await startDirectTraefik(directory, directPort, routes, certificate));

  const edge = (way: string, pid: number, port: number, others: readonly number[]): Edge => {
    const common = { pid, port, others, authority, respellsPaths: true };
    const headers = { "x-preview-token": mintToken(hidden.sandbox.id) };
    return {
      open: { ...common, name: `${way}, public`, host: open.sandbox.host },
      hidden: { ...common, name: `${way}, private`, host: hidden.sandbox.host, headers },
    };
  };
  const all = started.move();
  return {
    own: edge("Traefik and gateway", traefik.pid, ports.websecure, [stack.gateway.pid]),
    direct: edge("Traefik alone", direct.pid, directPort, [checker.pid]),
    otherToken: mintToken(open.sandbox.id),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function nameOf(host: string): string {
  return host.split(":", 1)[0]!;
}
