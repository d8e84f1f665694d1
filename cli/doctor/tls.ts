import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { text } from "node:stream/consumers";
import { connect, getCACertificates } from "node:tls";
import { type Answer, type Asked, codeOf, type Silence } from "../http.ts";

/** As `ask`, over TLS. Whether the certificate is a good one is somebody else's question. */
export async function askOverTls({ hostHeader = "", host, port, path }: Asked, signal: AbortSignal) {
  const options = { host, port, path, signal, agent: false, rejectUnauthorized: false };
  try {
    const sent = request({ ...options, servername: hostHeader, headers: { host: hostHeader } });
    sent.end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    return { status: response.statusCode!, headers: response.headers, body: await text(response) } satisfies Answer;
  } catch (error) {
    return { silence: codeOf(error) } satisfies Silence;
  }
}

/** What a server shows in its handshake. */
export type Shown = {
  readonly subject: string;
  readonly issuer: string;
  /** Its DNS names. */
  readonly names: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** How many certificates it sent. */
  readonly chainLength: number;
  /** Why a client of this machine refuses it; undefined: none does. */
  readonly distrust: string | undefined;
  /** PEM of what it sent, the leaf first. */
  readonly chain: readonly string[];
};

/** Shakes hands for a name. Never rejects. */
export async function shakeHands(
  where: { readonly host: string; readonly port: number; readonly servername: string },
  signal: AbortSignal,
): Promise<Shown | Silence> {
  // Those of this machine as well: an authority of the operator's own is as good as a public one.
  const ca = [...getCACertificates("default"), ...getCACertificates("system")];
  const socket = connect({ ...where, ca, rejectUnauthorized: false });
  try {
    await once(socket, "secureConnect", { signal });
    const leaf = socket.getPeerX509Certificate();
    if (leaf === undefined) return { silence: "no certificate" };
    const sent = [leaf];
    for (let next = leaf.issuerCertificate; next && next !== sent.at(-1); next = next.issuerCertificate)
      sent.push(next);
    return {
      subject: leaf.subject ?? "",
      issuer: leaf.issuer.replaceAll("\n", ", "),
      names: (leaf.subjectAltName ?? "").split(", ").flatMap((name) => (name.startsWith("DNS:") ? name.slice(4) : [])),
      notBefore: new Date(leaf.validFrom),
      notAfter: new Date(leaf.validTo),
      chainLength: sent.length,
      distrust: socket.authorized ? undefined : (socket.authorizationError as unknown as string),
      chain: sent.map(String),
    };
  } catch (error) {
    return { silence: codeOf(error) };
  } finally {
    socket.on("error", () => {});
    socket.destroySoon();
  }
}
