#!/usr/bin/env node
import { parseArgs } from "node:util";
import { readConfig } from "./config.ts";
import { examine } from "./doctor/doctor.ts";
import { isWell, toJson, toText } from "./doctor/report.ts";
import { removeEgress } from "./remove-egress.ts";
import { trust } from "./trust.ts";

const usage = `usage: sandboxd <command>

  doctor [--json]   looks at the whole stack and says what is wrong, and what mends it
  trust             says how to trust the local certificate authority
  remove-egress     takes the egress rules out of the kernel, once control is stopped for good

  --env-file <path>   the settings of the stack, below this process's own variables; .env unless said otherwise

Exit codes: 0 all is well (warnings included), 1 something is not, 2 a wrong call.
`;

const well = 0;
const unwell = 1;
const wrongCall = 2;

/** Since the start of the process; what is under five seconds with it. */
const mostMs = 4_000;
const leastPatienceMs = 1_500;

async function main(args: readonly string[]): Promise<number> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`);
    return wrongCall;
  }
  const { values, positionals } = parsed;
  if (values.help) {
    await write(usage);
    return well;
  }
  const [command, ...more] = positionals;
  const run = more.length === 0 && command !== undefined ? commands[command] : undefined;
  if (run !== undefined) return run(values);
  process.stderr.write(usage);
  return wrongCall;
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      "env-file": { type: "string", default: ".env" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
}

type Options = ReturnType<typeof parse>["values"];

const commands: Readonly<Record<string, (options: Options) => Promise<number>>> = {
  async doctor(options) {
    // On a busy machine this process took its own time to get here.
    const withinMs = Math.max(leastPatienceMs, Math.round(mostMs - performance.now()));
    const findings = await examine(readConfig({ dotEnvFile: options["env-file"] }), { withinMs });
    await write(options.json ? toJson(findings) : toText(findings, { color: process.stdout.isTTY ?? false }));
    return isWell(findings) ? well : unwell;
  },
  async trust(options) {
    return tell(await trust(readConfig({ dotEnvFile: options["env-file"] })));
  },
  async "remove-egress"(options) {
    return tell(await removeEgress(readConfig({ dotEnvFile: options["env-file"] })));
  },
};

async function tell(told: { readonly text: string } | { readonly problem: string }): Promise<number> {
  if ("problem" in told) {
    process.stderr.write(`${told.problem}\n`);
    return unwell;
  }
  await write(told.text);
  return well;
}

/** Resolves when it is out: the process ends right after. */
function write(text: string): Promise<void> {
  return new Promise((written) => process.stdout.write(text, () => written()));
}

// Whatever still hangs in a look-up must not keep the process.
process.exit(await main(process.argv.slice(2)));
