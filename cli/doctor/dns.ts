import { lookup } from "node:dns/promises";
import { networkInterfaces } from "node:os";
import { formatApiHost } from "#contract/preview-host.ts";
import type { CliConfig } from "../config.ts";
import { codeOf } from "../http.ts";
import { check, fail, ok, type Verdict, warn } from "./check.ts";

/** Whether the wildcard leads here, as this machine's own resolver sees it. */
export const dns = check("dns", lookUpNames, judgeNames);

export type Names = {
  /** Of a name below the wildcard that nobody has asked for before, and of the API's. */
  readonly preview: Resolution;
  readonly api: Resolution;
  /** This machine's addresses. */
  readonly own: readonly string[];
};
/** Addresses, or the resolver's error. */
export type Resolution = readonly string[] | { readonly error: string };

async function lookUpNames({ domain }: CliConfig): Promise<Names> {
  const random = `doctor-${Math.random().toString(36).slice(2, 10)}.preview.${domain}`;
  const [preview, api] = await Promise.all([resolve(random), resolve(formatApiHost(domain))]);
  const own = Object.values(networkInterfaces()).flatMap((each) => each?.map(({ address }) => address) ?? []);
  return { preview, api, own };
}

async function resolve(name: string): Promise<Resolution> {
  try {
    return (await lookup(name, { all: true })).map(({ address }) => address);
  } catch (error) {
    return { error: codeOf(error) };
  }
}

export function judgeNames({ preview, api, own }: Names, { domain }: Pick<CliConfig, "domain">): readonly Verdict[] {
  const name = `*.preview.${domain}`;
  if (isLocal(domain)) return [judgeLocal(preview, name)];
  if ("error" in preview) return [unresolved(name, preview.error)];
  const foreign = preview.filter((address) => !own.includes(address));
  const addresses = preview.join(", ");
  const verdicts: Verdict[] = [];
  if (preview.some(isLoopback)) {
    verdicts.push(
      warn(`${name} is ${addresses}: only this machine finds it`, `make ${name} point to a public address`),
    );
  } else if (foreign.length === preview.length) {
    verdicts.push(
      warn(
        `${name} is ${addresses}, none of this machine's own addresses: right behind a load balancer or NAT alone`,
        `compare with: ip -brief address`,
      ),
    );
  } else if (foreign.length > 0) {
    verdicts.push(
      warn(
        `${name} is also ${foreign.join(", ")}, which is not this machine`,
        `remove that record, or add the address here`,
      ),
    );
  } else verdicts.push(ok(`${name} is ${addresses}, this machine`));
  if ("error" in api || api.toSorted().join() !== preview.toSorted().join()) {
    const is = "error" in api ? `does not resolve (${api.error})` : `is ${api.join(", ")}`;
    verdicts.push(warn(`${formatApiHost(domain)} ${is}, unlike the wildcard`, "remove the record of its own"));
  }
  return verdicts;
}

/** Browsers take every name below `localhost` for this machine; other programs ask the resolver. */
function judgeLocal(preview: Resolution, name: string): Verdict {
  if ("error" in preview) {
    return warn(
      `${name} is known to browsers alone: this machine's resolver does not know it (${preview.error})`,
      `for other programs: curl --resolve, or a wildcard domain of your own in PREVIEW_DOMAIN`,
    );
  }
  if (preview.every(isLoopback)) return ok(`${name} is this machine`);
  return fail(`${name} is ${preview.join(", ")}`, "getent ahosts localhost; cat /etc/hosts");
}

function unresolved(name: string, error: string): Verdict {
  if (error === "ENOTFOUND") {
    return fail(`${name} does not resolve`, `create the DNS record: ${name} A <this machine's public address>`);
  }
  return fail(`this machine's resolver does not answer (${error})`, "resolvectl status; cat /etc/resolv.conf");
}

function isLocal(domain: string): boolean {
  return domain === "localhost" || domain.endsWith(".localhost");
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}
