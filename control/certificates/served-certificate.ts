import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "node:tls";
import type { Address } from "#contract/environment.ts";

const handshakeMs = 3000;
const pauseMs = 100;

/** The SHA-256 fingerprint of the leaf that is served for a name. It is looked at, not trusted. Throws when nothing is. */
export async function servedFingerprint(address: Address, servername: string, signal?: AbortSignal): Promise<string> {
  const deadline = AbortSignal.timeout(handshakeMs);
  const both = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
  const socket = connect({ ...address, servername, rejectUnauthorized: false });
  try {
    await once(socket, "secureConnect", { signal: both });
    return socket.getPeerX509Certificate()!.fingerprint256;
  } finally {
    socket.on("error", () => {});
    // Finishes its own part of the handshake first, which the server would count as failed otherwise.
    socket.destroySoon();
  }
}

/** Whether this certificate is served within so many milliseconds. Rejects only when `signal` is aborted. */
export async function isServed(
  fingerprint: string,
  address: Address,
  servername: string,
  { withinMs, signal }: { readonly withinMs: number; readonly signal: AbortSignal },
): Promise<boolean> {
  const end = performance.now() + withinMs;
  for (;;) {
    const served = await servedFingerprint(address, servername, signal).catch(() => undefined);
    signal.throwIfAborted();
    if (served === fingerprint) return true;
    if (performance.now() > end) return false;
    await delay(pauseMs, undefined, { signal });
  }
}
