/**
 * In bytes. Node's HTTP server, and many another, takes a head of 16 KiB: what a browser and we add to it fits beside this.
 */
const mostCookies = 13 * 1024;

/**
 * A Cookie header that an app can take. Any page may plant cookies for every host of its domain, so a longer one is most
 * likely a sibling's doing; without its longest cookies the app goes on, and with all of them it answers nothing at all.
 */
export function withinCookieLimit(header: string): string {
  return header.length <= mostCookies ? header : shortened(header);
}

function shortened(header: string): string {
  const pairs = header.split(";");
  const byLength = pairs.map((_, index) => index).sort((one, other) => pairs[other]!.length - pairs[one]!.length);
  const left = new Set<number>();
  let length = header.length;
  for (const index of byLength) {
    if (length <= mostCookies) break;
    length -= pairs[index]!.length + 1;
    left.add(index);
  }
  return pairs
    .filter((_, index) => !left.has(index))
    .join(";")
    .trimStart();
}
