import t from "tap";
import { runtimesToChoose, sharesKernel } from "./container-runtime.ts";

t.test("runtimesToChoose() lets nobody out of the configured runtime into a plain one", async (t) => {
  const known = ["runc", "io.containerd.runc.v2", "runsc", "kata"];
  t.same(runtimesToChoose(known, null), ["io.containerd.runc.v2", "kata", "runc", "runsc"]);
  t.same(runtimesToChoose(known, "runsc"), ["kata", "runsc"]);
  t.same(runtimesToChoose(known, "runc"), ["kata", "runc", "runsc"]);
});

t.test("sharesKernel() knows what a daemon has by itself", async (t) => {
  for (const name of [undefined, "", "runc", "io.containerd.runc.v2"]) t.ok(sharesKernel(name), `${name}`);
  for (const name of ["runsc", "kata"]) t.notOk(sharesKernel(name), name);
});
