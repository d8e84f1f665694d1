import t from "tap";
import { Metrics } from "./metrics.ts";
import { WakeTimes } from "./sandboxes/wake-times.ts";

t.test("Metrics counts in a registry of its own", async (t) => {
  const metrics = new Metrics();
  const other = new Metrics();
  const times = new WakeTimes();
  times.add("start", 5);
  metrics.woke("ready", 7, times);
  metrics.woke("exited", 9, times);
  metrics.stopCancelled();
  metrics.countSandboxes(() => new Map([["running", 3]]));
  const text = await metrics.registry.metrics();
  t.match(text, /sandboxd_wakes_total\{outcome="ready"\} 1/);
  t.match(text, /sandboxd_wakes_total\{outcome="exited"\} 1/);
  t.match(text, /sandboxd_wake_duration_seconds_count 1/, "a refusal has no duration");
  t.match(text, /sandboxd_wake_duration_seconds_sum 0\.007/);
  t.match(text, /sandboxd_wake_wait_seconds_sum\{wait="start"\} 0\.005/);
  t.match(text, /sandboxd_wake_wait_seconds_count\{wait="lock"\} 1/);
  t.match(text, /sandboxd_stops_cancelled_total 1/);
  t.match(text, /sandboxd_sandboxes\{status="running"\} 3/);
  t.match(text, /sandboxd_sandboxes\{status="paused"\} 0/);
  t.notMatch(await other.registry.metrics(), /outcome="ready"/);
});
