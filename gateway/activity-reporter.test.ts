import { pino } from "pino";
import t, { type Test } from "tap";
import { ActivityLedger } from "./activity.ts";
import { ActivityReporter, type ActivityReporterOptions } from "./activity-reporter.ts";
import { startControl } from "./hazards/test-control.ts";
import { eventually } from "./hazards/test-gateway.ts";
import { exchangeOf, sandboxId } from "./hazards/test-request.ts";

/** A reporter that flushes when it is told to, unless `more` says otherwise; ends with the test. */
async function open(t: Test, more: Partial<ActivityReporterOptions> = {}) {
  const { control, client } = await startControl(t);
  const ledger = new ActivityLedger("w", 60_000);
  const reporter = new ActivityReporter({
    ledger,
    control: client,
    flushMs: 3_600_000,
    logger: pino({ level: "silent" }),
    ...more,
  });
  t.teardown(() => reporter.close());
  const request = () => ledger.close(sandboxId, ledger.open(exchangeOf({}), true));
  return { control, ledger, reporter, request };
}

t.test("ActivityReporter tells once when an app first answered, and again when that did not arrive", async (t) => {
  const { control, ledger, reporter } = await open(t);
  ledger.answered(sandboxId, { run: 3, at: 9 });
  control.accept = (call) => call !== "activity";
  await reporter.flush();
  control.accept = () => true;
  await reporter.flush();
  t.match(control.reports, [{ sandboxes: [{ id: sandboxId, answered: { run: 3, at: 9 } }] }]);
  ledger.close(sandboxId, ledger.open(exchangeOf({}), true));
  await reporter.flush();
  t.notOk(control.reports.at(-1)!.sandboxes[0]!.answered);
});

t.test("ActivityReporter sends what was counted, one batch per flush", async (t) => {
  const { control, reporter, request } = await open(t);
  request();
  request();
  await reporter.flush();
  request();
  await reporter.flush();
  t.match(control.reports, [
    { worker: "w", sequence: 1, sandboxes: [{ id: sandboxId, requests: 2 }] },
    { worker: "w", sequence: 2, sandboxes: [{ id: sandboxId, requests: 1 }] },
  ]);
});

t.test("ActivityReporter flushes by itself", async (t) => {
  const { control, request } = await open(t, { flushMs: 10 });
  const told = () => control.reports.reduce((sum, { sandboxes }) => sum + (sandboxes[0]?.requests ?? 0), 0);
  request();
  await eventually(() => told() === 1, "the first is told");
  request();
  await eventually(() => told() === 2, "and the second");
  t.pass();
});

t.test("ActivityReporter gives a sign of life now and then when nothing happens, and no more", async (t) => {
  const { control, reporter } = await open(t);
  for (let index = 0; index < 20; index++) await reporter.flush();
  t.match(control.reports, [{ sandboxes: [] }]);
  t.equal(control.reports.length, 1);
});

t.test("ActivityReporter lets a lost report go with the next one", async (t) => {
  const { control, reporter, request } = await open(t);
  control.accept = () => false;
  request();
  await reporter.flush();
  request();
  await reporter.flush();
  t.strictSame(control.reports, []);
  control.accept = () => true;
  request();
  await reporter.flush();
  t.match(control.reports, [{ sequence: 3, sandboxes: [{ requests: 3 }] }]);
});

t.test("ActivityReporter outlasts a control that is away", async (t) => {
  const { control, reporter, request } = await open(t);
  await control.stop();
  request();
  await reporter.flush();
  await control.start();
  await reporter.flush();
  t.match(control.reports, [{ sandboxes: [{ requests: 1 }] }]);
});

t.test("ActivityReporter sends one report at a time", async (t) => {
  const { control, reporter, request } = await open(t);
  const gate = Promise.withResolvers<boolean>();
  control.accept = () => gate.promise;
  request();
  const flushes = [reporter.flush(), reporter.flush()];
  request();
  flushes.push(reporter.flush());
  gate.resolve(true);
  await Promise.all(flushes);
  t.match(control.reports, [{ sandboxes: [{ requests: 1 }] }]);
  t.equal(control.reports.length, 1);
  await reporter.flush();
  t.match(control.reports[1], { sandboxes: [{ requests: 1 }] }, "what came meanwhile goes with the next");
});

t.test("ActivityReporter.close() tells what is left, even behind a report under way", async (t) => {
  const { control, reporter, request } = await open(t);
  const gate = Promise.withResolvers<boolean>();
  const reached = Promise.withResolvers<void>();
  control.accept = () => {
    reached.resolve();
    return gate.promise;
  };
  request();
  const flush = reporter.flush();
  await reached.promise;
  request();
  const closed = reporter.close();
  gate.resolve(true);
  await Promise.all([flush, closed]);
  t.match(control.reports, [{ sandboxes: [{ requests: 1 }] }, { sandboxes: [{ requests: 1 }] }]);
});
