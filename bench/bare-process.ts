import { mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import type { BareApp, SleepMode, Waking } from "./bare-app.ts";
import { type Child, startChild } from "./child.ts";
import { firstByte, firstByteOnceListening } from "./first-byte.ts";
import { freePort } from "./proxies/contender.ts";

/** A process of this command, started or let go on by nothing but the kernel. */
export async function openBareProcess(command: readonly string[]): Promise<BareApp> {
  const directory = mkdtempSync(join(tmpdir(), "bench-floor-"));
  const app = { address: "127.0.0.1", port: await freePort() };
  const env = { PATH: process.env.PATH, HOME: directory, PORT: String(app.port), HOST: app.address };
  let child: Child | undefined;
  let isPaused = false;
  const end = async () => {
    // A stopped process heeds no SIGTERM.
    child?.process.kill("SIGCONT");
    await child?.[Symbol.asyncDispose]();
    child = undefined;
    isPaused = false;
  };
  const wake = async (): Promise<Waking> => {
    const begun = performance.now();
    const wasPaused = isPaused;
    if (wasPaused) child!.process.kill("SIGCONT");
    else child = startChild(command[0]!, command.slice(1), { cwd: directory, env });
    isPaused = false;
    const engineMs = performance.now() - begun;
    await (wasPaused ? firstByte(app, "localhost") : firstByteOnceListening(app));
    return { engineMs, firstByteMs: performance.now() - begun };
  };
  return {
    async sleep(mode: SleepMode) {
      if (mode === "stop") return await end();
      if (child === undefined) await wake();
      child!.process.kill("SIGSTOP");
      await untilStopped(child!.pid);
      isPaused = true;
    },
    wake,
    async [Symbol.asyncDispose]() {
      await end();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Resolves once the kernel says of the process that it is stopped. */
async function untilStopped(pid: number): Promise<void> {
  while (!/^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))) await delay(1);
}
