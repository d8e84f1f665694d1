import { type Answer, ask, isSilent, type Silence } from "../http.ts";
import { check, fail, ok, type Verdict, warn } from "./check.ts";

/** How old the last backup is, and whether the last attempt to make one succeeded. */
export const backups = check(
  "backups",
  async ({ apiBind }, signal) => ({ told: await ask({ ...apiBind, path: "/v1/backups" }, signal), now: new Date() }),
  judgeBackups,
);

export type BackupFacts = { readonly told: Answer | Silence; readonly now: Date };

type Told = {
  readonly items: readonly { readonly created_at: string; readonly failed_workspaces: readonly unknown[] }[];
  readonly next_at: string | null;
  readonly last_error: { readonly message: string } | null;
};

const hourMs = 3_600_000;
/** A daily one is late by then. */
const oldHours = 48;
const make = "curl -s -X POST http://127.0.0.1:9090/v1/backups";

export function judgeBackups({ told, now }: BackupFacts): readonly Verdict[] {
  if (isSilent(told)) return [warn(`what there is is unknown: control does not answer (${told.silence})`)];
  if (told.status !== 200) return [warn(`what there is is unknown: control answers ${told.status}`)];
  const { items, next_at, last_error } = JSON.parse(told.body) as Told;
  const attempt = last_error === null ? [] : [fail(`the last attempt failed: ${last_error.message}`, make)];
  const [last] = items;
  if (last === undefined)
    return [warn(next_at === null ? "there is none" : `there is none before ${next_at}`, make), ...attempt];
  const hours = Math.floor((now.getTime() - Date.parse(last.created_at)) / hourMs);
  const age = hours < 1 ? "less than an hour" : hours === 1 ? "an hour" : `${hours} hours`;
  const words = `the last one is ${age} old`;
  const missing = last.failed_workspaces.length;
  const gaps = missing === 0 ? [] : [warn(`it lacks ${missing} workspaces that could not be copied`)];
  return [hours < oldHours ? ok(words) : warn(words, make), ...gaps, ...attempt];
}
