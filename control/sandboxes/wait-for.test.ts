import t from "tap";
import { fixture, running } from "../testing/fixture.ts";
import { newSandboxId } from "./create-sandbox.ts";
import { removeSandbox } from "./remove-sandbox.ts";
import { stopSandbox } from "./stop-sandbox.ts";
import { waitFor } from "./wait-for.ts";

const patient = { milliseconds: 60_000, signal: new AbortController().signal };
const isStopped = ({ status }: { status: string }) => status === "stopped";
const force = { cause: "operator", mode: "stop", drain: "force" } as const;

t.test("waitFor() resolves at once, or with the change", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  t.match(await waitFor(it.use.records, id, ({ status }) => status === "running", patient), { status: "running" });
  const waiting = waitFor(it.use.records, id, isStopped, patient);
  await stopSandbox(it.use, id, force);
  t.match(await waiting, { status: "stopped" });
  t.equal(it.use.records.listenerCount("change"), 0);
});

t.test("waitFor() gives what there is when the time is up or nobody waits any more", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  t.match(await waitFor(it.use.records, id, isStopped, { ...patient, milliseconds: 1 }), { status: "running" });
  const caller = new AbortController();
  const waiting = waitFor(it.use.records, id, isStopped, { ...patient, signal: caller.signal });
  caller.abort();
  t.match(await waiting, { status: "running" });
  t.equal(it.use.records.listenerCount("change"), 0);
});

t.test("waitFor() ends with the sandbox", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  const waiting = waitFor(it.use.records, id, isStopped, patient);
  await removeSandbox(it.use, id, "all");
  t.equal(await waiting, undefined);
  t.equal(await waitFor(it.use.records, newSandboxId(), isStopped, patient), undefined);
});
