import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { newDirectory } from "../testing/control.ts";
import { openSecretBox, SecretKeyError } from "./secret-key-file.ts";

const id = newSandboxId();

t.test("openSecretBox() makes a key that its owner alone reads, and keeps to it", async (t) => {
  const path = join(newDirectory(t), "keys", "secrets.key");
  const sealed = openSecretBox(path).seal(id, "TOKEN", "value");
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(statSync(join(path, "..")).mode & 0o777, 0o700);
  t.equal(openSecretBox(path).open(id, "TOKEN", sealed), "value");
  const another = readFileSync(path, "utf8").replace(/^./, (first) => (first === "A" ? "B" : "A"));
  writeFileSync(path, `${another}\n${readFileSync(path, "utf8")}`);
  t.equal(openSecretBox(path).open(id, "TOKEN", sealed), "value", "an older key may stand below");
});

t.test("openSecretBox() refuses a file that others may read, and one without keys", async (t) => {
  const path = join(newDirectory(t), "secrets.key");
  openSecretBox(path);
  chmodSync(path, 0o640);
  t.throws(() => openSecretBox(path), { name: "SecretKeyError", message: /SANDBOXD_SECRET_KEY_FILE: .*chmod 600/ });
  chmodSync(path, 0o600);
  for (const text of ["", "\n", "short\n", `${"A".repeat(43)}\nshort`]) {
    writeFileSync(path, text);
    t.throws(() => openSecretBox(path), SecretKeyError, JSON.stringify(text));
  }
  t.throws(() => openSecretBox(join(path, "below-a-file")), SecretKeyError);
});
