import t from "tap";
import { ActivityLedger } from "./activity.ts";
import { exchangeOf } from "./hazards/test-request.ts";
import { watchIdle } from "./idle-watch.ts";

t.test("watchIdle() ends sockets, and tells requests that they stand still, each after its own time", async (t) => {
  const ledger = new ActivityLedger("w", 60_000);
  const heard = new Map<string, number>();
  const watched = (name: string, isSocket: boolean, silentFor: number) => {
    const upgrade = isSocket ? { upgrade: { socket: undefined as never, bytes: Buffer.alloc(0), release() {} } } : {};
    const activity = ledger.open(exchangeOf({}, {}, upgrade), true);
    Object.assign(activity, { forwarded: true, lastDataAt: Date.now() - silentFor });
    if (isSocket) activity.end = () => heard.set(name, Number.NaN);
    else activity.standsStill = (ms) => heard.set(name, ms);
    return activity;
  };
  watched("a socket that is silent", true, 65_000);
  watched("a socket that talks", true, 35_000);
  watched("a request that is silent", false, 35_000);
  watched("a request that is slow", false, 15_000);
  watched("a request that is held", false, 35_000).forwarded = false;
  const idleWatch = watchIdle(ledger, { headTimeoutSeconds: 30, bodyIdleSeconds: 90, socketIdleSeconds: 60 });
  while (heard.size < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  idleWatch[Symbol.dispose]();
  t.strictSame([...heard.keys()].sort(), ["a request that is silent", "a socket that is silent"]);
  const ms = heard.get("a request that is silent")!;
  t.ok(ms >= 35_000 && ms < 60_000, `${ms} ms`);
});
