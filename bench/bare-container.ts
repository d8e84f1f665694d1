import { performance } from "node:perf_hooks";
import Docker from "dockerode";
import { parseSandboxId } from "../control/contract/sandbox-id.ts";
import { containerName } from "../control/engines/docker/container-options.ts";
import { dockerSocket } from "../e2e/parts/parts.ts";
import type { BareApp, SleepMode, Waking } from "./bare-app.ts";
import { type Address, firstByte, firstByteOnceListening } from "./first-byte.ts";
import type { Sandbox } from "./stack.ts";

const appPort = 3000;

/**
 * A container just like a sandbox's, which control knows nothing of: started or let go on by nothing but the daemon. A
 * start includes the question for its address, which nobody can do without.
 */
export async function openBareContainer({ id }: Sandbox): Promise<BareApp> {
  // An explicit host keeps DOCKER_HOST from winning over the socket.
  const docker = new Docker({ socketPath: dockerSocket, host: undefined });
  const model = await docker.getContainer(containerName(parseSandboxId(id)!)).inspect();
  const { HostConfig, Config } = model;
  const container = await docker.createContainer({
    ...Config,
    HostConfig,
    Labels: {},
    name: `bench-floor-${id.toLowerCase()}`,
  });
  const addressOf = async (): Promise<Address> => {
    const { NetworkSettings } = await container.inspect();
    return { address: NetworkSettings.Networks[HostConfig.NetworkMode!]!.IPAddress, port: appPort };
  };
  let asleep: SleepMode = "stop";
  let app: Address | undefined;
  const wake = async (): Promise<Waking> => {
    const begun = performance.now();
    const wasPaused = asleep === "pause";
    if (wasPaused) await container.unpause();
    else {
      await container.start();
      app = await addressOf();
    }
    const engineMs = performance.now() - begun;
    await (wasPaused ? firstByte(app!, "localhost") : firstByteOnceListening(app!));
    return { engineMs, firstByteMs: performance.now() - begun };
  };
  return {
    async sleep(mode) {
      if (mode === "pause") {
        if (app === undefined) await wake();
        await container.pause();
      } else if (app !== undefined) {
        await container.stop();
        app = undefined;
      }
      asleep = mode;
    },
    wake,
    [Symbol.asyncDispose]: async () => await container.remove({ force: true }),
  };
}
