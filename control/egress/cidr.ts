import { isIPv4, isIPv6 } from "node:net";

/** A block of addresses. Its first address has no bit set behind the prefix. */
export type Cidr = { readonly family: 4 | 6; readonly first: bigint; readonly prefix: number };

/** `10.1.2.3`, `10.0.0.0/8`, `fd00::/8`; bits behind the prefix are dropped. undefined for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = "", length, ...rest] = text.split("/");
  const family = isIPv4(address) ? 4 : isIPv6(address) && !address.includes("%") ? 6 : undefined;
  if (family === undefined || rest.length > 0) return undefined;
  const bits = widthOf(family);
  if (length !== undefined && !/^(?:0|[1-9][0-9]{0,2})$/.test(length)) return undefined;
  const prefix = length === undefined ? bits : Number(length);
  if (prefix > bits) return undefined;
  const value = family === 4 ? valueOf4(address) : valueOf6(address);
  const behind = BigInt(bits - prefix);
  return { family, first: (value >> behind) << behind, prefix };
}

/** As nft and people write it; a single address stands without its prefix. */
export function formatCidr({ family, first, prefix }: Cidr): string {
  const address = family === 4 ? format4(first) : format6(first);
  return prefix === widthOf(family) ? address : `${address}/${prefix}`;
}

/** Whether all of the inner block is in the outer one. */
export function contains(outer: Cidr, inner: Cidr): boolean {
  if (outer.family !== inner.family || outer.prefix > inner.prefix) return false;
  const behind = BigInt(widthOf(outer.family) - outer.prefix);
  return outer.first >> behind === inner.first >> behind;
}

function widthOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

function valueOf4(address: string): bigint {
  return address.split(".").reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

/** RFC 4291 §2.2, the form with an IPv4 address at its end included. */
function valueOf6(address: string): bigint {
  const plain = address.replace(/[0-9.]+$/, (end) => {
    if (!end.includes(".")) return end;
    const value = valueOf4(end);
    return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
  });
  const [before = [], after = []] = plain.split("::").map((part) => part.split(":").filter((group) => group !== ""));
  const zeros = Array.from({ length: plain.includes("::") ? 8 - before.length - after.length : 0 }, () => "0");
  return [...before, ...zeros, ...after].reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}

function format4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join(".");
}

/** RFC 5952. */
function format6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16));
  const runs = [...groups.join(":").matchAll(/\b0(?::0)+\b/g)].sort((a, b) => b[0].length - a[0].length);
  const longest = runs[0];
  if (longest === undefined) return groups.join(":");
  const text = groups.join(":");
  const before = text.slice(0, longest.index).replace(/:$/, "");
  const after = text.slice(longest.index + longest[0].length).replace(/^:/, "");
  return `${before}::${after}`;
}
