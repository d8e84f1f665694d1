/**
 * What belongs to one subscriber: an IPv4 address, or the /64 of an IPv6 one (RFC 6177 §2), out of which anybody takes as
 * many addresses as they like. What is no address stands for itself.
 */
export function addressBlock(address: string): string {
  const plain = address.replace(/%.*$/, "").toLowerCase();
  if (!/^[0-9a-f:.]*:[0-9a-f:.]*$/.test(plain)) return address;
  const mapped = /^::ffff:([0-9.]+)$/.exec(plain)?.[1];
  if (mapped !== undefined) return mapped;
  const [before = [], after = []] = plain.split("::", 2).map((part) => part.split(":").filter((group) => group !== ""));
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => "0");
  const groups = [...before, ...zeros, ...after].slice(0, 4);
  return `${groups.map((group) => group.replace(/^0+(?=.)/, "")).join(":")}::/64`;
}
