import { resolve } from "node:path";
import type { EnvironmentReader, Variables } from "#contract/environment.ts";
import { type AcmeConfig, acmeVariables, readAcme } from "./acme/acme-config.ts";

/** Where the certificate comes from, as the operator wrote it. */
export type CertificateConfig = {
  readonly certSource: (typeof sources)[number];
  readonly certDirectory: string;
  /** Null when no way to answer a CA's challenges is named. */
  readonly acme: AcmeConfig | null;
};

export const certificateVariables = [
  "SANDBOXD_CERT_SOURCE",
  "SANDBOXD_CERT_DIR",
  ...acmeVariables,
  "SANDBOXD_TRAEFIK_DNS_PROVIDER",
] as const;

const sources = ["self-signed", "file", "acme", "traefik"] as const;

/** `environment` is what a hook of the operator's gets. */
export function readCertificates(read: EnvironmentReader, environment: Variables): CertificateConfig {
  const certSource = read.choice("SANDBOXD_CERT_SOURCE", "self-signed", sources);
  if (certSource === "acme" && read.raw("SANDBOXD_ACME_DNS") === undefined) {
    read.conflict("Cannot use SANDBOXD_CERT_SOURCE=acme: SANDBOXD_ACME_DNS must say how challenges are answered");
  }
  const provider = read.raw("SANDBOXD_TRAEFIK_DNS_PROVIDER");
  if (certSource === "traefik" && provider === undefined) {
    read.conflict("Cannot use SANDBOXD_CERT_SOURCE=traefik: SANDBOXD_TRAEFIK_DNS_PROVIDER must name the DNS provider");
  }
  const certDirectory = resolve(read.text("SANDBOXD_CERT_DIR", "certs"));
  return { certSource, certDirectory, acme: readAcme(read, environment) };
}
