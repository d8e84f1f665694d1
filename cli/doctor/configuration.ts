import { check, fail, ok, type Verdict } from "./check.ts";

/** The environment of the stack, as far as it is looked at here. */
export const configuration = check(
  "configuration",
  async ({ problems }) => problems,
  (problems) => judgeConfiguration(problems),
);

export function judgeConfiguration(problems: readonly string[]): readonly Verdict[] {
  if (problems.length === 0) return [ok("every value can be read")];
  return problems.map((problem) => fail(problem, "correct it in .env, then: docker compose up -d"));
}
