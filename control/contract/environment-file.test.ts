import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { overlay, readEnvironmentFile } from "./environment-file.ts";

const directory = mkdtempSync(join(tmpdir(), "environment-file-"));
t.teardown(() => rmSync(directory, { recursive: true }));

function read(text: string) {
  const path = join(directory, "file.env");
  writeFileSync(path, text);
  return readEnvironmentFile(path);
}

t.test("readEnvironmentFile() reads the plain grammar", async (t) => {
  const text = `# comment\n\nA=1\n  B = two words \nexport C="quoted # not a comment"\nD='it''s'\r\nE=x # comment\nF=\nG="two\nlines"\n`;
  t.match(read(text), { A: "1", B: "two words", C: "quoted # not a comment", E: "x", F: "", G: "two\nlines" });
});

t.test("readEnvironmentFile() of no file is empty", async (t) => {
  t.same(readEnvironmentFile(join(directory, "none")), {});
});

t.test("readEnvironmentFile() names the line that it cannot parse, and no value", async (t) => {
  t.throws(() => read("A=1\nsecret nonsense\n"), {
    message: /SANDBOXD_ENV_FILE: .*file\.env, line 2: expected NAME=value$/,
  });
  t.throws(() => read("1A=1"), { message: /line 1/ });
  t.throws(() => read('A=1\nB="never closed\nC=2'), { message: /line 2/ });
  t.throws(() => readEnvironmentFile(directory), { message: /Cannot read SANDBOXD_ENV_FILE/ });
});

t.test("overlay() lets the process win, whichever way a name is spelt", async (t) => {
  t.same(overlay({ SANDBOXD_A: "file" }, { SANDBOXED_A: "process" }), { SANDBOXD_A: "process" });
  t.same(overlay({ SANDBOXED_A: "file" }, { SANDBOXD_A: "" }), { SANDBOXD_A: "file" });
  t.same(overlay({ A: "file", B: "file" }, { A: "process", B: undefined }), { A: "process", B: "file" });
});
