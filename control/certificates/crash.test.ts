/** kill -9 at every step of getting a certificate: what Traefik serves is always good, and the next process goes on. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { missingPart } from "../../e2e/parts/parts.ts";
import { readCertificateFile } from "./dynamic-files.ts";
import { servedFingerprint } from "./served-certificate.ts";
import { acmeConfig } from "./testing/acme.ts";
import { startAuthorityProxy } from "./testing/authority-proxy.ts";
import { startEdge } from "./testing/edge.ts";
import { startKnot } from "./testing/knot.ts";
import { startPebble } from "./testing/pebble.ts";
import { validateCertificate } from "./valid-certificate.ts";

const domain = "example.com";
const issuing = fileURLToPath(new URL("testing/issuing-process.ts", import.meta.url));

/** All that another process, the CA or Traefik might see or have to go on from. */
const hookSteps = ["before.present", "after.present", "before.cleanup", "after.cleanup"];
const writes = [
  ...["renamed.account.json", "staging.order.json", "renamed.order.json", "renamed.certificate.json"],
  ...["removed.order.json", "staging.certificate.yml", "renamed.certificate.yml"],
];
/** Of the CA, that never arrive. */
const answers = ["POST sign-me-up", "POST order-plz", "POST chalZ", "POST finalize-order", "POST certZ"];

/** Changes the zone, and kills the process that called it before and after that, once each. */
const hook = `#!/bin/sh
die() { [ -e "$MARKS/$1" ] || { : >"$MARKS/$1"; kill -9 $PPID; exit 1; }; }
die "before.$1"
case "$1" in present) verb=add;; cleanup) verb=del;; esac
printf "server 127.0.0.1 $PORT\\nzone example.com.\\n$verb $2 1 TXT \\"$3\\"\\nsend\\n" | knsupdate -y "$KEY" || exit 1
die "after.$1"
`;

t.test("a process that dies at any step", { skip: missingPart("traefik", "pebble", "knot") }, async (t) => {
  const knot = await startKnot(t);
  const pebble = await startPebble(t, { nameServer: knot.address });
  const proxy = await startAuthorityProxy(t, pebble);
  const { config, edge, traefik } = await startEdge(t, { entryPoint: "websecure", tls: true }, { proven: true });
  await edge[Symbol.asyncDispose]();
  const [program, marks] = [join(config.dataDir, "hook"), join(config.dataDir, "marks")];
  await mkdir(marks);
  await writeFile(program, hook);
  await chmod(program, 0o755);
  const environment = { PATH: process.env.PATH, MARKS: marks, PORT: String(knot.port), KEY: knot.keyText };
  const acme = acmeConfig(knot, proxy.directoryUrl, { dns: { method: "exec", program, environment } });
  const traefikAddress = { host: "127.0.0.1", port: traefik.websecure };
  const settings = {
    config: { ...config, certSource: "acme", acme },
    options: { traefikAddress, authoritativePort: knot.port, turnEveryMs: 20 },
  };

  let child: ChildProcess;
  const lost = new Set<string>();
  proxy.answered = (asked) => {
    if (!answers.includes(asked) || lost.has(asked)) return;
    lost.add(asked);
    child.kill("SIGKILL");
  };
  const shown = () => servedFingerprint(traefikAddress, `api.preview.${domain}`);
  const good = new Set([await shown()]);
  for (let dead = 0; ; dead++) {
    child = spawn(process.execPath, [issuing], {
      env: {
        ...{
          PATH: process.env.PATH,
          NODE_EXTRA_CA_CERTS: pebble.caFile,
          NODE_COMPILE_CACHE: join(config.dataDir, "cache"),
        },
        ...{ MARKS: marks, STEPS: JSON.stringify(writes), EDGE: JSON.stringify(settings) },
      },
      stdio: ["ignore", 2, 2],
    });
    await once(child, "exit");
    const file = readCertificateFile(await readFile(join(config.dynamicDir, "certificate.yml"), "utf8"));
    good.add(validateCertificate(file!, domain, new Date()).fingerprint);
    t.ok(good.has(await shown()), "a good certificate is served");
    if (child.signalCode === "SIGKILL") continue;
    t.equal(child.exitCode, 0);
    t.equal(dead, hookSteps.length + writes.length + answers.length);
    break;
  }

  t.equal(good.size, 2, "the old one and one of the CA");
  const orders = proxy.asked.filter((asked) => asked === "POST order-plz").length;
  t.equal(orders, 3, "one more for each that was lost before it was written down");
  t.strictSame(readdirSync(marks).sort(), [...hookSteps, ...writes].sort());
  t.strictSame([...lost].sort(), answers.toSorted());
  const left = readdirSync(join(config.dataDir, "certificates", "private"), { recursive: true }).map(String);
  t.notOk(
    left.some((name) => basename(name).startsWith(".") || basename(name) === "order.json"),
    String(left),
  );
  t.strictSame(await knot.texts(`_acme-challenge.preview.${domain}`), []);
});
