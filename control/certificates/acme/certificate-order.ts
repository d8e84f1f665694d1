import { setTimeout as delay } from "node:timers/promises";
import acme, { type Authorization, type Order } from "acme-client";
import type { Logger } from "pino";
import type { CertificatePair } from "../valid-certificate.ts";
import type { AcmeStore, StoredOrder } from "./acme-store.ts";
import { AuthorityError, callAuthority, callForAnswer } from "./authority-calls.ts";
import { challengeName } from "./challenge-name.ts";
import type { ChallengeRecord, ChallengeRecords } from "./challenge-records.ts";
import type { NameServers } from "./name-servers.ts";
import { waitForPropagation } from "./propagation.ts";

export type OrderTools = {
  readonly client: acme.Client;
  readonly store: AcmeStore;
  readonly records: ChallengeRecords;
  readonly nameServers: NameServers;
  readonly dnsWaitMs: number;
  readonly logger: Logger;
  readonly now: () => number;
  readonly signal: AbortSignal;
};
export type Wanted = {
  readonly names: readonly string[];
  readonly profile: string | null;
  /** The one that it replaces, by its ARI name; null when there is none or the CA does not care. */
  readonly replaces: string | null;
};

/** An order that waits longer is not worth to be resumed. */
const freshMs = 86_400_000;
const dnsPauseMs = 2000;
const cleanupMs = 30_000;
/** While control ends. */
const lastCleanupMs = 5_000;
/** How long a CA may take to validate, and to sign. */
const patienceMs = 10 * 60_000;
const pollMs = { first: 250, longest: 5000, asked: 30_000 };

/**
 * Gets a certificate: from the order that an earlier process left, wherever it stands, or from a new one. The order, its
 * key and its records are on the disk before anything is made of them.
 */
export async function issueCertificate(tools: OrderTools, wanted: Wanted): Promise<CertificatePair> {
  const [stored, order] = (await resume(tools, wanted)) ?? (await begin(tools, wanted));
  const { client, signal } = tools;
  let current = order;
  if (current.status === "pending") {
    for (const each of await callAuthority(signal, () => client.getAuthorizations(current))) {
      await authorize(tools, stored, each);
    }
    current = await poll(tools, "order", () => client.getOrder(current), "pending");
  }
  if (current.status === "ready") {
    const [, request] = await acme.crypto.createCsr({ altNames: [...wanted.names] }, stored.key);
    const ready = current;
    current = await callAuthority(signal, () => client.finalizeOrder(ready, request));
  }
  current = await poll(tools, "order", () => client.getOrder(current), "processing", "ready");
  const chain = await callAuthority(signal, () => client.getCertificate(current));
  return { chain, key: stored.key };
}

/** Undefined when there is none, or the CA will make no certificate of it any more. */
async function resume(tools: OrderTools, wanted: Wanted): Promise<[StoredOrder, Order] | undefined> {
  const { store, client, signal, logger, now } = tools;
  const stored = await store.readOrder();
  if (stored === undefined) return undefined;
  const isSame = stored.profile === wanted.profile && String(stored.names) === String(wanted.names);
  if (isSame && now() - stored.createdAt < freshMs) {
    try {
      const order = await callAuthority(signal, () => client.getOrder({ url: stored.url } as Order));
      if (order.status !== "invalid") {
        logger.info({ order: stored.url, status: order.status }, "certificate order resumed");
        return [order.status === "pending" ? stored : await removeRecords(tools, stored), order];
      }
    } catch (error) {
      if (!(error instanceof AuthorityError) || error.status === 0 || error.status >= 500) throw error;
    }
  }
  await removeRecords(tools, stored);
  await store.removeOrder();
  return undefined;
}

async function begin(tools: OrderTools, wanted: Wanted): Promise<[StoredOrder, Order]> {
  const { store, logger, now } = tools;
  const key = String(await acme.crypto.createPrivateEcdsaKey());
  const order = await create(tools, wanted);
  const { names, profile } = wanted;
  const stored = { url: order.url, key, names: [...names], profile, createdAt: now(), records: [] };
  await store.writeOrder(stored);
  logger.info({ names, order: order.url }, "certificate ordered");
  return [stored, order];
}

