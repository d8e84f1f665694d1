import { once } from "node:events";
import type { EngineTerminal, TerminalSize } from "../sandbox-engine.ts";
import { shell, terminalType } from "../shell.ts";
import { endInContainer, exitOf, type Run, startInContainer } from "./container-exec.ts";
import type { DockerClient } from "./docker-client.ts";

/** Starts a shell on a terminal in a container that runs. Throws `start_failed`. */
export async function openContainerTerminal(
  client: DockerClient,
  name: string,
  size: TerminalSize,
): Promise<EngineTerminal> {
  const env = { TERM: terminalType };
  const cmd = ["/bin/sh", "-c", shell];
  const run = await startInContainer(client, name, { cmd, cwd: "workspace/app", env });
  await resize(client, run, size);
  const ended = Promise.withResolvers<void>();
  const exit = ended.promise.then(() => exitOf(client, run.exec));
  return {
    output: follow(run, ended.resolve),
    exit,
    resize: (size) => resize(client, run, size),
    end: () => endInContainer(client, run),
    write: async (bytes) => {
      if (run.stream.destroyed || run.stream.write(bytes)) return;
      await Promise.race([once(run.stream, "drain"), once(run.stream, "close")]);
    },
  };
}

async function* follow({ stream }: Run, end: () => void): AsyncGenerator<Buffer> {
  try {
    yield* stream as AsyncIterable<Buffer>;
  } finally {
    end();
  }
}

/** A shell that has just ended has no size any more, and needs none. */
async function resize(client: DockerClient, { exec }: Run, { columns, rows }: TerminalSize): Promise<void> {
  await client.use(() => exec.resize({ w: columns, h: rows })).catch(() => {});
}
