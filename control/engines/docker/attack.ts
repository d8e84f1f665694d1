import type { Test } from "tap";
import { type ContractTest, setUp, texts, until } from "../engine-under-test.ts";
import type { SandboxSpec } from "../sandbox-engine.ts";
import { type DockerEngineOptions, openDockerEngine } from "./docker-engine.ts";

/** How long a bomb may take to go off, on a busy machine. */
const attackMs = 90_000;

/** An engine for attackers and their siblings, over an empty data directory, in a parent of its own if it has to be. */
export function openArena(
  t: Test,
  config: Omit<DockerEngineOptions, "dataDir" | "hostDataDir">,
  parent?: string,
): Promise<ContractTest> {
  const makeEngine = async (t: Test, dataDir: string) => {
    const engine = await openDockerEngine({ ...config, dataDir, hostDataDir: dataDir });
    t.teardown(() => engine.close());
    return engine;
  };
  const subject = { makeEngine, node: "node", home: () => "", host: "0.0.0.0", noticeMs: 5_000 } as const;
  return setUp(t, { ...subject, absentCommand: "exit 127" }, parent);
}

/**
 * Runs a program that reports in lines of JSON, each a name and a value in brackets, until `over`, or until it has `ended`
 * without that.
 */
export async function attack({ engine, start }: ContractTest, spec: SandboxSpec): Promise<Record<string, unknown>> {
  await start(spec);
  const look = async () => {
    const { state } = await engine.inspect(spec.id);
    const lines = await texts(engine.logs(spec.id, { tail: 200 }));
    const pairs = lines.filter((line) => line.startsWith("[")).map((line) => JSON.parse(line) as [string, unknown]);
    const report: Record<string, unknown> = Object.fromEntries(pairs);
    if (report.over === true) return report;
    return state === "exited" ? { ...report, ended: true } : undefined;
  };
  return await until("the end of the attack", look, attackMs);
}
