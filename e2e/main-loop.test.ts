import { execFile } from "node:child_process";
import { promisify } from "node:util";
import t from "tap";
import { buildSandboxImage } from "../control/engines/docker/test-image.ts";
import { startBrowser } from "./browser.ts";
import { mainLoop } from "./main-loop.ts";
import { missingPart } from "./parts/parts.ts";
import { startStack } from "./stack.ts";

const execute = promisify(execFile);

t.test(
  "the main loop, with processes started by hand",
  { skip: missingPart("docker", "traefik", "chromium") },
  async (t) => {
    const network = `sandboxd-e2e-${process.pid}`;
    t.teardown(() => removeNetwork(network));
    const stack = await startStack(t, {
      SANDBOXD_ENGINE: "docker",
      SANDBOXD_IMAGE: await buildSandboxImage(),
      SANDBOXD_NETWORK: network,
    });
    const browser = await startBrowser(t, { ...stack, port: stack.httpsPort });
    await mainLoop(t, stack, browser, "by-hand");
  },
);

/** What a test that failed leaves in the network goes first: the engine's sandboxes outlive control. */
async function removeNetwork(name: string): Promise<void> {
  const { stdout } = await execute("docker", ["ps", "--all", "--quiet", "--filter", `network=${name}`]);
  const left = stdout.split("\n").filter(Boolean);
  if (left.length > 0) await execute("docker", ["rm", "--force", ...left]);
  await execute("docker", ["network", "rm", name]).catch(() => {});
}
