import { randomUUID } from "node:crypto";
import Docker from "dockerode";
import pino from "pino";
import type { Test } from "tap";
import { dockerSocket, engineIsOurs, skipBecause } from "../../../e2e/parts/parts.ts";
import { testSecrets } from "../engine-under-test.ts";
import { removeContainer } from "./container-calls.ts";
import type { DockerEngineOptions } from "./docker-engine.ts";
import { buildSandboxImage } from "./test-image.ts";

/** A daemon's client for looking at what an engine made. */
export const docker = new Docker({ socketPath: dockerSocket, host: undefined });

/** The runtimes that suites run with: the daemon's default, and a stronger one. */
export const testRuntimes = [null, "runsc"] as const;

/** False when the daemon has a runtime, else why not, for tap's `skip`. An engine of somebody else's cannot be given one. */
export async function missingRuntime(runtime: string | null): Promise<string | false> {
  const info = await (docker.info() as Promise<{ Runtimes?: object }>).catch(() => ({ Runtimes: {} }));
  if (runtime === null || runtime in (info.Runtimes ?? {})) return false;
  const reason = `the Docker engine has no runtime ${runtime}: run \`npm run parts\` and start it anew by \`e2e/parts/engine.sh\``;
  return engineIsOurs() ? skipBecause(reason) : reason;
}

/** What an engine of a test needs, all of its own; containers and network are removed when the test ends. */
export async function dockerTest(t: Test): Promise<Omit<DockerEngineOptions, "dataDir" | "hostDataDir">> {
  const run = randomUUID().slice(0, 8);
  const network = `sandboxd-test-${run}`;
  const label = { "sandboxed.test": run };
  const image = await buildSandboxImage(dockerSocket);
  t.teardown(async () => {
    const filters = { label: [`sandboxed.test=${run}`] };
    const containers = await docker.listContainers({ all: true, filters });
    await Promise.all(containers.map(({ Id }) => removeContainer(docker, Id)));
    const networks = await docker.listNetworks({ filters });
    await Promise.all(networks.map(({ Id }) => docker.getNetwork(Id).remove()));
  });
  return {
    socketPath: dockerSocket,
    image,
    network,
    usernsMode: "host",
    runtime: null,
    memoryHigh: false,
    diskQuota: "off",
    path: process.env.PATH!,
    labels: label,
    secrets: testSecrets,
    logger: pino({ level: "silent" }),
  };
}
