import { rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { FileSource, pairNames } from "./file-source.ts";
import { testLog } from "./testing/log.ts";

for (const { chain, key } of pairNames) {
  t.test(`obtain() reads ${chain} and ${key}`, async (t) => {
    const source = new FileSource(t.testdir({ [chain]: "the chain", [key]: "the key" }), testLog().logger);
    t.strictSame(await source.obtain(), { chain: "the chain", key: "the key" });
  });
}

t.test("obtain() prefers the whole chain", async (t) => {
  const files = { "cert.pem": "leaf", "key.pem": "key", "fullchain.pem": "chain", "privkey.pem": "key" };
  const source = new FileSource(t.testdir(files), testLog().logger);
  t.equal((await source.obtain()).chain, "chain");
});

t.test("obtain() names the missing half of a pair", async (t) => {
  const directory = t.testdir({ "fullchain.pem": "chain" });
  await t.rejects(new FileSource(directory, testLog().logger).obtain(), {
    name: "CertificateError",
    message: `fullchain.pem is in ${directory}, but privkey.pem is not`,
  });
});

t.test("obtain() says what it looked for", async (t) => {
  for (const directory of [t.testdir({}), "/nonexistent"]) {
    await t.rejects(new FileSource(directory, testLog().logger).obtain(), {
      name: "CertificateError",
      message: /^no certificate is in .* \(looked for fullchain.pem and privkey.pem, tls.crt and tls.key, /,
    });
  }
});

t.test("obtain() says why it cannot read", async (t) => {
  const source = new FileSource(t.testdir({ "tls.crt": {}, "tls.key": "key" }), testLog().logger);
  await t.rejects(source.obtain(), { name: "CertificateError", message: /^tls.crt cannot be read: EISDIR/ });
});

const changes: Record<string, (directory: string) => Promise<unknown>> = {
  "a file written again": (directory) => writeFile(join(directory, "tls.crt"), "new"),
  "a file renamed over the old one": async (directory) => {
    await writeFile(join(directory, ".new"), "new");
    await rename(join(directory, ".new"), join(directory, "tls.crt"));
  },
  "a link that leads elsewhere": async (directory) => {
    await symlink("elsewhere", join(directory, ".new"));
    await rename(join(directory, ".new"), join(directory, "tls.crt"));
  },
};
for (const [what, change] of Object.entries(changes)) {
  t.test(`watch() tells of ${what}`, async (t) => {
    const directory = t.testdir({ "tls.crt": "old", "tls.key": "key" });
    const changed = Promise.withResolvers<void>();
    await using _watch = new FileSource(directory, testLog().logger).watch(changed.resolve);
    await change(directory);
    await changed.promise;
    t.pass("told");
  });
}

t.test("watch() warns of a directory that is not there", async (t) => {
  const directory = t.testdir({});
  await rm(directory, { recursive: true });
  const log = testLog();
  await new FileSource(directory, log.logger).watch(() => {})[Symbol.asyncDispose]();
  t.equal(log.lines[0]?.msg, "certificate directory cannot be watched");
});
