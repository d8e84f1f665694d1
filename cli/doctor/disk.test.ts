import t from "tap";
import { type DiskFacts, judgeDisk } from "./disk.ts";

const gib = 2 ** 30;
const well = {
  totalBytes: 100 * gib,
  freeBytes: 50 * gib,
  totalInodes: 1e6,
  freeInodes: 5e5,
  writable: true,
  quota: "loop: files",
};
const config = { dataDirectory: "/var/lib/sandboxed" };

const table: [name: string, facts: DiskFacts, expected: object[]][] = [
  ["one with room", well, [{ status: "ok", message: /50\.0 GiB \(50 %\)/ }]],
  ["one that makes inodes", { ...well, totalInodes: 0, freeInodes: 0 }, [{ status: "ok" }]],
  ["little room", { ...well, freeBytes: 9 * gib }, [{ status: "warn", mend: /du -xh/ }]],
  ["a small share of a large one", { ...well, totalBytes: 1000 * gib }, [{ status: "warn" }]],
  ["no room", { ...well, freeBytes: gib / 2 }, [{ status: "fail" }]],
  ["few inodes", { ...well, freeInodes: 1e4 }, [{ status: "ok" }, { status: "warn", message: /inodes/ }]],
  ["a read-only one", { ...well, writable: false }, [{ status: "fail", message: /read-only/ }, { status: "ok" }]],
  [
    "one without quotas",
    { ...well, quota: "no quota: switched off" },
    [{}, { status: "warn", message: /switched off/ }],
  ],
  ["none", { error: "ENOENT" }, [{ status: "fail", message: /ENOENT/ }]],
];

for (const [name, facts, expected] of table) {
  t.test(`judgeDisk() of ${name}`, async (t) => {
    const verdicts = judgeDisk(facts, config);
    t.equal(verdicts.length, expected.length);
    t.match(verdicts, expected);
  });
}
