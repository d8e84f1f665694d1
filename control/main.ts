import pino from "pino";
import { EnvironmentError } from "#contract/environment.ts";
import { KeySetError } from "./access/key-set.ts";
import { CertificateError } from "./certificates/valid-certificate.ts";
import { type ControlConfig, readConfig } from "./config.ts";
import { type ControlPlane, openControlPlane } from "./control-plane.ts";
import { DiskQuotaError } from "./disks/disk-quota.ts";
import { AddressTakenError } from "./http/listen.ts";
import { SecretKeyError } from "./secrets/secret-key-file.ts";
import { DataLockedError } from "./sqlite/data-lock.ts";

const failed = 1;
const badEnvironment = 2;
/** Longer than any sandbox may take to drain and end. */
const stopPatienceMs = 45_000;
/** In bytes (RFC 7518 §3.2). */
const enoughForHs256 = 32;

await main();

async function main(): Promise<void> {
  const config = readConfigOrExit();
  const logger = pino({ level: config.logLevel, base: { process: "control" } });
  const stopping = Promise.withResolvers<NodeJS.Signals>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stopping.resolve(signal));
  let reload: ControlPlane["reload"] | undefined;
  process.on("SIGHUP", () => void reload?.().catch((error) => logger.error({ err: error }, "the reload failed")));
  warnOfOpenDoors(config, logger);
  try {
    const plane: ControlPlane = await openControlPlane(config, logger);
    reload = plane.reload;
    const signal = await stopping.promise;
    logger.info({ signal }, "stopping");
    setTimeout(giveUp, stopPatienceMs, logger).unref();
    await plane[Symbol.asyncDispose]();
    logger.info("stopped");
  } catch (error) {
    if (isExpected(error)) process.stderr.write(`${(error as Error).message}\n`);
    else logger.fatal({ err: error }, "control failed");
    process.exitCode = error instanceof KeySetError ? badEnvironment : failed;
  }
}

function giveUp(logger: pino.Logger): void {
  logger.fatal("control does not come to rest");
  process.exit(failed);
}

function readConfigOrExit(): ControlConfig {
  try {
    return readConfig();
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(badEnvironment);
  }
}

function isExpected(error: unknown): boolean {
  return (
    error instanceof AddressTakenError ||
    error instanceof DataLockedError ||
    error instanceof KeySetError ||
    error instanceof SecretKeyError ||
    error instanceof CertificateError ||
    error instanceof DiskQuotaError
  );
}

function warnOfOpenDoors({ apiAuthDisabled, apiTokens, access }: ControlConfig, logger: pino.Logger): void {
  if (apiAuthDisabled) logger.warn("SANDBOXD_API_AUTH_DISABLED=true: anyone who reaches the edge may call the API");
  else if (apiTokens.length === 0) logger.warn("SANDBOXD_API_TOKENS is empty: every API call at the edge is refused");
  const kids = access.tokenSecrets.filter(({ secret }) => secret.length < enoughForHs256).map(({ kid }) => kid);
  if (kids.length > 0) logger.warn({ kids }, "SANDBOXD_PREVIEW_TOKEN_SECRETS: a secret has fewer than 32 bytes");
}
