import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { promisify } from "node:util";
import { egressTable } from "#contract/egress-table.ts";
import type { Variables } from "#contract/environment.ts";
import { buildSandboxImage } from "../control/engines/docker/test-image.ts";

const execute = promisify(execFile);

/** A Docker network of its own for the sandboxes of one control. Disposing removes it with what is left in it. */
export interface DockerNetwork extends AsyncDisposable {
  readonly name: string;
  /** What control needs to run sandboxes there. */
  readonly variables: Variables;
}

const isRoot = process.getuid?.() === 0;
/** Who is not root cannot set any. */
const withoutRules = { SANDBOXD_EGRESS: "off" };

export async function openDockerNetwork(): Promise<DockerNetwork> {
  const name = `sandboxd-e2e-${randomUUID().slice(0, 8)}`;
  const image = await buildSandboxImage();
  return {
    name,
    variables: {
      SANDBOXD_ENGINE: "docker",
      SANDBOXD_IMAGE: image,
      SANDBOXD_NETWORK: name,
      ...(isRoot ? {} : withoutRules),
    },
    [Symbol.asyncDispose]: async () => {
      const left = await docker("ps", "--all", "--quiet", "--filter", `network=${name}`);
      if (left.length > 0) await docker("rm", "--force", ...left);
      // Control makes it with the first sandbox.
      const networks = await docker("network", "ls", "--quiet", "--filter", `name=^${name}$`);
      if (networks.length > 0) await docker("network", "rm", ...networks);
      await removeEgress(name);
    },
  };
}

/** Takes away the rules that a control left for a network. */
export async function removeEgress(network: string): Promise<void> {
  if (!isRoot) return;
  const table = egressTable(network);
  const batch = ["inet", "bridge"].map((family) => `add table ${family} ${table}; delete table ${family} ${table}`);
  await execute("nft", [batch.join("; ")], { env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` } });
}

/** Runs `docker` and answers the lines of its output. */
export async function docker(...command: string[]): Promise<string[]> {
  const { stdout } = await execute("docker", command, { maxBuffer: 64 * 1024 * 1024 });
  return stdout.split("\n").filter((line) => line !== "");
}
