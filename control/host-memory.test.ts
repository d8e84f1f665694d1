import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { availablePercent, hostMemoryReader } from "./host-memory.ts";
import { newDirectory } from "./testing/control.ts";

const meminfo = `MemTotal:        1000 kB
MemFree:           10 kB
MemAvailable:     250 kB
SwapTotal:          0 kB
`;
const pressure = `some avg10=3.50 avg60=1.00 avg300=0.20 total=32016
full avg10=1.25 avg60=0.40 avg300=0.10 total=9584
`;

t.test("hostMemoryReader() reads what is available, and stalls where the kernel tells them", async (t) => {
  const proc = newDirectory(t);
  const read = hostMemoryReader({ proc });
  t.equal(read(), undefined, "no word of memory");
  writeFileSync(join(proc, "meminfo"), meminfo);
  t.same(read(), { totalBytes: 1_024_000, availableBytes: 256_000, stalledPercent: null });
  mkdirSync(join(proc, "pressure"));
  writeFileSync(join(proc, "pressure", "memory"), pressure);
  t.same(read(), { totalBytes: 1_024_000, availableBytes: 256_000, stalledPercent: 1.25 });
  t.equal(availablePercent(read()!), 25);
});

t.test("hostMemoryReader() takes half a meminfo for none", async (t) => {
  const proc = newDirectory(t);
  writeFileSync(join(proc, "meminfo"), "MemTotal: 1000 kB\nMemFree: 900 kB\n");
  t.equal(hostMemoryReader({ proc })(), undefined);
});
