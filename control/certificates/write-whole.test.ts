import { statSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { readIfThere, removeWhole, writeWhole } from "./write-whole.ts";

const accept = () => {};

t.test("writeWhole() writes the content and its mode, and leaves nothing beside it", async (t) => {
  const root = t.testdir({ watched: {}, staging: {} });
  const path = join(root, "watched", "a.yml");
  const options = { mode: 0o600, stagingDirectories: [join(root, "staging")], verify: accept };
  t.equal(await writeWhole(path, "one", options), true);
  t.equal(await readFile(path, "utf8"), "one");
  t.equal((await stat(path)).mode & 0o777, 0o600);
  t.strictSame(await readdir(join(root, "watched")), ["a.yml"]);
  t.strictSame(await readdir(join(root, "staging")), []);
});

t.test("writeWhole() leaves a file untouched that says the same", async (t) => {
  const root = t.testdir({ staging: {} });
  const path = join(root, "a.yml");
  const options = { mode: 0o644, stagingDirectories: [join(root, "staging")], verify: accept };
  await writeWhole(path, "one", options);
  const { ino } = await stat(path);
  t.equal(await writeWhole(path, "one", options), false);
  t.equal((await stat(path)).ino, ino);
});

t.test("writeWhole() writes again what others may read", async (t) => {
  const root = t.testdir({ staging: {} });
  const path = join(root, "a.yml");
  const options = { mode: 0o600, stagingDirectories: [join(root, "staging")], verify: accept };
  await writeWhole(path, "secret", options);
  await chmod(path, 0o644);
  t.equal(await writeWhole(path, "secret", options), true);
  t.equal((await stat(path)).mode & 0o777, 0o600);
});

t.test("writeWhole() keeps the old content when the new one fails its check", async (t) => {
  const root = t.testdir({ "a.yml": "good", staging: {} });
  const path = join(root, "a.yml");
  const verify = (content: string) => {
    if (content === "bad") throw new Error("no");
  };
  await t.rejects(writeWhole(path, "bad", { mode: 0o644, stagingDirectories: [join(root, "staging")], verify }), {
    message: "no",
  });
  t.equal(await readFile(path, "utf8"), "good");
  t.strictSame(await readdir(join(root, "staging")), []);
});

t.test(
  "writeWhole() goes on to the next staging directory for another file system",
  { skip: missingShm() },
  async (t) => {
    const root = t.testdir({ staging: {} });
    const elsewhere = `/dev/shm/sandboxd-write-whole-${process.pid}`;
    await mkdir(elsewhere);
    t.teardown(() => rm(elsewhere, { recursive: true }));
    const path = join(root, "a.yml");
    const options = { mode: 0o644, verify: accept };
    await writeWhole(path, "one", { ...options, stagingDirectories: [elsewhere, join(root, "staging")] });
    t.equal(await readFile(path, "utf8"), "one");
    await t.rejects(writeWhole(path, "two", { ...options, stagingDirectories: [elsewhere] }), {
      message: /must be on its file system/,
    });
    t.strictSame(await readdir(elsewhere), []);
  },
);

t.test("removeWhole() answers whether there was a file", async (t) => {
  const path = join(t.testdir({}), "a");
  await writeFile(path, "");
  t.equal(await removeWhole(path), true);
  t.equal(await removeWhole(path), false);
  t.equal(await readIfThere(path), undefined);
});

function missingShm(): string | false {
  const other = statSync("/dev/shm", { throwIfNoEntry: false })?.dev;
  return other === undefined || other === statSync(".").dev ? "needs /dev/shm on a file system of its own" : false;
}
