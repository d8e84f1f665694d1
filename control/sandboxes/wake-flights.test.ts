import t from "tap";
import { newSandboxId } from "./create-sandbox.ts";
import { WakeFlights, type WakeResult } from "./wake-flights.ts";

const refused: WakeResult = { outcome: "refused", refusal: { code: "start_failed", message: "broken" } };

t.test("join() answers at its deadline while the wake goes on, and gives later ones the end", async (t) => {
  const flights = new WakeFlights(10);
  const id = newSandboxId();
  const end = Promise.withResolvers<WakeResult>();
  t.match(await flights.join(id, () => end.promise), { outcome: "timed-out" });
  t.ok(flights.isUnderWay(id));
  const late = flights.join(id, () => t.fail("a second wake began") as never);
  end.resolve(refused);
  t.equal(await late, refused);
  t.notOk(flights.isUnderWay(id));
});

t.test("abort() reaches the wake and nothing else", async (t) => {
  const flights = new WakeFlights(1000);
  const id = newSandboxId();
  const joined = flights.join(id, async (signal) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return refused;
  });
  flights.abort(newSandboxId());
  flights.abort(id);
  t.equal(await joined, refused);
});

t.test("close() calls every wake off and refuses further ones", async (t) => {
  const flights = new WakeFlights(1000);
  const joined = flights.join(newSandboxId(), async (signal) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return refused;
  });
  flights.close();
  await joined;
  const late = await flights.join(newSandboxId(), () => t.fail("a wake began") as never);
  t.match(late, { outcome: "refused", refusal: { code: "engine_unavailable" } });
});
