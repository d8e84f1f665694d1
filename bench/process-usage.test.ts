import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import t from "tap";
import { cpuSeconds, openDescriptors, residentBytes } from "./process-usage.ts";

const skip = process.platform === "linux" ? false : "needs /proc";

t.test("cpuSeconds() counts a process and its children", { skip }, async (t) => {
  const burn = "while (process.cpuUsage().user < 300_000);";
  const script = `${burn} console.log("burnt"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  t.teardown(() => child.kill());
  const before = cpuSeconds(process.pid) - cpuSeconds(child.pid!);
  await once(child.stdout, "data");
  t.ok(cpuSeconds(child.pid!) > 0.1, "the child has used CPU");
  t.ok(cpuSeconds(process.pid) >= before + cpuSeconds(child.pid!) - 0.05, "its parent's sum holds it");
});

t.test("openDescriptors() and residentBytes() see this process", { skip }, async (t) => {
  const before = openDescriptors(process.pid);
  const descriptor = openSync("/dev/null", "r");
  t.equal(openDescriptors(process.pid), before + 1);
  closeSync(descriptor);
  t.ok(Math.abs(residentBytes(process.pid) / process.memoryUsage.rss() - 1) < 0.2);
});
