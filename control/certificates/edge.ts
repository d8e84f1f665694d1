import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { Address } from "#contract/environment.ts";
import type { AcmeConfig } from "./acme/acme-config.ts";
import { AcmeSource } from "./acme/acme-source.ts";
import { CertificateKeeper } from "./certificate-keeper.ts";
import type { CertificateSource, SourceName } from "./certificate-source.ts";
import { DynamicDirectory } from "./dynamic-directory.ts";
import type { EdgeRoutes } from "./dynamic-files.ts";
import type { CertificateStatus, Edge, TlsStatus } from "./edge-status.ts";
import { FileSource } from "./file-source.ts";
import { SelfSignedSource } from "./self-signed-source.ts";
import { TraefikCertificate } from "./traefik-certificate.ts";

export type { CertificateStatus, Edge } from "./edge-status.ts";

export type EdgeConfig = EdgeRoutes & {
  /** The certificates of our own are below it, in `certificates/`. */
  readonly dataDir: string;
  /** The directory that Traefik's file provider watches. */
  readonly dynamicDir: string;
  readonly certSource: SourceName | "traefik";
  /** The operator's PEMs, for the source `file`. */
  readonly certDir: string;
  /** For the source `acme`, which needs it. */
  readonly acme: AcmeConfig | null;
};

export type EdgeOptions = {
  readonly logger: Logger;
  readonly now?: () => Date;
  /** How often the source is asked for a better certificate; an hour unless said otherwise. */
  readonly checkEveryMs?: number;
  /** How often it looks whether anything is due at the CA, and at the files of others; a minute unless said otherwise. */
  readonly turnEveryMs?: number;
  /** Where Traefik answers TLS: with it each swap is proven by a handshake. */
  readonly traefikAddress?: Address;
  /** How long Traefik may take to serve a new certificate before the one before is put back. */
  readonly swapMs?: number;
  /** Where authoritative name servers answer; 53 unless said otherwise. */
  readonly authoritativePort?: number;
};

const hourMs = 3_600_000;
const minuteMs = 60_000;

/** Where the edge keeps what is its own. */
type Places = { readonly shared: string; readonly private: string };

/**
 * Writes all that Traefik needs, and keeps the certificate fresh until the edge is disposed of. The files stay: Traefik
 * goes on without control.
 *
 * @throws {CertificateError} when TLS is on and there is no certificate to serve, nor one to come; whatever the disk
 * throws.
 */
export async function openEdge(config: EdgeConfig, options: EdgeOptions): Promise<Edge> {
  const shared = join(config.dataDir, "certificates");
  const places = { shared, private: join(shared, "private") };
  await mkdir(places.private, { recursive: true });
  await chmod(places.private, 0o700);
  const dynamic = new DynamicDirectory(config.dynamicDir, places.private, options.logger);
  await dynamic.open();
  const certificate = await openCertificate(config, places, dynamic, options);
  return new OpenEdge(dynamic, certificate, options.turnEveryMs ?? minuteMs);
}

/** What keeps the certificate, whoever it comes from. */
interface Certificate extends AsyncDisposable {
  status(): TlsStatus | { readonly tls: false };
  refresh(): Promise<void>;
}

async function openCertificate(
  config: EdgeConfig,
  places: Places,
  dynamic: DynamicDirectory,
  options: EdgeOptions,
): Promise<Certificate> {
  const { logger, now = () => new Date(), checkEveryMs = hourMs, traefikAddress, swapMs } = options;
  if (!config.tls) {
    await dynamic.writeRoutes(config);
    await dynamic.removeCertificate();
    return { status: () => ({ tls: false }), refresh: async () => {}, [Symbol.asyncDispose]: async () => {} };
  }
  const kept = { logger, now, checkEveryMs, traefikAddress, ...(swapMs !== undefined && { swapMs }) };
  if (config.certSource === "traefik") {
    await dynamic.writeGeneratedCertificate(config.domain);
    await dynamic.writeRoutes(config);
    return new TraefikCertificate(config.domain, kept);
  }
  const source = await openSource(config.certSource, config, places, options);
  const keeper = await CertificateKeeper.open(source, dynamic, config.domain, kept);
  // After the certificate: no preview is ever offered with Traefik's own.
  const routed = keeper.installed.then(() => dynamic.writeRoutes(config));
  if (keeper.status().inUse !== undefined) await routed;
  else routed.catch((error) => logger.error({ err: error }, "the routes cannot be written"));
  return new KeptCertificate(source, keeper);
}

async function openSource(
  name: SourceName,
  config: EdgeConfig,
  places: Places,
  { logger, now = () => new Date(), turnEveryMs = minuteMs, authoritativePort }: EdgeOptions,
): Promise<CertificateSource> {
  switch (name) {
    case "self-signed":
      return new SelfSignedSource(places.shared, places.private, config.domain, logger);
    case "file":
      return new FileSource(config.certDir, logger);
    case "acme": {
      if (config.acme === null) throw new Error("the source acme needs its settings");
      const port = authoritativePort === undefined ? {} : { authoritativePort };
      const { acme, domain } = config;
      return AcmeSource.open({
        ...{ config: acme, domain, privateDirectory: places.private, logger, now, turnEveryMs },
        ...port,
      });
    }
    default: {
      const never: never = name;
      throw new Error(`Unknown certificate source ${JSON.stringify(never)}`);
    }
  }
}

class KeptCertificate implements Certificate {
  readonly #source: CertificateSource;
  readonly #keeper: CertificateKeeper;

  constructor(source: CertificateSource, keeper: CertificateKeeper) {
    this.#source = source;
    this.#keeper = keeper;
  }

  status(): TlsStatus {
    const { inUse, ...status } = this.#keeper.status();
    const { name: source, trustAnchor = null } = this.#source;
    const [certificate, from] = inUse === undefined ? [null, null] : [leafOf(inUse.certificate), inUse.source];
    return { tls: true, source, certificate, from, ...status, trustAnchor };
  }

  refresh(): Promise<void> {
    return this.#keeper.refresh();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#keeper[Symbol.asyncDispose]();
  }
}

/** All of it but the key. */
function leafOf({ names, issuer, fingerprint, notBefore, notAfter }: TlsStatus["certificate"] & object) {
  return { names, issuer, fingerprint, notBefore, notAfter };
}

class OpenEdge implements Edge {
  readonly #dynamic: DynamicDirectory;
  readonly #certificate: Certificate;
  readonly #watch: Disposable;

  constructor(dynamic: DynamicDirectory, certificate: Certificate, turnEveryMs: number) {
    this.#dynamic = dynamic;
    this.#certificate = certificate;
    // What kept Traefik from taking a certificate may be gone now.
    this.#watch = dynamic.watch(turnEveryMs, () => void certificate.refresh());
  }

  status(): CertificateStatus {
    return { ...this.#certificate.status(), files: this.#dynamic.problems };
  }

  async refresh(): Promise<void> {
    await this.#certificate.refresh();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch[Symbol.dispose]();
    await this.#certificate[Symbol.asyncDispose]();
  }
}
