import { chmod } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { missingPart } from "../../../e2e/parts/parts.ts";
import { acmeConfig, openAcme } from "../testing/acme.ts";
import { startKnot } from "../testing/knot.ts";
import { startPebble } from "../testing/pebble.ts";

t.test("of a name that is an alias", { skip: missingPart("pebble", "knot") }, async (t) => {
  const knot = await startKnot(t, { records: "_acme-challenge.preview.aliased 1 CNAME challenges.elsewhere" });
  const pebble = await startPebble(t, { nameServer: knot.address });
  const config = acmeConfig(knot, pebble.directoryUrl);

  t.test("openRecords() gives an update the name where the alias leads", async (t) => {
    const acme = await openAcme(t, knot, config, "aliased");
    t.equal(await acme.turn(), true, String(acme.source.status().lastError?.message));
  });

  t.test("openRecords() gives a hook the name where the alias leads", async (t) => {
    const script = [
      "#!/bin/sh",
      'case "$1" in present) verb=add;; cleanup) verb=del;; esac',
      'printf "server 127.0.0.1 $PORT\\nzone example.com.\\n$verb $2 1 TXT \\"$3\\"\\nsend\\n" | knsupdate -y "$KEY"',
    ];
    const directory = t.testdir({ hook: `${script.join("\n")}\n` });
    const program = join(directory, "hook");
    await chmod(program, 0o755);
    const environment = { PATH: process.env.PATH, PORT: String(knot.port), KEY: knot.keyText };
    const acme = await openAcme(
      t,
      knot,
      { ...config, dns: { method: "exec", program, environment } },
      "aliased",
      directory,
    );
    t.equal(await acme.turn(), true, String(acme.source.status().lastError?.message));
    t.strictSame(await knot.texts("challenges.elsewhere.example.com"), []);
  });
});
