import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Test } from "tap";
import { knotBinary, knsupdateBinary } from "../../../e2e/parts/parts.ts";
import { NameServers } from "../acme/name-servers.ts";
import { readTsigKey, type TsigKey } from "../acme/tsig.ts";
import { freePorts } from "./free-ports.ts";
import { eventually } from "./traefik.ts";

export type Knot = {
  readonly port: number;
  /** `address:port`. */
  readonly address: string;
  /** As SANDBOXD_ACME_RFC2136_KEY has it. */
  readonly keyText: string;
  readonly key: TsigKey;
  /** Lines of knsupdate, for names in example.com. */
  update(...lines: readonly string[]): Promise<void>;
  texts(name: string): Promise<string[]>;
};

const secret = Buffer.from("a secret for tests, 32 bytes long").toString("base64");

/** A real name server, authoritative for example.com (with these records beside its own), that takes signed updates. */
export async function startKnot(
  t: Test,
  options: {
    readonly address?: string;
    readonly port?: number;
    readonly records?: string;
    /** The address that the zone names for its name server. */
    readonly nameServer?: string;
  } = {},
): Promise<Knot> {
  const { address = "127.0.0.1", port: wanted, records = "", nameServer = "127.0.0.1" } = options;
  // Not in the test's own directory: the path of a socket is in there, and must be short.
  const root = mkdtempSync(join(tmpdir(), "knot-"));
  const port = wanted ?? (await freePorts(1))[0];
  const soa = "@ 1 SOA ns1 hostmaster 1 60 60 3600 1";
  writeFileSync(
    join(root, "example.com.zone"),
    `$ORIGIN example.com.\n${soa}\n@ 1 NS ns1\nns1 1 A ${nameServer}\n${records}\n`,
  );
  writeFileSync(join(root, "knot.conf"), configuration(root, address, port));
  const child = spawn(knotBinary, ["-c", join(root, "knot.conf")], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (log += chunk));
  const exited = once(child, "exit");
  t.teardown(async () => {
    child.kill("SIGKILL");
    await exited;
    rmSync(root, { recursive: true });
  });
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(`Knot ended: ${log}`);
    return log.includes("] loaded, serial") && log.includes("control, binding");
  });
  const keyText = `hmac-sha256:update:${secret}`;
  const update = (...lines: readonly string[]) => runUpdate(address, port, keyText, lines);
  const names = new NameServers({ resolvers: [], authoritativePort: port });
  const texts = (name: string) => names.textsAt(address, name, AbortSignal.timeout(10_000));
  return { port, address: `${address}:${port}`, keyText, key: readTsigKey(keyText)!, update, texts };
}

function configuration(root: string, address: string, port: number): string {
  return `
server:
  rundir: ${root}
  listen: ${address}@${port}
log:
  - target: stdout
    any: info
database:
  storage: ${root}
  journal-db-max-size: 10M
  kasp-db-max-size: 10M
  timer-db-max-size: 10M
  catalog-db-max-size: 10M
key:
  - id: update.
    algorithm: hmac-sha256
    secret: ${secret}
  - id: other.
    algorithm: hmac-sha256
    secret: ${secret}
acl:
  - id: update
    key: update.
    action: update
template:
  - id: default
    storage: ${root}
    file: "%s.zone"
    zonefile-sync: -1
    journal-content: all
    zonefile-load: difference
zone:
  - domain: example.com
    acl: update
`;
}

async function runUpdate(address: string, port: number, key: string, lines: readonly string[]): Promise<void> {
  const child = spawn(knsupdateBinary, ["-y", key], { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.end([`server ${address} ${port}`, "zone example.com.", ...lines, "send", "answer", ""].join("\n"));
  const said = Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await once(child, "exit");
  if (code !== 0 || !/status: NOERROR/.test(String(await said))) throw new Error(`knsupdate: ${await said}`);
}
