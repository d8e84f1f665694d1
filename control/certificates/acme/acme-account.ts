import acme from "acme-client";
import type { AcmeConfig } from "./acme-config.ts";
import type { AcmeStore, StoredAccount } from "./acme-store.ts";
import { AuthorityError, callAuthority } from "./authority-calls.ts";

/**
 * A client with an account at the CA, registered with the kept key when there is none. The key is on the disk before the
 * CA hears of it, so a registration whose answer is lost finds the same account again.
 */
export async function openAccount(config: AcmeConfig, store: AcmeStore, signal: AbortSignal): Promise<acme.Client> {
  const stored = (await store.readAccount()) ?? (await newAccount(store));
  const contact = config.email === null ? null : `mailto:${config.email}`;
  if (stored.url !== null && stored.contact === contact) return clientOf(config, stored.key, stored.url);
  const client = clientOf(config, stored.key);
  const data = { termsOfServiceAgreed: true, ...(contact !== null && { contact: [contact] }) };
  try {
    await callAuthority(signal, () => client.createAccount(data));
  } catch (error) {
    // An account that is there already it updates, which a CA refuses when there is nothing to say.
    if (contact !== null || !isRegistered(client)) throw error;
  }
  await store.writeAccount({ key: stored.key, url: client.getAccountUrl(), contact });
  return client;
}

/** Whether the CA no longer knows the account (RFC 8555 §6.7): it has to be registered anew. */
export function isUnknownAccount(error: unknown): boolean {
  return error instanceof AuthorityError && error.type === "accountDoesNotExist";
}

export async function forgetAccount(store: AcmeStore): Promise<void> {
  const stored = await store.readAccount();
  if (stored !== undefined) await store.writeAccount({ ...stored, url: null });
}

function isRegistered(client: acme.Client): boolean {
  try {
    return client.getAccountUrl() !== "";
  } catch {
    return false;
  }
}

async function newAccount(store: AcmeStore): Promise<StoredAccount> {
  const key = String(await acme.crypto.createPrivateEcdsaKey());
  const account = { key, url: null, contact: null };
  await store.writeAccount(account);
  return account;
}

function clientOf({ directoryUrl, externalAccount }: AcmeConfig, accountKey: string, accountUrl?: string) {
  return new acme.Client({
    directoryUrl,
    accountKey,
    ...(accountUrl !== undefined && { accountUrl }),
    ...(externalAccount !== null && { externalAccountBinding: externalAccount }),
  });
}
