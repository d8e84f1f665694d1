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
    t.teardown(() => execute("docker", ["network", "rm", network]).catch(() => {}));
    const stack = await startStack(t, {
      SANDBOXD_ENGINE: "docker",
      SANDBOXD_IMAGE: await buildSandboxImage(),
      SANDBOXD_NETWORK: network,
    });
    const browser = await startBrowser(t, { ...stack, port: stack.httpsPort });
    await mainLoop(t, stack, browser, "by-hand");
  },
);
