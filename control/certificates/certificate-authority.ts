import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import type { CertificatePair } from "./valid-certificate.ts";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const day = 86_400_000;
/** Clocks of clients run behind. */
const backdated = 3_600_000;

/** Ten years: whoever trusts it once should not have to do it again. */
const authorityDays = 3650;
/** What clients accept at most (397 days), with a day to spare. */
const leafDays = 396;

/** A new authority of this machine alone: a self-signed certificate that may sign leaves and nothing else. */
export async function createAuthority(now: Date): Promise<CertificatePair> {
  const keys = await generateKeys();
  const serialNumber = newSerialNumber();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber,
    name: [{ O: ["sandboxd"] }, { CN: [`sandboxd local CA ${serialNumber.slice(0, 8)}`] }],
    notBefore: new Date(now.getTime() - backdated),
    notAfter: new Date(now.getTime() + authorityDays * day),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { chain: pem(certificate), key: await exportKey(keys.privateKey) };
}

/**
 * A leaf for servers with these DNS names, signed by the authority. It never outlives the authority, whose own
 * certificate is not part of the chain: clients have it, or do not trust it anyway.
 */
export async function issueLeaf(
  authority: CertificatePair,
  names: readonly string[],
  now: Date,
  extensions: readonly x509.Extension[] = [],
): Promise<CertificatePair> {
  const issuer = new x509.X509Certificate(authority.chain);
  const keys = await generateKeys();
  const notBefore = new Date(now.getTime() - backdated);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerialNumber(),
    subject: subjectOf(names),
    issuer: issuer.subject,
    notBefore,
    notAfter: new Date(Math.min(notBefore.getTime() + leafDays * day, issuer.notAfter.getTime())),
    signingAlgorithm: algorithm,
    signingKey: await importKey(authority.key),
    publicKey: keys.publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns", value }))),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(await issuer.publicKey.export()),
      ...extensions,
    ],
  });
  return { chain: pem(certificate), key: await exportKey(keys.privateKey) };
}

/** A common name has at most 64 characters (RFC 5280, appendix A.1); clients read the alternative names alone. */
function subjectOf(names: readonly string[]): x509.JsonName {
  const fitting = names.find((name) => name.length <= 64) ?? "sandboxd previews";
  return [{ CN: [fitting] }];
}

/** 16 random bytes, positive and of full length (RFC 5280 §4.1.2.2). */
function newSerialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString("hex");
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = await webcrypto.subtle.exportKey("pkcs8", key);
  return `${x509.PemConverter.encode(bytes, "PRIVATE KEY")}\n`;
}

function importKey(text: string): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey("pkcs8", x509.PemConverter.decodeFirst(text), algorithm, false, ["sign"]);
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}
