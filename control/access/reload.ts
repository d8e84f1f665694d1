import type { Logger } from "pino";
import { EnvironmentError } from "#contract/environment.ts";
import type { AccessConfig } from "./access-config.ts";
import type { ApiToken } from "./api-token.ts";
import { KeySetError } from "./key-set.ts";
import type { Access } from "./open-access.ts";

/** What may change while control runs. */
export type Reloadable = { readonly apiTokens: readonly ApiToken[]; readonly access: AccessConfig };

/**
 * Reads what may change and takes all of it, or nothing when any of it is bad; says which it was, and resolves with that.
 * Sessions that came of a secret which is gone end with it, in every gateway worker.
 */
export async function reloadAccess(access: Access, read: () => Reloadable, logger: Logger): Promise<boolean> {
  const entry = { actorKind: "operator", actorName: "operator", ip: null, action: "settings.reload", target: null };
  try {
    const { apiTokens, access: config } = read();
    await access.keeper.reload(config);
    access.tokens.replace(apiTokens);
    const detail = { tokens: apiTokens.map(({ name }) => name), kids: config.tokenSecrets.map(({ kid }) => kid) };
    logger.info(detail, "the environment file was read again");
    access.audit.record({ ...entry, outcome: "done", detail });
    return true;
  } catch (error) {
    if (!(error instanceof EnvironmentError || error instanceof KeySetError)) throw error;
    const problems = error instanceof EnvironmentError ? error.problems : [error.message];
    logger.error({ problems }, "the environment file cannot be used: nothing has changed");
    access.audit.record({ ...entry, outcome: "failed", detail: { problems: problems.length } });
    return false;
  }
}

/** Each begins when the one before has ended, so that what was asked for last is what stands. */
export function oneAtATime<Arguments extends unknown[], Result>(act: (...given: Arguments) => Promise<Result>) {
  let last: Promise<unknown> = Promise.resolve();
  return (...given: Arguments): Promise<Result> => {
    const next = last.then(() => act(...given));
    last = next.catch(() => {});
    return next;
  };
}
