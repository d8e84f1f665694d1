import type { CliConfig } from "../config.ts";
import { codeOf } from "../http.ts";
import { check, fail, ok, type Verdict, warn } from "./check.ts";

/** The way out: of control to what it reads from elsewhere, and of sandboxes. */
export const egress = check("egress", tryEgress, judgeEgress);

/** A URL, and the error of asking it. */
export type Tried = { readonly url: string; readonly error: string | undefined };

function tryEgress({ remoteUrls }: CliConfig, signal: AbortSignal): Promise<readonly Tried[]> {
  return Promise.all(remoteUrls.map(async (url) => ({ url, error: await errorOf(url, signal) })));
}

async function errorOf(url: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { body } = await fetch(url, { method: "HEAD", redirect: "manual", signal });
    await body?.cancel();
    return undefined;
  } catch (error) {
    return codeOf((error as Error).cause ?? error);
  }
}

export function judgeEgress(tried: readonly Tried[], { engine }: Pick<CliConfig, "engine">): readonly Verdict[] {
  const verdicts = tried.map(({ url, error }) => {
    const { host } = new URL(url);
    if (error === undefined) return ok(`control reaches ${host}`);
    return fail(`control cannot reach ${host} (${error})`, `curl -sSI ${url}`);
  });
  if (engine === "docker") {
    verdicts.push(
      warn(
        "sandboxes may reach the internet, private networks and this machine's public ports: no rule restricts them",
        "iptables -I DOCKER-USER -d 169.254.0.0/16 -j DROP",
      ),
    );
  }
  return verdicts.length > 0 ? verdicts : [ok("control reads nothing from elsewhere")];
}
