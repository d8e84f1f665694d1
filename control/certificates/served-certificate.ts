import type { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "node:tls";
import type { Address } from "#contract/environment.ts";

const handshakeMs = 3000;
const pauseMs = 50;

/** The leaf that is served for a name. It is looked at, not trusted. Throws when nothing is. */
export async function servedCertificate(
  address: Address,
  servername: string,
  signal?: AbortSignal,
): Promise<X509Certificate> {
  const deadline = AbortSignal.timeout(handshakeMs);
  const both = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
  const socket = connect({ ...address, servername, rejectUnauthorized: false });
  try {
    await once(socket, "secureConnect", { signal: both });
    return socket.getPeerX509Certificate()!;
  } finally {
    socket.on("error", () => {});
    // Finishes its own part of the handshake first, which the server would count as failed otherwise.
    socket.destroySoon();
  }
}

/** The SHA-256 fingerprint of it. */
export async function servedFingerprint(address: Address, servername: string, signal?: AbortSignal): Promise<string> {
  return (await servedCertificate(address, servername, signal)).fingerprint256;
}

/** What handshakes show: this certificate, another one to the end, or nothing. */
export type Verdict = "served" | "another" | "silent";

/** Whether this certificate is served within so many milliseconds. Rejects only when `signal` is aborted. */
export async function isServed(
  fingerprint: string,
  address: Address,
  servername: string,
  { withinMs, signal }: { readonly withinMs: number; readonly signal: AbortSignal },
): Promise<Verdict> {
  const end = performance.now() + withinMs;
  for (;;) {
    const served = await servedFingerprint(address, servername, signal).catch(() => undefined);
    signal.throwIfAborted();
    if (served === fingerprint) return "served";
    if (performance.now() > end) return served === undefined ? "silent" : "another";
    await delay(pauseMs, undefined, { signal });
  }
}
