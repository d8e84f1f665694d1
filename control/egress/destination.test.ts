import t from "tap";
import { parseCidr } from "./cidr.ts";
import { formatDestination, parseDestination, withoutOverlaps } from "./destination.ts";

t.test("parseDestination() takes blocks, addresses and names, each with or without a port", async (t) => {
  for (const text of [
    "10.1.2.0/24",
    "10.1.2.3:5432",
    "10.0.0.0/8:53",
    "[fd00::1]:5432",
    "fd00::/8",
    "db.internal:5432",
  ]) {
    t.equal(formatDestination(parseDestination(text)!), text);
  }
  t.same(parseDestination("DB.Internal."), { host: "db.internal", port: null });
  t.equal(formatDestination(parseDestination("[fd00::/64]:80")!), "[fd00::/64]:80");
});

t.test("parseDestination() refuses anything else", async (t) => {
  const bad = ["", "db:0", "db:65536", "db:http", "10.1.2.300", "1.2.3", "*.internal", "a b", "-x.internal", "[db]:1"];
  for (const text of [...bad, "http://db", "db/8", "[10.0.0.1]:1", "a..b"]) {
    t.equal(parseDestination(text), undefined, text);
  }
});

t.test("withoutOverlaps() leaves out what is within another one of the same port", async (t) => {
  const opening = (text: string, port: number | null = null, until: number | null = null) => ({
    to: parseCidr(text)!,
    port,
    until,
  });
  const wide = opening("10.0.0.0/8");
  const other = opening("10.1.0.0/16", 80);
  const longer = opening("11.0.0.1", null, 9);
  const all = [opening("10.1.0.0/16"), wide, other, opening("11.0.0.1", null, 5), longer];
  t.same(withoutOverlaps(all), [wide, other, longer]);
});
