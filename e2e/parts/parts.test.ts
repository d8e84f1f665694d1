import { spawnSync } from "node:child_process";
import t from "tap";
import { missingPart } from "./parts.ts";

/** Asks in a process of its own, where no command is found, and as a user who is not root. */
function missingInBareProcess(
  parts: string[],
  environment: Record<string, string> = {},
): { answer: unknown; stderr: string } {
  const script = `
    import { missingPart } from ${JSON.stringify(import.meta.resolve("./parts.ts"))};
    process.getuid = () => 1000;
    console.log(JSON.stringify(missingPart(...${JSON.stringify(parts)})));`;
  const child = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
    env: { PATH: "", ...environment },
    encoding: "utf8",
  });
  return { answer: child.stdout === "" ? undefined : JSON.parse(child.stdout), stderr: child.stderr };
}

t.test("missingPart() is false when nothing is asked for", async (t) => {
  t.equal(missingPart(), false);
});

t.test(
  "missingPart() is false for a part that is there",
  { skip: process.getuid?.() !== 0 && "not root" },
  async (t) => {
    t.equal(missingPart("root"), false);
  },
);

t.test("missingPart() says in one line what is missing and what to run", async (t) => {
  const { answer } = missingInBareProcess(["docker"]);
  t.match(answer, /^Docker engine does not answer on \/var\/run\/docker\.sock: run [^\n]+$/);
});

t.test("missingPart() names every missing part", async (t) => {
  const { answer } = missingInBareProcess(["compose", "root"]);
  t.equal(answer, "Docker Compose is not installed: run `npm run parts`; needs root");
});

t.test("missingPart() asks for the engine before its images", async (t) => {
  t.match(missingInBareProcess(["images"]).answer, /^Docker engine does not answer/);
});

for (const CI of ["true", "1"]) {
  t.test(`missingPart() throws when CI is ${CI}`, async (t) => {
    const { answer, stderr } = missingInBareProcess(["root"], { CI });
    t.equal(answer, undefined);
    t.match(stderr, "Error: needs root");
  });
}

t.test("missingPart() does not throw when CI is false", async (t) => {
  t.equal(missingInBareProcess(["root"], { CI: "false" }).answer, "needs root");
});