/** A CA that does not take the certificate for one to be replaced, for whatever reason, is asked without (RFC 9773 §5). */
async function create({ client, signal }: OrderTools, { names, profile, replaces }: Wanted): Promise<Order> {
  const identifiers = names.map((value) => ({ type: "dns", value }));
  const request = { identifiers, ...(profile !== null && { profile }) };
  if (replaces !== null) {
    try {
      return await callAuthority(signal, () => client.createOrder({ ...request, replaces } as typeof request));
    } catch (error) {
      if (!(error instanceof AuthorityError) || error.status === 0 || error.type === "rateLimited") throw error;
    }
  }
  return callAuthority(signal, () => client.createOrder(request));
}

/** Answers one challenge, once every authoritative server has the record. */
async function authorize(tools: OrderTools, stored: StoredOrder, authorization: Authorization): Promise<void> {
  if (authorization.status !== "pending") return;
  const { client, store, records, nameServers, dnsWaitMs, signal } = tools;
  const challenge = authorization.challenges.find(({ type }) => type === "dns-01");
  if (challenge === undefined) throw new Error("the CA offers no DNS-01 challenge");
  const asked = `_acme-challenge.${authorization.identifier.value}`;
  const name = await challengeName(asked, nameServers, signal);
  const record = { asked, name, value: await client.getChallengeKeyAuthorization(challenge) };
  await store.writeOrder({ ...stored, records: [record] });
  try {
    await records.present(record, signal);
    await waitForPropagation(record, nameServers, { withinMs: dnsWaitMs, pauseMs: dnsPauseMs, signal });
    await callAuthority(signal, () => client.completeChallenge(challenge));
    await poll(tools, asked, async () => ask(client, authorization.url), "pending", "processing");
  } finally {
    await remove(tools, record);
  }
}

/** Through an order of one authorization: acme-client asks for authorizations alone in no other way. */
async function ask(client: acme.Client, url: string): Promise<Authorization> {
  const [authorization] = await client.getAuthorizations({ authorizations: [url] } as Order);
  return authorization!;
}

/** Asks until the status is another one. Throws when it is `invalid`, with the CA's reason. */
async function poll<T extends Order | Authorization>(
  { signal }: OrderTools,
  what: string,
  question: () => Promise<T>,
  ...waiting: readonly string[]
): Promise<T> {
  const end = performance.now() + patienceMs;
  for (let pauseMs = pollMs.first; ; pauseMs = Math.min(pauseMs * 1.5, pollMs.longest)) {
    const { result, retryAfterMs } = await callForAnswer(signal, question);
    if (!waiting.includes(result.status)) {
      if (result.status === "valid" || result.status === "ready") return result;
      throw new Error(`the CA declares ${what} ${result.status}: ${reasonOf(result)}`);
    }
    if (performance.now() > end) throw new Error(`the CA leaves ${what} ${result.status}`);
    await delay(Math.max(pauseMs, Math.min(retryAfterMs ?? 0, pollMs.asked)), undefined, { signal });
  }
}

function reasonOf(item: Order | Authorization): string {
  const { error, challenges = [] } = item as { error?: { detail?: string }; challenges?: Authorization["challenges"] };
  const details = [error?.detail, ...challenges.map((each) => (each.error as { detail?: string } | undefined)?.detail)];
  return details.filter((each) => each !== undefined).join("; ") || "no reason given";
}

async function removeRecords(tools: OrderTools, stored: StoredOrder): Promise<StoredOrder> {
  for (const record of stored.records) await remove(tools, record);
  return { ...stored, records: [] };
}

/** A record that stays harms nobody, and keeps no certificate back. It is removed even when control ends. */
async function remove({ records, logger, signal }: OrderTools, record: ChallengeRecord): Promise<void> {
  try {
    await records.remove(record, AbortSignal.timeout(signal.aborted ? lastCleanupMs : cleanupMs));
  } catch (error) {
    logger.warn({ err: error, name: record.name }, "the record of a challenge stays in the DNS");
  }
}
