import { constants } from "node:os";
import type { ContainerInspectInfo } from "dockerode";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { EngineExit, EngineState } from "../sandbox-engine.ts";
import { labels } from "./container-options.ts";

const never = "0001-01-01T00:00:00Z";
const signals = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** What the daemon says about a container, in the engine's words; it may not know that memory ran out. */
export function toEngineState(
  id: SandboxId,
  { Id, State, Config, NetworkSettings }: ContainerInspectInfo,
  network: string,
  killedForMemory: boolean,
): EngineState {
  const isUp = State.Running || State.Paused;
  const wasUp = State.StartedAt !== never && State.StartedAt !== "";
  const ports = (Config.Labels[labels.ports] ?? "").split(",").map(Number);
  const { IPAddress: address = "", GlobalIPv6Address = "" } = NetworkSettings.Networks[network] ?? {};
  return {
    id,
    state: State.Paused ? "paused" : isUp ? "running" : "exited",
    exit: isUp || !wasUp ? null : toExit(State.ExitCode, State.OOMKilled || killedForMemory),
    startedAt: isUp ? Date.parse(State.StartedAt) : null,
    endpoints: isUp && address !== "" ? ports.map((port) => ({ port, address, upstreamPort: port })) : [],
    addresses: isUp ? [address, GlobalIPv6Address].filter((each) => each !== "") : [],
    runtime: { container: Id.slice(0, 12), image: Config.Image, pid: isUp ? State.Pid : null },
  };
}

/**
 * Docker tells a fatal signal as 128 plus its number, as shells do. Memory ran out where the kernel killed for it and
 * the end was not a good one; a child that was killed alone may have been survived.
 */
export function toExit(exitCode: number, killedForMemory: boolean): EngineExit {
  const signal = signals.get(exitCode - 128) ?? null;
  return { code: signal === null ? exitCode : null, signal, outOfMemory: killedForMemory && exitCode !== 0 };
}
