import t from "tap";
import { formatJson, formatTable } from "./report.ts";

const measurements = [
  { name: "proxy: CPU per request ÷ http-proxy", value: 0.5, unit: "×" },
  { name: "proxy: CPU per request ÷ undici", value: 1.5, unit: "×", remark: "noisy" },
  { name: "proxy: CPU per request, nginx", value: 18.74, unit: "µs" },
];

t.test("formatTable() puts target and verdict beside each measurement", async (t) => {
  const [met, missed, plain] = formatTable(measurements).split("\n");
  t.match(met, /http-proxy +0\.50 × +≤ 0\.6 +met$/);
  t.match(missed, /undici +1\.50 × +≤ 1\.15 +missed +noisy$/);
  t.match(plain, /nginx +18\.7 µs$/);
});

t.test("formatJson() tells the machine, and the same verdicts", async (t) => {
  const written = JSON.parse(formatJson(measurements));
  t.match(written.machine, { node: process.version, processors: Number });
  t.match(written.measurements[1], { ...measurements[1], target: "≤ 1.15", verdict: "missed" });
});
