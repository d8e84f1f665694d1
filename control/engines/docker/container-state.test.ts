import t from "tap";
import { toExit } from "./container-state.ts";

t.test("toExit() reads a signal out of the exit code", async (t) => {
  t.same(toExit(0, false), { code: 0, signal: null, outOfMemory: false });
  t.same(toExit(7, false), { code: 7, signal: null, outOfMemory: false });
  t.same(toExit(143, false), { code: null, signal: "SIGTERM", outOfMemory: false });
  t.same(toExit(137, true), { code: null, signal: "SIGKILL", outOfMemory: true });
  t.same(toExit(255, false), { code: 255, signal: null, outOfMemory: false });
});

t.test("toExit() blames memory for a bad end only", async (t) => {
  t.equal(toExit(1, true).outOfMemory, true);
  t.equal(toExit(0, true).outOfMemory, false);
});
