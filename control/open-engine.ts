import type { Logger } from "pino";
import type { ControlConfig } from "./config.ts";
import { openDockerEngine } from "./engines/docker/docker-engine.ts";
import { openProcessEngine } from "./engines/process/process-engine.ts";
import type { SandboxEngine } from "./engines/sandbox-engine.ts";
import type { SecretOpener } from "./engines/sealed-environment.ts";

/** The engine that the configuration names. */
export async function openEngine(config: ControlConfig, secrets: SecretOpener, logger: Logger): Promise<SandboxEngine> {
  const { engine, dataDirectory: dataDir } = config;
  switch (engine) {
    case "process":
      return openProcessEngine({ dataDir, path: config.path, secrets, logger });
    case "docker":
      return openDockerEngine({
        socketPath: config.dockerSocket,
        image: config.image,
        network: config.network,
        usernsMode: config.userns,
        runtime: config.runtime,
        memoryHigh: config.setMemoryHigh,
        diskQuota: config.diskQuota,
        path: config.path,
        dataDir,
        hostDataDir: config.hostDataDirectory,
        labels: {},
        secrets,
        logger,
      });
    default: {
      const never: never = engine;
      throw new Error(`unknown engine: ${never}`);
    }
  }
}
