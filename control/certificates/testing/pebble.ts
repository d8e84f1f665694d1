import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import type { Test } from "tap";
import { pebbleBinary } from "../../../e2e/parts/parts.ts";
import { createAuthority, issueLeaf } from "../certificate-authority.ts";
import type { CertificatePair } from "../valid-certificate.ts";
import { freePorts } from "./free-ports.ts";
import { eventually } from "./traefik.ts";

export type Pebble = {
  readonly directoryUrl: string;
  readonly managementUrl: string;
  /** What its own listener is trusted by: a PEM file, and a pair for more listeners of `localhost`. */
  readonly caFile: string;
  readonly localhost: CertificatePair;
  log(): string;
};
export type PebbleOptions = {
  /** `address:port` of the name server that it validates with. */
  readonly nameServer: string;
  /** The key that accounts must be bound to; none: any account. */
  readonly externalAccount?: { readonly kid: string; readonly hmacKey: string };
  /** In percent. */
  readonly rejectedNonces?: number;
};

/** A real ACME server. This process trusts it from then on. */
export async function startPebble(t: Test, options: PebbleOptions): Promise<Pebble> {
  const { nameServer, externalAccount, rejectedNonces = 0 } = options;
  const root = mkdtempSync(join(tmpdir(), "pebble-"));
  const [port, management] = await freePorts(2);
  const now = new Date();
  const authority = await createAuthority(now);
  const localhost = await issueLeaf(authority, ["localhost"], now);
  const place = (name: string, content: string) => {
    writeFileSync(join(root, name), content);
    return join(root, name);
  };
  const caFile = place("ca.pem", authority.chain);
  setDefaultCACertificates([...getCACertificates("default"), authority.chain]);
  const configuration = {
    pebble: {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: place("tls.pem", localhost.chain),
      privateKey: place("tls.key", localhost.key),
      httpPort: 1,
      tlsPort: 1,
      ocspResponderURL: "",
      keyAlgorithm: "ecdsa",
      externalAccountBindingRequired: externalAccount !== undefined,
      ...(externalAccount && { externalAccountMACKeys: { [externalAccount.kid]: externalAccount.hmacKey } }),
      profiles: {
        default: { description: "90 days", validityPeriod: 90 * 86_400 },
        shortlived: { description: "6 days", validityPeriod: 6 * 86_400 },
      },
    },
  };
  const file = place("pebble.json", JSON.stringify(configuration));
  const child = spawn(pebbleBinary, ["-config", file, "-dnsserver", nameServer], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PEBBLE_VA_NOSLEEP: "1", PEBBLE_AUTHZREUSE: "0", PEBBLE_WFE_NONCEREJECT: String(rejectedNonces) },
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (log += chunk));
  const exited = once(child, "exit");
  t.teardown(async () => {
    child.kill("SIGKILL");
    await exited;
    rmSync(root, { recursive: true });
  });
  const directoryUrl = `https://localhost:${port}/dir`;
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(`Pebble ended: ${log}`);
    return fetch(directoryUrl).then(
      ({ ok }) => ok,
      () => false,
    );
  });
  return { directoryUrl, managementUrl: `https://localhost:${management}`, caFile, localhost, log: () => log };
}

/** What clients of the CA trust. */
export async function rootOf({ managementUrl }: Pebble): Promise<string> {
  return (await fetch(`${managementUrl}/roots/0`)).text();
}
