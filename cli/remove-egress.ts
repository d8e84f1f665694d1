import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { egressTable } from "#contract/egress-table.ts";
import type { CliConfig } from "./config.ts";

const execute = promisify(execFile);

/** Takes the egress rules out of the kernel; absent is fine. A control that runs puts them back. */
export async function removeEgress({
  network,
  path,
}: Pick<CliConfig, "network" | "path">): Promise<{ readonly text: string } | { readonly problem: string }> {
  const table = egressTable(network);
  // What is not there is made first: only then can it be deleted in any case.
  const batch = ["inet", "bridge"].flatMap((family) => [
    `add table ${family} ${table}`,
    `delete table ${family} ${table}`,
  ]);
  try {
    await execute("nft", [batch.join("; ")], { env: { PATH: `${path}:/usr/sbin:/sbin` } });
    return { text: `The tables ${table} are gone. Sandboxes that still run are not held back any more.\n` };
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    return { problem: `the tables ${table} cannot be removed: ${stderr?.trim() || message}` };
  }
}
