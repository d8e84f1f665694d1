import t from "tap";
import { startBrowser } from "./browser.ts";
import { openDockerNetwork } from "./docker-network.ts";
import { mainLoop } from "./main-loop.ts";
import { missingPart } from "./parts/parts.ts";
import { startStack } from "./stack.ts";

t.test(
  "the main loop, with processes started by hand",
  { skip: missingPart("docker", "traefik", "chromium") },
  async (t) => {
    const network = await openDockerNetwork();
    t.teardown(() => network[Symbol.asyncDispose]());
    const stack = await startStack(t, { ...network.variables });
    const browser = await startBrowser(t, { ...stack, port: stack.httpsPort });
    await mainLoop(t, stack, browser, "by-hand");
  },
);
