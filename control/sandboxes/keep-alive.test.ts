import t from "tap";
import { fixture, running } from "../testing/fixture.ts";
import { newSandboxId } from "./create-sandbox.ts";
import { keepAlive, lease } from "./keep-alive.ts";

const iso = (time: number) => new Date(time).toISOString();

t.test("keepAlive() promises a time, and a shorter one later", async (t) => {
  const it = fixture(t);
  const { id, generation } = await running(it);
  t.match(keepAlive(it.use, id, iso(it.clock.now + 60_000)), { keepaliveUntil: it.clock.now + 60_000, generation });
  t.match(keepAlive(it.use, id, iso(it.clock.now + 1000)), { keepaliveUntil: it.clock.now + 1000 });
});

t.test("keepAlive() brings a time nearer that is beyond the limit", async (t) => {
  const it = fixture(t, { config: { keepaliveMaxSeconds: 100 } });
  const { id } = await running(it);
  t.match(keepAlive(it.use, id, "2999-01-01T00:00:00+02:00"), { keepaliveUntil: it.clock.now + 100_000 });
});

t.test("keepAlive() refuses the past, and what is no RFC 3339 time", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  const bad = [
    iso(it.clock.now),
    "2001-01-01T00:00:00Z",
    "tomorrow",
    "2999-01-01",
    "2999-13-01T00:00:00Z",
    "2999-02-29T00:00:00Z",
    "2999-04-31T00:00:00+02:00",
    "2999-01-01 00:00:00Z",
    "",
  ];
  for (const until of bad) t.throws(() => keepAlive(it.use, id, until), { code: "invalid_request" }, until);
  t.throws(() => keepAlive(it.use, newSandboxId(), "2999-01-01T00:00:00Z"), { code: "not_found" });
});

t.test("lease() never shortens an earlier one", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  lease(it.use, id, 60);
  lease(it.use, id, 10);
  t.match(it.use.records.get(id), { leaseUntil: it.clock.now + 60_000 });
});
