import { setTimeout as delay } from "node:timers/promises";
import type { ChallengeRecord } from "./challenge-records.ts";
import type { AuthoritativeServer, NameServers } from "./name-servers.ts";

export type PropagationOptions = { readonly withinMs: number; readonly pauseMs: number; readonly signal: AbortSignal };

type Verdict = "there" | "not yet" | "silent";

/**
 * Waits until every authoritative server that answers has the record: a CA asks any of them, and a refusal counts.
 * Servers that are silent are passed over as long as one is not.
 *
 * @throws {Error} naming the servers that do not have it in time.
 */
export async function waitForPropagation(
  record: ChallengeRecord,
  nameServers: NameServers,
  { withinMs, pauseMs, signal }: PropagationOptions,
): Promise<void> {
  const end = performance.now() + withinMs;
  const { zone, servers } = await nameServers.authorityOf(record.name, signal);
  for (;;) {
    const verdicts = await Promise.all(servers.map((server) => look(server, record, nameServers, signal)));
    if (verdicts.includes("there") && !verdicts.includes("not yet")) return;
    if (performance.now() > end) throw tooLate(record, zone, servers, verdicts);
    await delay(pauseMs, undefined, { signal });
  }
}

/** What one server says at all of its addresses, which may be different machines. */
async function look(
  { addresses }: AuthoritativeServer,
  { name, value }: ChallengeRecord,
  nameServers: NameServers,
  signal: AbortSignal,
): Promise<Verdict> {
  const answers = addresses.map(async (address): Promise<Verdict> => {
    try {
      return (await nameServers.textsAt(address, name, signal)).includes(value) ? "there" : "not yet";
    } catch {
      signal.throwIfAborted();
      return "silent";
    }
  });
  const verdicts = await Promise.all(answers);
  if (verdicts.includes("not yet")) return "not yet";
  return verdicts.includes("there") ? "there" : "silent";
}

function tooLate(
  { name }: ChallengeRecord,
  zone: string,
  servers: readonly AuthoritativeServer[],
  verdicts: readonly Verdict[],
): Error {
  const said = servers.map((server, index) => `${server.name}: ${words[verdicts[index]!]}`).join(", ");
  return new Error(`the record ${name} is not at every name server of ${zone} (${said || "none is named"})`);
}

const words: Record<Verdict, string> = { there: "has it", "not yet": "does not have it", silent: "does not answer" };
