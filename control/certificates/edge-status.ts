import type { Failure, SourceName } from "./certificate-source.ts";
import type { FileProblem } from "./foreign-file.ts";
import type { Leaf } from "./valid-certificate.ts";

export type CertificateStatus = {
  /** Files in Traefik's dynamic directory that keep it from taking changes, or get in the way of ours. */
  readonly files: readonly FileProblem[];
} & ({ readonly tls: false } | TlsStatus);

export type TlsStatus = {
  readonly tls: true;
  readonly source: SourceName | "traefik";
  /** The certificate in use; null as long as there is none. */
  readonly certificate: Leaf | null;
  /** The source that it came from: another one than `source` as long as that has given none. */
  readonly from: string | null;
  readonly nextRenewalAt: Date | null;
  /** The last failure to replace it; null since the last success. */
  readonly lastError: Failure | null;
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
