import t from "tap";
import { anySpec, newId } from "../engine-under-test.ts";
import { KnownContainers } from "./known-containers.ts";

t.test("a container is known until it is lost, and what it was made of until it is forgotten", async (t) => {
  const known = new KnownContainers();
  const spec = { ...anySpec, id: newId() };
  t.notOk(known.has(spec, "a"));
  t.equal(known.lose(spec.id), undefined);
  known.learn(spec, "a");
  t.ok(known.has(spec, "a"));
  t.notOk(known.has(spec, "b"));
  t.equal(known.lose(spec.id), spec);
  t.notOk(known.has(spec, "a"));
  t.equal(known.lose(spec.id), spec, "whoever tells of the removal first");
  known.learn(spec, "a");
  known.clear();
  t.notOk(known.has(spec, "a"));
  known.forget(spec.id);
  t.equal(known.lose(spec.id), undefined);
});
