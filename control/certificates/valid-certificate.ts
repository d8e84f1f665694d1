import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { getCACertificates } from "node:tls";

/** A certificate chain, the leaf first, and the leaf's private key, both PEM. */
export type CertificatePair = { readonly chain: string; readonly key: string };

/** A pair that has been looked at: it serves every preview host of the domain right now. */
export type ValidCertificate = CertificatePair & {
  /** The names that the leaf covers, as they are written in it. */
  readonly names: readonly string[];
  readonly issuer: string;
  /** SHA-256 of the leaf, `AB:CD:…`. */
  readonly fingerprint: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
};

/** Why a certificate cannot be used, in words for the operator. */
export class CertificateError extends Error {
  override readonly name = "CertificateError";
}

/**
 * Checks a candidate the way Traefik and browsers will: it parses, the key belongs to the leaf, each certificate is
 * signed by the next, all are in force at `now`, and the leaf covers `*.preview.<domain>`. Who signed the last one is
 * the clients' business. The PEMs come back in one canonical form, whatever stood around them.
 *
 * @throws {CertificateError} naming the first thing that is wrong.
 */
export function validateCertificate(pair: CertificatePair, domain: string, now: Date): ValidCertificate {
  const chain = readChain(pair.chain);
  const leaf = chain[0]!;
  const key = readKey(pair.key);
  if (!leaf.checkPrivateKey(key)) {
    if (chain.some((each) => each.checkPrivateKey(key)))
      throw new CertificateError("the leaf is not the first of the chain");
    throw new CertificateError("the private key does not belong to the certificate");
  }
  checkSignatures(chain);
  for (const each of chain.slice(1)) checkDates(each, now);
  checkLeaf(leaf, domain, now);
  checkComplete(chain);
  return {
    chain: chain.map((each) => each.toString()).join(""),
    key: key.export({ type: "pkcs8", format: "pem" }) as string,
    ...describeLeaf(leaf),
  };
}

/** What a certificate says of itself. */
export type Leaf = Omit<ValidCertificate, keyof CertificatePair>;

export function describeLeaf(leaf: X509Certificate): Leaf {
  return {
    names: namesOf(leaf),
    issuer: leaf.issuer.replaceAll("\n", ", "),
    fingerprint: leaf.fingerprint256,
    notBefore: leaf.validFromDate,
    notAfter: leaf.validToDate,
  };
}

/** The part of the checks that needs nothing but the leaf. Throws CertificateError. */
export function checkLeaf(leaf: X509Certificate, domain: string, now: Date): void {
  checkDates(leaf, now);
  checkNames(leaf, domain);
  checkPurpose(leaf);
}

const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

function readChain(text: string): X509Certificate[] {
  const blocks = text.match(certificateBlock) ?? [];
  if (blocks.length === 0) throw new CertificateError("no PEM certificate is in the chain");
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw new CertificateError(`certificate ${index + 1} of the chain does not parse`, { cause });
    }
  });
}

function readKey(text: string): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type:.*ENCRYPTED/m.test(text)) {
    throw new CertificateError("the private key is encrypted: store it without a passphrase");
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch (cause) {
    throw new CertificateError("the private key is not a PEM private key", { cause });
  }
  const curve = key.asymmetricKeyDetails?.namedCurve;
  const kind = key.asymmetricKeyType === "ec" ? curve : key.asymmetricKeyType;
  if (kind === undefined || !servableKeys.includes(kind)) {
    throw new CertificateError(`Traefik cannot serve a key of the type ${kind}`);
  }
  return key;
}

const servableKeys = ["rsa", "ed25519", "prime256v1", "secp384r1", "secp521r1"];

function checkSignatures(chain: readonly X509Certificate[]): void {
  for (const [index, each] of chain.entries()) {
    const issuer = chain[index + 1];
    if (issuer === undefined) return;
    if (isSignedBy(each, issuer)) continue;
    const place = chain.findIndex((other, at) => at !== index && isSignedBy(each, other));
    const order = place < 0 ? "" : `: the chain is in the wrong order, number ${place + 1} must follow it`;
    throw new CertificateError(`certificate ${index + 1} of the chain is not signed by the one after it${order}`);
  }
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/**
 * A lone leaf that names a place to fetch its issuer from (RFC 5280 §4.2.2.1) and that no known root signed: browsers
 * may fetch it, programs do not.
 */
function checkComplete([leaf, ...others]: readonly X509Certificate[]): void {
  if (leaf === undefined || others.length > 0 || !leaf.infoAccess?.includes("CA Issuers")) return;
  const isOfRoot = getCACertificates("default").some((root) => isSignedBy(leaf, new X509Certificate(root)));
  if (isOfRoot || isSignedBy(leaf, leaf)) return;
  const issuer = leaf.issuer.replaceAll("\n", ", ");
  throw new CertificateError(`the chain is missing: add the certificate of ${issuer}, which signed this one`);
}

function checkDates(certificate: X509Certificate, now: Date): void {
  const { validFromDate, validToDate } = certificate;
  if (now < validFromDate) throw new CertificateError(`valid only from ${validFromDate.toISOString()}`);
  if (now >= validToDate) throw new CertificateError(`expired at ${validToDate.toISOString()}`);
}

/** Any single label will do for a host: names that clients match no certificate of one preview would cover. */
function checkNames(leaf: X509Certificate, domain: string): void {
  const wildcard = `*.preview.${domain}`;
  const options = { subject: "never", partialWildcards: false } as const;
  if (leaf.checkHost(`x.preview.${domain}`, options) && namesOf(leaf).includes(wildcard)) return;
  throw new CertificateError(`does not cover ${wildcard} (it names ${namesOf(leaf).join(", ") || "nothing"})`);
}

function namesOf(leaf: X509Certificate): string[] {
  const names = leaf.subjectAltName?.matchAll(/DNS:([^,\s"]+)/g) ?? [];
  return [...names].map((match) => match[1]!.toLowerCase());
}

/** RFC 5280 §4.2.1.12; Node calls the extended key usage `keyUsage`. */
function checkPurpose(leaf: X509Certificate): void {
  const purposes = leaf.keyUsage as readonly string[] | undefined;
  if (purposes === undefined || purposes.includes(serverAuth) || purposes.includes(anyPurpose)) return;
  throw new CertificateError("is not made for servers (its extended key usage lacks serverAuth)");
}

const serverAuth = "1.3.6.1.5.5.7.3.1";
const anyPurpose = "2.5.29.37.0";
