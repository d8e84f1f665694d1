import { isIPv6 } from "node:net";
import { type Cidr, contains, formatCidr, parseCidr } from "./cidr.ts";

/** Where somebody may connect to. */
export type Destination = {
  /** A block of addresses, or a name that is looked up again and again. */
  readonly host: Cidr | string;
  /** null: every port and protocol; else this one, over TCP and UDP. */
  readonly port: number | null;
};

const name = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?)*\.?$/;

/** `10.1.2.0/24`, `10.1.2.3:5432`, `[fd00::1]:5432`, `db.internal`, `db.internal:5432`. undefined for anything else. */
export function parseDestination(text: string): Destination | undefined {
  const plain = parseCidr(text);
  if (plain !== undefined) return { host: plain, port: null };
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::([1-9][0-9]{0,4}))?$/.exec(text);
  if (match === null) return undefined;
  const [, bracketed, bare, digits] = match;
  const port = digits === undefined ? null : Number(digits);
  if (port !== null && port > 65_535) return undefined;
  if (bracketed !== undefined && !isIPv6(bracketed.split("/")[0]!)) return undefined;
  const block = parseCidr(bracketed ?? bare!);
  if (block !== undefined) return { host: block, port };
  const host = bare?.toLowerCase();
  // What ends in digits alone is a bad address, and no name.
  if (host === undefined || !name.test(host) || /(?:^|\.)[0-9]+\.?$/.test(host)) return undefined;
  return { host: host.replace(/\.$/, ""), port };
}

export function formatDestination({ host, port }: Destination): string {
  const text = typeof host === "string" ? host : formatCidr(host);
  if (port === null) return text;
  return text.includes(":") ? `[${text}]:${port}` : `${text}:${port}`;
}

/** What one source may reach, for so long at most. */
export type Opening = { readonly to: Cidr; readonly port: number | null; readonly until: number | null };

/**
 * Leaves out what is within another one: the kernel refuses elements of a set that overlap. Of equal ones the longest
 * lasting stays; blocks that are wider than an address last for ever anyway.
 */
export function withoutOverlaps(openings: readonly Opening[]): readonly Opening[] {
  const last = ({ until }: Opening) => until ?? Number.POSITIVE_INFINITY;
  const widestFirst = [...openings].sort((a, b) => a.to.prefix - b.to.prefix || last(b) - last(a));
  const kept: Opening[] = [];
  for (const each of widestFirst) {
    if (!kept.some(({ to, port }) => port === each.port && contains(to, each.to))) kept.push(each);
  }
  return kept;
}
