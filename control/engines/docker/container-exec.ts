import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type Docker from "dockerode";
import { EngineError, type EngineExit, type ExecCommand, type ExecEvent } from "../sandbox-engine.ts";
import { home } from "./container-options.ts";
import { toExit } from "./container-state.ts";
import type { DockerClient } from "./docker-client.ts";
import { readFrames } from "./multiplexed-output.ts";

/** Names the run of a command, in the environment of all that it starts. */
const markName = "SANDBOXD_EXEC";
const lookMs = 10;
const killPatienceMs = 5_000;

/**
 * The daemon cannot end a command that it runs in a container, so another one does: it ends the sessions of all that carry
 * the mark, again and again until nothing does. Session 1 is the sandbox's own, and 0 is none of this container's.
 */
const killer = `
for round in 1 2 3 4 5 6 7 8 9 10; do
  sessions=" "
  found=
  for file in $(grep -lsF "$1" /proc/[0-9]*/environ); do
    pid=\${file#/proc/}; pid=\${pid%/environ}
    found="$found $pid"
    read -r line < "/proc/$pid/stat" || continue
    set -- "$1" \${line##*) }
    case $5 in 0|1) ;; *) sessions="$sessions$5 " ;; esac
  done
  [ -z "$found" ] && exit 0
  kill -9 $found
  for file in /proc/[0-9]*/stat; do
    read -r line < "$file" || continue
    pid=\${file#/proc/}; pid=\${pid%/stat}
    set -- "$1" \${line##*) }
    case $sessions in *" $5 "*) kill -9 "$pid" ;; esac
  done
done
` as const;

/** Runs a command in a container that runs. Throws `start_failed`. */
export async function execInContainer(
  client: DockerClient,
  name: string,
  { cmd, cwd, env, stdin }: ExecCommand,
  signal: AbortSignal,
): Promise<AsyncIterable<ExecEvent>> {
  const run = await startInContainer(client, name, { cmd: [...cmd], cwd, env, stdin });
  return follow(client, run, signal);
}

export type StartOptions = {
  readonly cmd: string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** All that it reads; without it, it gets a terminal, on which somebody types. */
  readonly stdin?: string;
};

/** A command that runs in a container, and what it reads and writes. */
export type Run = { readonly name: string; readonly mark: string; readonly exec: Docker.Exec; readonly stream: Duplex };

/** Starts a command and resolves once it runs. Throws `start_failed`. */
export async function startInContainer(client: DockerClient, name: string, options: StartOptions): Promise<Run> {
  const mark = `${markName}=${randomUUID()}`;
  const { cmd: Cmd, stdin } = options;
  const Tty = stdin === undefined;
  const Env = [...Object.entries(options.env).map(([name, value]) => `${name}=${value}`), mark];
  const attached = { AttachStdin: true, AttachStdout: true, AttachStderr: true };
  const { exec, stream } = await client.use(
    async (docker) => {
      const container = docker.getContainer(name);
      const exec = await container.exec({ Cmd, Env, WorkingDir: join(home, options.cwd), Tty, ...attached });
      return { exec, stream: await exec.start({ hijack: true, stdin: true, Tty }) };
    },
    { patient: true },
  );
  // Whoever closes its input, or ends, before all of it is written is no failure.
  stream.on("error", () => {});
  // Before it is known to run: by then it may have ended, and its input with it.
  if (stdin !== undefined) stream.end(stdin);
  await untilStarted(client, exec, stream);
  return { name, mark, exec, stream };
}

/** The daemon takes the call before it knows whether there is such a command; its complaint comes as output. */
async function untilStarted(client: DockerClient, exec: Docker.Exec, stream: Duplex): Promise<void> {
  for (;;) {
    const { Pid, Running, ExitCode } = await client.use(() => exec.inspect());
    if (Pid !== 0) return;
    if (!Running && ExitCode !== null) break;
    await delay(lookMs);
  }
  let said = "";
  for await (const bytes of stream) said += bytes;
  throw new EngineError("start_failed", `Cannot start it: ${said.slice(said.indexOf("OCI")).trim().slice(0, 1_000)}`);
}

async function* follow(client: DockerClient, run: Run, signal: AbortSignal): AsyncGenerator<ExecEvent> {
  const { exec, stream } = run;
  let isOver = false;
  const kill = () => void endInContainer(client, run);
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  try {
    for await (const frame of readFrames(stream)) yield { type: "output", ...frame };
    const exit = await exitOf(client, exec);
    isOver = true;
    yield { type: "exit", exit };
  } finally {
    signal.removeEventListener("abort", kill);
    if (!isOver) await endInContainer(client, run);
    stream.destroy();
  }
}

/** The daemon closes the output a moment before it knows of the end; of a container that is gone it knows nothing. */
export async function exitOf(client: DockerClient, exec: Docker.Exec): Promise<EngineExit> {
  for (const deadline = Date.now() + killPatienceMs; Date.now() < deadline; await delay(lookMs)) {
    const found = await client.use(() => exec.inspect()).catch(() => undefined);
    if (found === undefined) break;
    if (!found.Running && found.ExitCode !== null) return toExit(found.ExitCode, false);
  }
  return toExit(137, false);
}

/** Ends a command with all that it started; what cannot be ended in time is left to the end of the sandbox. */
export async function endInContainer(client: DockerClient, { name, mark, exec, stream }: Run): Promise<void> {
  for (const deadline = Date.now() + killPatienceMs; Date.now() < deadline; await delay(lookMs)) {
    try {
      await client.use((docker) => killIn(docker.getContainer(name), mark));
      if (!(await client.use(() => exec.inspect())).Running) return;
    } catch {
      // A container without room for one more process may have some a moment later; one that has ended needs no more.
      if ((await client.use((docker) => docker.getContainer(name).inspect()).catch(() => undefined))?.State.Running)
        continue;
      break;
    }
  }
  stream.destroy();
}

async function killIn(container: Docker.Container, mark: string): Promise<void> {
  const killing = await container.exec({ Cmd: ["/bin/sh", "-c", killer, "sh", mark], AttachStdout: true });
  const stream = await killing.start({});
  stream.resume();
  await new Promise((resolve) => stream.once("close", resolve));
}
