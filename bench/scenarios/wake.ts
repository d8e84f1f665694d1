import { mkdtempSync } from "node:fs";
import { cp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isListening, startChild } from "../child.ts";
import { freePort } from "../proxies/contender.ts";
import { type Scenario, WrongAnswerError } from "../scenario.ts";
import { createSandbox, type Sandbox, type Stack, startStack, stopSandbox } from "../stack.ts";
import { median } from "../statistics.ts";

const app = fileURLToPath(new URL("../apps/starts/", import.meta.url));
const command = ["node", "server.mjs"] as const;

/** What a wake adds to the time that the app itself needs from its start to its first answer. */
export const wake: Scenario = {
  name: "wake",
  parts: [],
  async run({ scale, profileDirectory, note }) {
    await using stack = await startStack({ profileDirectory });
    const sandbox = await createSandbox(stack, "starts", command);
    const directory = mkdtempSync(join(tmpdir(), "bench-floor-"));
    await using _ = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
    await cp(app, directory, { recursive: true });
    const floors: number[] = [];
    const wakes: number[] = [];
    for (let round = 1; round <= scale.wakes; round++) {
      note(`round ${round} of ${scale.wakes}`);
      floors.push(await bareStart(directory));
      wakes.push(await wakeUp(stack, sandbox));
    }
    const spread = (values: number[]) => `${Math.round(Math.min(...values))} to ${Math.round(Math.max(...values))} ms`;
    return [
      { name: "wake: floor, p50", value: median(floors), unit: "ms", remark: `bare start: ${spread(floors)}` },
      { name: "wake: first byte, p50", value: median(wakes), unit: "ms", remark: spread(wakes) },
      { name: "wake: first byte − floor, p50", value: median(wakes) - median(floors), unit: "ms" },
    ];
  },
};

/** Milliseconds from a spawn of the app to its first byte, asked as soon as its port answers. */
async function bareStart(directory: string): Promise<number> {
  const port = await freePort();
  const env = { PATH: process.env.PATH, HOME: directory, PORT: String(port), HOST: "127.0.0.1" };
  const begun = performance.now();
  await using _ = startChild(command[0], command.slice(1), { cwd: directory, env });
  while (!(await isListening(port))) await delay(1);
  await firstByte(port, "localhost");
  return performance.now() - begun;
}

/** Milliseconds from a request for a sleeping sandbox to the first byte of its answer. */
async function wakeUp(stack: Stack, sandbox: Sandbox): Promise<number> {
  await stopSandbox(stack, sandbox);
  const begun = performance.now();
  await firstByte(stack.gateway.port, sandbox.host);
  return performance.now() - begun;
}

/** Asks on a new connection, and resolves with the answer's first piece. Throws WrongAnswerError unless it is the app's. */
function firstByte(port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    socket.once("error", reject);
    socket.once("close", () => reject(new WrongAnswerError("the app closed the connection")));
    socket.once("data", (chunk) => {
      const text = chunk.toString("latin1");
      if (text.startsWith("HTTP/1.1 200 ") && !/^x-sandbox-gateway:/im.test(text)) resolve();
      else reject(new WrongAnswerError(`not the app's answer: ${text}`));
      socket.destroy();
    });
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  });
}
