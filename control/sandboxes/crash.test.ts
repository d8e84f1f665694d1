import t from "tap";
import { policy } from "../testing/fixture.ts";
import { afterCrash, heldBack } from "./crash.ts";
import { newSandboxId } from "./create-sandbox.ts";
import { changed, newSandbox, type Sandbox } from "./sandbox.ts";

const reason = { code: "exited", message: "The command ended with code 7", exitCode: 7 } as const;
const start = 1_000_000;

function startedAt(time: number, crashes = 0): Sandbox {
  const sandbox = newSandbox(newSandboxId(), policy, start);
  return { ...sandbox, status: "running", startedAt: time, crashes };
}

const delayOf = (sandbox: Sandbox, now: number) => (afterCrash(sandbox, reason, now).retryAt ?? now) - now;

t.test(
  "afterCrash() lets the next request start it after the first one, then waits from 1 s doubling to 1 min",
  async (t) => {
    const delays = [0, 1, 2, 3, 4, 5, 6, 7, 8, 100].map((crashes) => delayOf(startedAt(start, crashes), start + 1));
    t.same(delays, [0, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  },
);

t.test("afterCrash() counts anew after a run of ten seconds", async (t) => {
  t.match(afterCrash(startedAt(start, 6), reason, start + 9_999), { crashes: 7 });
  t.match(afterCrash(startedAt(start, 6), reason, start + 10_000), { crashes: 1, retryAt: null });
});

t.test("heldBack() says for how long, with the reason of the last end", async (t) => {
  const crashed = changed(startedAt(start, 2), afterCrash(startedAt(start, 2), reason, start), start);
  t.match(heldBack(crashed, start + 1), {
    code: "exited",
    exitCode: 7,
    retryAfterSeconds: 2,
    message: /3 times in a row/,
  });
  t.match(heldBack(crashed, start + 1999), { retryAfterSeconds: 1 });
  t.equal(heldBack(crashed, start + 2000), undefined);
  t.equal(heldBack(startedAt(start), start), undefined);
});
