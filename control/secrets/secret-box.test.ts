import { randomBytes } from "node:crypto";
import t from "tap";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { SecretBox, SecretError } from "./secret-box.ts";

const [id, other] = [newSandboxId(), newSandboxId()];
const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];

t.test("SecretBox opens what it sealed, in its own place alone", async (t) => {
  const box = new SecretBox([oldKey]);
  for (const value of ["", "x", "ä\n\u{1f511}", "x".repeat(65_536)]) {
    const sealed = box.seal(id, "TOKEN", value);
    t.equal(box.open(id, "TOKEN", sealed), value);
    t.not(box.seal(id, "TOKEN", value), sealed, "no two are the same");
    t.throws(() => box.open(other, "TOKEN", sealed), SecretError);
    t.throws(() => box.open(id, "TOKEN2", sealed), SecretError);
  }
});

t.test("SecretBox refuses what was changed or is none of its own", async (t) => {
  const box = new SecretBox([oldKey]);
  const sealed = box.seal(id, "TOKEN", "value");
  for (let place = 12; place < sealed.length - 1; place++) {
    const changed = sealed.slice(0, place) + (sealed[place] === "A" ? "B" : "A") + sealed.slice(place + 1);
    t.throws(() => box.open(id, "TOKEN", changed), SecretError, String(place));
  }
  for (const wrong of ["", "value", "v1..", sealed.slice(0, 20)])
    t.throws(() => box.open(id, "TOKEN", wrong), SecretError, wrong);
  t.throws(() => new SecretBox([newKey]).open(id, "TOKEN", sealed), { message: /key of the secret TOKEN/ });
});

t.test("SecretBox seals with its first key and opens with each", async (t) => {
  const sealed = new SecretBox([oldKey]).seal(id, "TOKEN", "value");
  const both = new SecretBox([newKey, oldKey]);
  t.equal(both.open(id, "TOKEN", sealed), "value");
  t.equal(new SecretBox([newKey]).open(id, "TOKEN", both.seal(id, "TOKEN", "newer")), "newer");
});
