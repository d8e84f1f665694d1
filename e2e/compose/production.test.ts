/** The page docs/production.md, command by command, as an operator types them. */
import { existsSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { egressTable } from "#contract/egress-table.ts";
import { startKnot } from "../../control/certificates/testing/knot.ts";
import { daysFromNow } from "../../control/certificates/testing/pairs.ts";
import { rootOf, startPebble } from "../../control/certificates/testing/pebble.ts";
import { eventually } from "../main-loop.ts";
import { missingPart } from "../parts/parts.ts";
import { Machine, type Ran, well } from "./machine.ts";
import { ShellPage } from "./shell-page.ts";

t.setTimeout(600_000);

const page = await ShellPage.read("production.md");

t.test("docs/production.md", { skip: missingPart("docker", "images", "compose", "root") }, async (t) => {
  const machine = await Machine.prepare(t);
  const run = (section: string, says: string): Promise<Ran> => machine.sh(page.take(section, says));

  await t.test("settings, certificate and start", async (t) => {
    await machine.certify(daysFromNow(-10));
    await well(run("Settings", ">.env"));
    await well(run("Settings", "sandboxd.env"));
    t.equal(await well(machine.sh(`stat -c %a "${machine.etc}" "${machine.etc}/sandboxd.env"`)), "700\n600\n");
    await well(run("The certificate", "install"));
    await well(run("Start", "docker compose build"));
  });

  await t.test("the doctor finds nothing wrong but that there is no such domain", async (t) => {
    const { code, stdout } = await run("Start", "doctor");
    const failed = stdout.split("\n").filter((line) => line.startsWith("FAIL"));
    t.match(failed, [/^FAIL {2}dns /], stdout);
    t.equal(code, 1);
    for (const name of ["configuration", "traefik", "gateways", "control", "engine", "tokens", "binds", "egress"]) {
      t.match(stdout, new RegExp(`^ok {4}${name} `, "m"));
    }
  });

  await t.test("the first sandbox", async (t) => {
    const [health, readiness, sandbox] = (await well(run("first sandbox", "healthz"))).split(/(?<=^ok)|(?<=ready)/);
    t.strictSame([health, readiness], ["ok", "ready"]);
    const { id, previews } = JSON.parse(sandbox!);
    t.match(previews, [{ url: /^https:\/\/s-[0-9a-z]{26}-3000\.preview\.example\.com:/ }]);
    const answers = await well(run("first sandbox", "token="));
    t.match(answers, /^\{"error":"unauthorized"\}\{"items":\[\{"id":"/);
    t.match(answers, /404\n$/);
    const shown = await well(run("first sandbox", "url="));
    t.equal(shown.match(/<!doctype html>/gi)?.length, 2, "the page, awake and from asleep");
    t.match(shown, '"status":"stopped"');
    t.match(shown, `s-${id.toLowerCase()}`);
  });

  await t.test("day by day", async (t) => {
    const before = await well(machine.sh("docker compose ps --quiet"));
    await well(run("Day by day", "docker compose up"));
    t.equal(await well(machine.sh("docker compose ps --quiet")), before, "without another setting nothing is replaced");
    const status = (token: string) =>
      well(
        machine.sh(
          `curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer ${token}" https://api.preview.example.com/v1/sandboxes`,
        ),
      );
    const token = async () => (await well(machine.sh(`sed -n 's/.*builder://p' "${machine.etc}/sandboxd.env"`))).trim();
    const old = await token();
    await well(run("Day by day", "SIGHUP"));
    await eventually(async () => (await status(old)) === "401");
    t.equal(await status(await token()), "200");
    t.match(await well(run("Day by day", "docker compose logs")), '"msg":"listening"');
  });

  await t.test("a renewed certificate", async (t) => {
    await machine.certify(new Date());
    await well(machine.sh('install -m 600 "$CERTS/fullchain.pem" "$CERTS/privkey.pem" certs/'));
    // curl trusts the authority of the renewed one alone.
    await eventually(async () => (await machine.sh("curl -s https://api.preview.example.com/healthz")).stdout === "ok");
    t.pass("it is served");
  });

  await t.test("a certificate that control gets from a CA", { skip: missingPart("pebble", "knot") }, async (t) => {
    // Authoritative name servers are asked at the port that they all have.
    const knot = await startKnot(t, { address: "127.53.0.1", nameServer: "127.53.0.1", port: 53 });
    const pebble = await startPebble(t, { nameServer: knot.address });
    await copyFile(pebble.caFile, join(machine.checkout, "certs", "root.pem"));
    await well(machine.sh(page.take("The certificate", "acme"), { TSIG_KEY: knot.keyText }));
    const here = `SANDBOXD_ACME_DIRECTORY_URL=${pebble.directoryUrl}
SANDBOXD_ACME_RFC2136_SERVER=${knot.address}
SANDBOXD_ACME_DNS_RESOLVERS=${knot.address}
NODE_EXTRA_CA_CERTS=/app/certs/root.pem`;
    await well(machine.sh(`echo '${here}' >>.env`));
    await well(run("Day by day", "docker compose up"));
    await machine.trust(await rootOf(pebble));
    await eventually(async () => (await machine.sh("curl -s https://api.preview.example.com/healthz")).stdout === "ok");
    t.match(JSON.parse(await well(machine.sh("curl -s http://127.0.0.1:9090/v1/certificate"))), {
      source: "acme",
      names: ["*.preview.example.com"],
    });
  });

  await t.test("the API off the edge", async (t) => {
    await well(run("Day by day", "api.yml"));
    const status = "curl -s -o /dev/null -w '%{http_code}' https://api.preview.example.com/healthz";
    await eventually(async () => (await machine.sh(status)).stdout === "404");
    t.equal(await well(machine.sh("curl -s http://127.0.0.1:9090/healthz")), "ok");
  });

  await t.test("another version", async (t) => {
    const ids = () => well(machine.sh("docker compose ps --quiet control gateway gateway-2 traefik"));
    const before = (await ids()).trim().split("\n");
    await well(machine.sh("echo SANDBOXD_HOLD_SECONDS=50 >>.env"));
    await well(run("Another version", "for service in"));
    const kept = (await ids())
      .trim()
      .split("\n")
      .filter((id) => before.includes(id));
    t.equal(kept.length, 1, "all but Traefik are new ones");
    t.ok(existsSync(join(machine.data, "state.before", "sandboxd.db")));
    await eventually(async () => (await machine.sh("curl -s https://api.preview.example.com/healthz")).stdout === "ok");
  });

  await t.test("the end", async (t) => {
    await well(run("The end", "docker compose down"));
    t.equal(
      (await well(machine.sh(`docker ps --quiet --filter network=${machine.name}`))).trim().split("\n").length,
      1,
    );
    const table = egressTable(machine.name);
    t.match(await run("The end", "remove-egress"), { code: 0, stdout: new RegExp(`^The tables ${table} are gone`) });
  });

  t.strictSame(page.left, [], "every command of the page was run");
});
