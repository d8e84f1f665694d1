import t from "tap";
import { BackOff } from "./back-off.ts";

t.test("after() doubles from 1 s to 30 s, and begins anew after a good run", async (t) => {
  const backOff = new BackOff();
  const waits = [5, 5, 5, 5, 5, 5, 5, 9_999].map((ranMs) => backOff.after(ranMs));
  t.strictSame(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  t.equal(backOff.after(10_000), 1_000);
  t.equal(backOff.after(5), 2_000);
});
