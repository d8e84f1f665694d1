import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Test } from "tap";
import type { AcmeConfig, DnsConfig } from "../acme/acme-config.ts";
import { AcmeSource } from "../acme/acme-source.ts";
import { validateCertificate } from "../valid-certificate.ts";
import type { Knot } from "./knot.ts";
import { testLog } from "./log.ts";

export type AcmeTest = {
  readonly source: AcmeSource;
  readonly directory: string;
  readonly log: ReturnType<typeof testLog>;
  /** Sets the clock; days from now. */
  at(days: number): void;
  turn(): Promise<boolean>;
  /** What the source hands out, validated as of its clock. */
  certificate(): Promise<ReturnType<typeof validateCertificate>>;
  /** Another source over the same directory, as after a restart. */
  restart(changes?: Partial<AcmeConfig>): Promise<AcmeTest>;
};

export function acmeConfig(knot: Knot, directoryUrl: string, changes: Partial<AcmeConfig> = {}): AcmeConfig {
  const dns: DnsConfig = { method: "rfc2136", server: { host: "127.0.0.1", port: knot.port }, key: knot.key };
  const defaults = {
    email: null,
    externalAccount: null,
    profile: "default",
    resolvers: [knot.address],
    dnsWaitSeconds: 20,
  };
  return { directoryUrl, dns, ...defaults, ...changes };
}

/** The source `acme` for `*.preview.<name>.example.com`, whose turns the test takes. */
export async function openAcme(
  t: Test,
  knot: Knot,
  config: AcmeConfig,
  name: string,
  directory = t.testdir({}),
): Promise<AcmeTest> {
  const domain = `${name}.example.com`;
  const log = testLog();
  let offsetMs = 0;
  const now = () => new Date(Date.now() + offsetMs);
  const privateDirectory = join(directory, "private");
  mkdirSync(privateDirectory, { recursive: true });
  const source = await AcmeSource.open({
    ...{ config, domain, privateDirectory, logger: log.logger, now, turnEveryMs: 50, authoritativePort: knot.port },
  });
  const { signal } = new AbortController();
  return {
    ...{ source, directory, log },
    at: (days) => {
      offsetMs = days * 86_400_000;
    },
    turn: () => source.turn(signal),
    certificate: async () => validateCertificate((await source.obtain())!, domain, now()),
    restart: (changes = {}) => openAcme(t, knot, { ...config, ...changes }, name, directory),
  };
}
