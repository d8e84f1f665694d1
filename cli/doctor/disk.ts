import { access, constants, statfs } from "node:fs/promises";
import type { CliConfig } from "../config.ts";
import { type Answer, ask, codeOf, isSilent, type Silence } from "../http.ts";
import { check, fail, ok, type Verdict, warn } from "./check.ts";

/** The disk that workspaces are on. */
export const disk = check("disk", lookAtDisk, judgeDisk);

export type DiskFacts =
  | {
      readonly totalBytes: number;
      readonly freeBytes: number;
      /** 0: the file system makes inodes as it needs them. */
      readonly totalInodes: number;
      readonly freeInodes: number;
      readonly writable: boolean;
      /** How control limits what each workspace takes; undefined: it does not tell. */
      readonly quota: string | undefined;
    }
  | { readonly error: string };

async function lookAtDisk({ dataDirectory, apiBind }: CliConfig, signal: AbortSignal): Promise<DiskFacts> {
  const told = ask({ ...apiBind, path: "/v1/engine" }, signal);
  try {
    const { bsize, blocks, bavail, files, ffree } = await statfs(dataDirectory);
    const writable = await access(dataDirectory, constants.W_OK).then(
      () => true,
      (error) => codeOf(error) !== "EROFS",
    );
    const room = { totalBytes: blocks * bsize, freeBytes: bavail * bsize, totalInodes: files, freeInodes: ffree };
    return { ...room, writable, quota: toQuota(await told) };
  } catch (error) {
    return { error: codeOf(error) };
  }
}

function toQuota(told: Answer | Silence): string | undefined {
  if (isSilent(told) || told.status !== 200) return undefined;
  return (JSON.parse(told.body) as { details: { disk?: string } }).details.disk;
}

const gib = 2 ** 30;

export function judgeDisk(facts: DiskFacts, { dataDirectory }: Pick<CliConfig, "dataDirectory">): readonly Verdict[] {
  if ("error" in facts) {
    return [
      fail(`${dataDirectory} cannot be looked at (${facts.error})`, "docker compose up -d, or set SANDBOXD_DATA_DIR"),
    ];
  }
  const { totalBytes, freeBytes, totalInodes, freeInodes, writable, quota } = facts;
  const find = `du -xh --max-depth=2 ${dataDirectory} | sort -h | tail`;
  const verdicts: Verdict[] = [];
  if (!writable)
    verdicts.push(fail(`${dataDirectory} is on a read-only file system`, "dmesg | tail; mount -o remount,rw <device>"));
  const percent = Math.floor((100 * freeBytes) / totalBytes);
  const free = `${(freeBytes / gib).toFixed(1)} GiB (${percent} %) of ${dataDirectory} are free`;
  if (freeBytes < gib || percent < 3) verdicts.push(fail(free, find));
  else if (freeBytes < 10 * gib || percent < 10) verdicts.push(warn(free, find));
  else verdicts.push(ok(free));
  if (totalInodes > 0 && freeInodes / totalInodes < 0.05) {
    verdicts.push(
      warn(
        `${freeInodes} inodes are left: node_modules has many files`,
        `du -x --inodes --max-depth=2 ${dataDirectory} | sort -n | tail`,
      ),
    );
  }
  if (quota?.startsWith("no quota")) {
    const mend = "see SANDBOXD_DISK_QUOTA in .env.example";
    verdicts.push(warn(`nothing limits how much a workspace takes: ${quota}`, mend));
  }
  return verdicts;
}
