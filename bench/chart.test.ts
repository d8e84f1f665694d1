import t from "tap";
import { drawChart } from "./chart.ts";

const classes = (svg: string) => [...svg.matchAll(/<rect class="([a-z]+)"/g)].map(([, name]) => name);
const widths = (svg: string) => [...svg.matchAll(/<rect [^>]*width="([0-9.]+)"/g)].map(([, width]) => Number(width));

t.test("drawChart() ends a bar before the line when its target is met, whichever way the target points", async (t) => {
  const svg = drawChart(
    [
      { name: "proxy: CPU per request ÷ http-proxy", value: 0.3, unit: "×" },
      { name: "proxy: CPU per request ÷ undici", value: 2.3, unit: "×" },
      { name: "bodies: 1 MB, throughput per CPU ÷ undici", value: 1.8, unit: "×" },
      { name: "proxy: CPU per request ÷ nginx", value: 1.95, unit: "×" },
    ],
    "",
  );
  t.same(classes(svg), ["met", "missed", "met", "aim"]);
  const line = 160;
  t.same(widths(svg), [line / 2, line * 2, line / 2, line * 1.5]);
});

t.test("drawChart() draws nothing of what was allowed not at all", async (t) => {
  const of = (value: number) => drawChart([{ name: "stampede: answers lost", value, unit: "" }], "");
  t.same([classes(of(0)), widths(of(0))], [["met"], [2]]);
  t.same([classes(of(1)), widths(of(1))], [["missed"], [320]]);
});

t.test("drawChart() leaves out what has no target, and escapes what it writes", async (t) => {
  const svg = drawChart([{ name: "proxy: CPU per request, nginx", value: 1, unit: "µs" }], `<b> & "c"`);
  t.same(classes(svg), []);
  t.match(svg, "&#60;b&#62; &#38; &#34;c&#34;");
});
