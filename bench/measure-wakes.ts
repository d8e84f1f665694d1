import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { openDockerNetwork } from "../e2e/docker-network.ts";
import type { BareApp, SleepMode, Waking } from "./bare-app.ts";
import { openBareContainer } from "./bare-container.ts";
import { openBareProcess } from "./bare-process.ts";
import { firstByte } from "./first-byte.ts";
import { type Measurement, type ScenarioOptions, WrongAnswerError } from "./scenario.ts";
import {
  countStarts,
  createCommand,
  readCounter,
  type Sandbox,
  type Stack,
  sleepSandbox,
  startStack,
} from "./stack.ts";
import { quantile } from "./statistics.ts";

const source = readFileSync(new URL("apps/starts/server.mjs", import.meta.url), "utf8");
/** `apps/starts` as a command of its own, which needs no file: workspaces differ by engine. */
export const startsCommand = ["node", "--input-type=module", "--eval", source];

export type WakeKind = {
  /** Of the scenario. */
  readonly name: string;
  readonly engine: "process" | "docker";
  readonly mode: SleepMode;
};

/** Wakes a sandbox through the gateway and the same app bare, in turn. The first round warms up and does not count. */
export async function measureWakes(
  { name, engine, mode }: WakeKind,
  { scale, profileDirectory, note }: ScenarioOptions,
): Promise<readonly Measurement[]> {
  await using opened = new AsyncDisposableStack();
  const network = engine === "docker" ? opened.use(await openDockerNetwork()) : undefined;
  const stack = opened.use(await startStack({ profileDirectory, environment: network?.variables }));
  const sandbox = await createCommand(stack, startsCommand);
  const bare = opened.use(await (engine === "docker" ? openBareContainer(sandbox) : openBareProcess(startsCommand)));
  const floors: Waking[] = [];
  const wakes: Waking[] = [];
  for (let round = 0; round <= scale.wakes; round++) {
    note(round === 0 ? "a round to warm up" : `round ${round} of ${scale.wakes}`);
    const floor = await wakeBare(bare, mode);
    const waking = await wakeSandbox(stack, sandbox, mode);
    if (round === 0) continue;
    floors.push(floor);
    wakes.push(waking);
  }
  return [0.5, 0.95].flatMap((share) => summarise(name, share, floors, wakes));
}

async function wakeBare(bare: BareApp, mode: SleepMode): Promise<Waking> {
  await bare.sleep(mode);
  return await bare.wake();
}

/** The engine's part is what control has counted as the wake, from the gateway's call to a running sandbox. */
async function wakeSandbox(stack: Stack, sandbox: Sandbox, mode: SleepMode): Promise<Waking> {
  await sleepSandbox(stack, sandbox, mode);
  const before = await readWakes(stack, sandbox);
  const begun = performance.now();
  await firstByte({ address: "127.0.0.1", port: stack.gateway.port }, sandbox.host);
  const firstByteMs = performance.now() - begun;
  const after = await readWakes(stack, sandbox);
  if (after.count !== before.count + 1) throw new WrongAnswerError(`${after.count - before.count} wakes, not one`);
  const starts = after.starts - before.starts;
  if (starts !== (mode === "stop" ? 1 : 0)) throw new WrongAnswerError(`${starts} starts of the app after a ${mode}`);
  return { engineMs: (after.seconds - before.seconds) * 1000, firstByteMs };
}

async function readWakes(stack: Stack, sandbox: Sandbox) {
  const metric = "sandboxd_wake_duration_seconds";
  return {
    count: await readCounter(stack, `${metric}_count`),
    seconds: await readCounter(stack, `${metric}_sum`),
    starts: await countStarts(sandbox),
  };
}

function summarise(
  name: string,
  share: number,
  floors: readonly Waking[],
  wakes: readonly Waking[],
): readonly Measurement[] {
  // Compared within a round: a slow moment of the machine slows both.
  const added = wakes.map((waking, round) => minus(waking, floors[round]!));
  const row = (what: string, wakings: readonly Waking[]) => ({
    name: `${name}: ${what}, p${share * 100}`,
    value: quantile(
      wakings.map(({ firstByteMs }) => firstByteMs),
      share,
    ),
    unit: "ms",
    remark: describe(wakings, share),
  });
  return [row("floor", floors), row("first byte", wakes), row("first byte − floor", added)];
}

function minus(waking: Waking, floor: Waking): Waking {
  return { engineMs: waking.engineMs - floor.engineMs, firstByteMs: waking.firstByteMs - floor.firstByteMs };
}

/** Both phases and how far the whole lies apart. */
function describe(wakings: readonly Waking[], share: number): string {
  const of = (read: (waking: Waking) => number) => quantile(wakings.map(read), share).toFixed(1);
  const engine = of(({ engineMs }) => engineMs);
  const rest = of(({ engineMs, firstByteMs }) => firstByteMs - engineMs);
  const all = wakings.map(({ firstByteMs }) => firstByteMs);
  return `engine ${engine} ms, then ${rest} ms; ${Math.round(Math.min(...all))} to ${Math.round(Math.max(...all))} ms`;
}
