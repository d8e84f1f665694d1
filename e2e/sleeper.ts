import { openDockerNetwork } from "./docker-network.ts";
import { openPair, type Pair } from "./pair.ts";

/** Control and gateway as the cycles of sleep and wake need them, on either engine. */
export interface OpenSleeper extends AsyncDisposable {
  readonly pair: Pair;
  /** How a command of a sandbox calls Node. */
  readonly node: string;
}

export async function openSleeper(engine: "process" | "docker"): Promise<OpenSleeper> {
  await using opened = new AsyncDisposableStack();
  const network = engine === "docker" ? opened.use(await openDockerNetwork()) : undefined;
  const variables = { SANDBOXD_IDLE_REAP_INTERVAL_SECONDS: "1", ...network?.variables };
  const pair = opened.use(await openPair(variables));
  const parts = opened.move();
  const node = engine === "docker" ? "node" : process.execPath;
  return { pair, node, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}
