import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { missingPart } from "../e2e/parts/parts.ts";
import { drawChart } from "./chart.ts";
import { describeMachine, formatJson, formatTable } from "./report.ts";
import { type Measurement, type Scale, type Scenario, shortScale, wholeScale } from "./scenario.ts";
import { scenarios } from "./scenarios/scenarios.ts";

const usage = `npm run bench -- [scenario …] [--rounds N] [--seconds N] [--containers N] [--short] [--json FILE] [--svg FILE] [--profile DIRECTORY]
Scenarios: ${scenarios.map(({ name }) => name).join(", ")}`;

for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => process.exit(1));
process.exitCode = await main();

async function main(): Promise<number> {
  const { values, positionals } = readArguments();
  const unknown = positionals.find((name) => !scenarios.some((scenario) => scenario.name === name));
  if (values.help || unknown !== undefined) {
    console.error(unknown === undefined ? usage : `There is no scenario ${unknown}.\n${usage}`);
    return unknown === undefined ? 0 : 2;
  }
  const chosen = positionals.length === 0 ? scenarios : scenarios.filter(({ name }) => positionals.includes(name));
  const measurements: Measurement[] = [];
  let failed = false;
  for (const scenario of chosen) {
    const measured = await runOne(scenario, scaleFrom(values), values.profile);
    failed ||= measured === undefined;
    measurements.push(...(measured ?? []));
  }
  if (measurements.length > 0) console.log(`\n${formatTable(measurements)}`);
  if (values.json !== undefined) await writeFile(values.json, formatJson(measurements));
  if (values.svg !== undefined) await writeFile(values.svg, drawChart(measurements, describeMachine()));
  return failed ? 1 : 0;
}

function readArguments() {
  return parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: "string" },
      seconds: { type: "string" },
      containers: { type: "string" },
      short: { type: "boolean", default: false },
      json: { type: "string" },
      svg: { type: "string" },
      profile: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
}

function scaleFrom(values: ReturnType<typeof readArguments>["values"]): Scale {
  const { short, rounds, seconds, containers } = values;
  const scale = short ? shortScale : wholeScale;
  return {
    ...scale,
    rounds: Number(rounds ?? scale.rounds),
    wakes: Number(rounds ?? scale.wakes),
    secondsPerRound: Number(seconds ?? scale.secondsPerRound),
    networks: Number(containers ?? scale.networks),
  };
}

/** The scenario's measurements; undefined, and said why, when it could not run or an answer was wrong. */
async function runOne(
  scenario: Scenario,
  scale: Scale,
  profileDirectory: string | undefined,
): Promise<readonly Measurement[] | undefined> {
  const note = (text: string) => console.error(`${scenario.name}: ${text}`);
  try {
    const missing = missingPart(...scenario.parts);
    if (missing === false) return await scenario.run({ scale, profileDirectory, note });
    note(`cannot run: ${missing}`);
  } catch (error) {
    note(`failed: ${error instanceof Error ? error.stack : error}`);
  }
  return undefined;
}
