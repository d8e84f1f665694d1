import { createTask, parse, validateDetailed } from "node-cron";

/** When a sandbox is woken and put to sleep by the clock of a time zone: cron expressions of five fields. */
export type Schedule = {
  /** Of the IANA database: `Europe/Berlin`. */
  readonly timezone: string;
  readonly wake: readonly string[];
  readonly sleep: readonly string[];
};

export type ScheduledAct = { readonly act: "wake" | "sleep" /** Epoch milliseconds. */; readonly at: number };

const minuteMs = 60_000;
/** What comes later than so is not looked for. */
const horizonMs = 8 * 24 * 60 * minuteMs;

/** What is wrong with a schedule, in words; undefined when nothing is. */
export function scheduleProblem({ timezone, wake, sleep }: Schedule): string | undefined {
  if (!isTimeZone(timezone)) return `timezone ${JSON.stringify(timezone)} is not in the IANA database`;
  if (wake.length + sleep.length === 0) return "it needs a time to wake or to sleep";
  for (const expression of [...wake, ...sleep]) {
    const problem = expressionProblem(expression);
    if (problem !== undefined) return `${JSON.stringify(expression)} ${problem}`;
  }
  return undefined;
}

/** The next minute after a time that one of the expressions names; undefined when none comes within eight days. */
export function nextTime(expressions: readonly string[], timezone: string, after: number): number | undefined {
  return first(expressions, timezone, after, after + horizonMs);
}

/** What the schedule does next after a time. At the same minute waking wins. */
export function nextAct(schedule: Schedule, after: number): ScheduledAct | undefined {
  const wake = nextTime(schedule.wake, schedule.timezone, after);
  const sleep = nextTime(schedule.sleep, schedule.timezone, after);
  if (wake !== undefined && (sleep === undefined || wake <= sleep)) return { act: "wake", at: wake };
  return sleep === undefined ? undefined : { act: "sleep", at: sleep };
}

/** What was due last after one time and up to another; what came before it is past. */
export function lastDue(schedule: Schedule, after: number, upTo: number): ScheduledAct | undefined {
  let due: ScheduledAct | undefined;
  for (let next = nextAct(schedule, after); next !== undefined && next.at <= upTo; next = nextAct(schedule, next.at)) {
    due = next;
  }
  return due;
}

function first(expressions: readonly string[], timezone: string, after: number, upTo: number): number | undefined {
  const matchers = expressions.map((expression) => matcher(expression, timezone));
  for (let time = (Math.floor(after / minuteMs) + 1) * minuteMs; time <= upTo; time += minuteMs) {
    if (matchers.some((matches) => matches(time))) return time;
  }
  return undefined;
}

/** Time zones are apart by whole quarters of an hour, so most minutes can be told without asking the calendar. */
function matcher(expression: string, timezone: string): (time: number) => boolean {
  const task = createTask(expression, () => {}, { timezone });
  // It is asked and never run; the library keeps a list of those that are not destroyed.
  void task.destroy();
  const inQuarter = new Set(parse(expression).minute.map((minute) => minute % 15));
  return (time) => inQuarter.has((time / minuteMs) % 15) && task.match(new Date(time));
}

function expressionProblem(expression: string): string | undefined {
  if (expression.trim().split(/\s+/).length !== 5) return "does not have the five fields of a cron expression";
  const detail = validateDetailed(expression);
  return detail.valid ? undefined : `is no cron expression: ${detail.errors.map(({ message }) => message).join(", ")}`;
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }) !== undefined;
  } catch {
    return false;
  }
}
