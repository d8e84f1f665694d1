import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { Address } from "#contract/environment.ts";
import { CertificateKeeper } from "./certificate-keeper.ts";
import type { CertificateSource } from "./certificate-source.ts";
import { DynamicDirectory } from "./dynamic-directory.ts";
import type { EdgeRoutes } from "./dynamic-files.ts";
import { FileSource } from "./file-source.ts";
import { SelfSignedSource } from "./self-signed-source.ts";

export type EdgeConfig = EdgeRoutes & {
  /** The certificates of our own are below it, in `certificates/`. */
  readonly dataDir: string;
  /** The directory that Traefik's file provider watches. */
  readonly dynamicDir: string;
  readonly certSource: "self-signed" | "file";
  /** The operator's PEMs, for the source `file`. */
  readonly certDir: string;
};

export type EdgeOptions = {
  readonly logger: Logger;
  readonly now?: () => Date;
  /** How often the source is asked for a better certificate; an hour unless said otherwise. */
  readonly checkEveryMs?: number;
  /** Where Traefik answers TLS: with it each swap is proven by a handshake. */
  readonly traefikAddress?: Address;
};

export type CertificateStatus =
  | { readonly tls: false }
  | {
      readonly tls: true;
      readonly source: "self-signed" | "file";
      readonly names: readonly string[];
      readonly issuer: string;
      /** SHA-256, `AB:CD:…`. */
      readonly fingerprint: string;
      readonly notBefore: Date;
      readonly notAfter: Date;
      /** The last failure to replace it; null since the last success. */
      readonly lastError: { readonly at: Date; readonly message: string } | null;
      /** Whether a handshake with Traefik showed it; null as long as nobody looked. */
      readonly served: boolean | null;
      /** The certificate that clients have to trust, for a source that no client knows. */
      readonly trustAnchor: string | null;
    };

/** What Traefik serves: the routes and the wildcard certificate. */
export interface Edge extends AsyncDisposable {
  status(): CertificateStatus;
  /** Looks for a better certificate now. Never rejects: a failure is in the status. */
  refresh(): Promise<void>;
}

const hourMs = 3_600_000;

/**
 * Writes all that Traefik needs, and keeps the certificate fresh until the edge is disposed of. The files stay: Traefik
 * goes on without control.
 *
 * @throws {CertificateError} when TLS is on and there is no certificate to serve; whatever the disk throws.
 */
export async function openEdge(config: EdgeConfig, options: EdgeOptions): Promise<Edge> {
  const directory = join(config.dataDir, "certificates");
  const privateDirectory = join(directory, "private");
  await mkdir(privateDirectory, { recursive: true });
  await chmod(privateDirectory, 0o700);
  const dynamic = new DynamicDirectory(config.dynamicDir, privateDirectory);
  await dynamic.open(options.logger);
  if (!config.tls) {
    await dynamic.writeRoutes(config);
    await dynamic.removeCertificate();
    return { status: () => ({ tls: false }), refresh: async () => {}, [Symbol.asyncDispose]: async () => {} };
  }
  const source = openSource(config, directory, privateDirectory, options.logger);
  const keeper = await CertificateKeeper.open(source, dynamic, config.domain, {
    logger: options.logger,
    now: options.now ?? (() => new Date()),
    checkEveryMs: options.checkEveryMs ?? hourMs,
    traefikAddress: options.traefikAddress,
  });
  // After the certificate: no preview is ever offered with Traefik's own.
  await dynamic.writeRoutes(config);
  return new TlsEdge(source, keeper);
}

function openSource(
  config: EdgeConfig,
  directory: string,
  privateDirectory: string,
  logger: Logger,
): CertificateSource {
  switch (config.certSource) {
    case "self-signed":
      return new SelfSignedSource(directory, privateDirectory, config.domain, logger);
    case "file":
      return new FileSource(config.certDir, logger);
    default: {
      const never: never = config.certSource;
      throw new Error(`Unknown certificate source ${JSON.stringify(never)}`);
    }
  }
}

class TlsEdge implements Edge {
  readonly #source: CertificateSource;
  readonly #keeper: CertificateKeeper;

  constructor(source: CertificateSource, keeper: CertificateKeeper) {
    this.#source = source;
    this.#keeper = keeper;
  }

  status(): CertificateStatus {
    const { certificate, lastError, served } = this.#keeper.status();
    const { names, issuer, fingerprint, notBefore, notAfter } = certificate;
    const { name: source, trustAnchor = null } = this.#source;
    return { tls: true, source, names, issuer, fingerprint, notBefore, notAfter, lastError, served, trustAnchor };
  }

  refresh(): Promise<void> {
    return this.#keeper.refresh();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#keeper[Symbol.asyncDispose]();
  }
}
