/**
 * node control/certificates/render-static.ts TARGET
 *
 * Writes Traefik's static file for this environment to TARGET, whole. Exits with 2 and one line for each bad variable.
 */
import { mkdir, readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { EnvironmentError, EnvironmentReader, type Variables } from "#contract/environment.ts";
import { environmentFileOf, overlay, readEnvironmentFile } from "#contract/environment-file.ts";
import { readStaticSettings, renderStatic } from "./static-file.ts";
import { writeWhole } from "./write-whole.ts";

const template = new URL("../../traefik/traefik.yml", import.meta.url);

async function main(target: string | undefined): Promise<number> {
  if (target === undefined) {
    console.error("usage: render-static.ts TARGET");
    return 2;
  }
  try {
    const settings = readStaticSettings(new EnvironmentReader(readVariables()));
    const path = resolve(target);
    await mkdir(dirname(path), { recursive: true });
    const text = renderStatic(await readFile(template, "utf8"), settings);
    // With the key of an external account in it, it is Traefik's alone.
    const mode = settings.resolver?.externalAccount ? 0o600 : 0o644;
    await writeWhole(path, text, { mode, stagingDirectories: [dirname(path)], verify: () => {} });
    return 0;
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    console.error(error.message);
    return 2;
  }
}

/** What control reads: the process's own variables over those of the environment file. */
function readVariables(): Variables {
  return overlay(readEnvironmentFile(environmentFileOf(process.env)), process.env);
}

process.exitCode = await main(process.argv[2]);
