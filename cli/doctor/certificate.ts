import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { formatApiHost } from "#contract/preview-host.ts";
import type { CliConfig } from "../config.ts";
import { type Answer, ask, isSilent, type Silence } from "../http.ts";
import { check, fail, ok, type Verdict, warn } from "./check.ts";
import { type Shown, shakeHands } from "./tls.ts";

/** The certificate as it is served, and what control says about it. */
export const certificate = check("certificate", lookAtCertificate, judgeCertificate);

export type CertificateFacts = {
  readonly shown: Shown | Silence;
  /** What `GET /v1/certificate` answered. */
  readonly told: Answer | Silence;
  /** PEM of control's local authority, when there is one. */
  readonly localAuthority: string | undefined;
  readonly now: Date;
};

type Told = {
  readonly not_after?: string;
  readonly next_renewal_at?: string | null;
  readonly last_error?: { readonly message?: string } | string | null;
};

const dayMs = 86_400_000;

async function lookAtCertificate(config: CliConfig, signal: AbortSignal): Promise<CertificateFacts | undefined> {
  if (!config.tls) return undefined;
  const { apiBind, httpsPort, domain, dataDirectory } = config;
  const [shown, told, localAuthority] = await Promise.all([
    shakeHands({ host: "127.0.0.1", port: httpsPort, servername: formatApiHost(domain) }, signal),
    ask({ ...apiBind, path: "/v1/certificate" }, signal),
    readFile(join(dataDirectory, "certificates", "ca.pem"), "utf8").catch(() => undefined),
  ]);
  return { shown, told, localAuthority, now: new Date() };
}

type Expected = Pick<CliConfig, "domain" | "scheme" | "certSource">;

export function judgeCertificate(facts: CertificateFacts | undefined, config: Expected): readonly Verdict[] {
  if (facts === undefined) return [judgePlain(config)];
  const { shown, told } = facts;
  const served = isSilent(shown) ? unserved(shown) : judgeShown(shown, facts, config);
  return [served, ...judgeTold(told, shown)];
}

function judgePlain({ domain, scheme }: Expected): Verdict {
  if (scheme === "https") return ok("TLS ends before Traefik (PREVIEW_SCHEME=https)");
  if (domain === "localhost") return ok("TLS is off, on this machine alone");
  return warn(
    "TLS is off: previews and tokens travel in plain text",
    "write PREVIEW_TLS=true and PREVIEW_ENTRYPOINT=websecure to .env, then: docker compose up -d",
  );
}

function unserved({ silence }: Silence): Verdict {
  return fail(
    `no handshake with the edge (${silence})`,
    "docker compose ps traefik control; docker compose logs control",
  );
}

function judgeShown(
  shown: Shown,
  { localAuthority, now }: CertificateFacts,
  { domain, certSource }: Expected,
): Verdict {
  const logs = "docker compose logs control | grep certificate";
  const { subject, issuer, names, notBefore, notAfter } = shown;
  if (subject.includes("TRAEFIK DEFAULT CERT"))
    return fail("Traefik serves its own certificate, which nobody trusts", logs);
  if (!names.includes(`*.preview.${domain}`)) {
    return fail(`the certificate is for ${names.join(", ") || subject}, not for *.preview.${domain}`, logs);
  }
  if (notBefore > now) return fail(`the certificate is good from ${notBefore.toISOString()} on`, "timedatectl");
  const left = notAfter.getTime() - now.getTime();
  if (left <= 0) return fail(`the certificate has expired at ${notAfter.toISOString()}`, logs);
  const days = `${Math.floor(left / dayMs)} days`;
  const lifetime = notAfter.getTime() - notBefore.getTime();
  const renew = certSource === "file" ? "put the renewed pair into certs/" : logs;
  if (left < Math.min(3 * dayMs, lifetime / 12)) return fail(`the certificate expires in ${days}`, renew);
  const distrust = judgeTrust(shown, localAuthority, domain);
  if (distrust !== undefined) return distrust;
  if (left < Math.min(21 * dayMs, lifetime / 4)) return warn(`the certificate expires in ${days}`, renew);
  return ok(`${names[0]} by ${issuer}, for ${days}`);
}

function judgeTrust({ distrust, chain, chainLength, issuer }: Shown, authority: string | undefined, domain: string) {
  if (distrust === undefined) return undefined;
  if (authority !== undefined && isIssuedBy(chain[0]!, authority)) {
    if (domain === "localhost") return undefined;
    return warn(
      `only whoever trusts ${issuer} trusts the certificate`,
      "docker compose run --rm control sandboxd trust",
    );
  }
  if (chainLength === 1) {
    return fail(
      `the chain ends at the certificate itself: what signed it (${issuer}) is not sent along`,
      "put the whole chain (fullchain.pem) into certs/",
    );
  }
  return fail(
    `clients refuse the certificate by ${issuer}: ${distrust}`,
    "docker compose logs control | grep certificate",
  );
}

function isIssuedBy(leaf: string, authority: string): boolean {
  try {
    const issuer = new X509Certificate(authority);
    const issued = new X509Certificate(leaf);
    return issued.checkIssued(issuer) && issued.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

function judgeTold(told: Answer | Silence, shown: Shown | Silence): readonly Verdict[] {
  if (isSilent(told))
    return [warn("control does not answer, so when it renews next is not known", "docker compose up -d control")];
  const said = told.status === 200 ? parse(told.body) : undefined;
  if (said === undefined) return [ok("this control does not tell when it renews next")];
  const { not_after, next_renewal_at, last_error } = said;
  const verdicts: Verdict[] = [];
  const error = typeof last_error === "string" ? last_error : last_error?.message;
  if (error) verdicts.push(warn(`the last renewal failed: ${error}`, "docker compose logs control | grep certificate"));
  // A handshake tells whole seconds.
  const differs =
    not_after !== undefined && !isSilent(shown) && Math.abs(Date.parse(not_after) - shown.notAfter.getTime()) > 1000;
  if (differs) {
    const message = `control holds a certificate until ${not_after}, and Traefik serves one until ${shown.notAfter.toISOString()}`;
    verdicts.push(fail(message, "see the lines of traefik, then: docker compose restart traefik"));
  }
  if (verdicts.length === 0)
    verdicts.push(ok(next_renewal_at ? `control renews it at ${next_renewal_at}` : "control reports no error"));
  return verdicts;
}

function parse(body: string): Told | undefined {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
