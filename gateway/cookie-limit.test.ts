import t from "tap";
import { withinCookieLimit } from "./cookie-limit.ts";

const limit = 13 * 1024;

t.test("withinCookieLimit() leaves what an app can take, byte for byte", async (t) => {
  for (const header of ["", "a=b", ' a="b; c";; d', `a=${"x".repeat(limit - 2)}`]) {
    t.equal(withinCookieLimit(header), header);
  }
});

t.test("withinCookieLimit() leaves out the longest cookies, and as few as need be", async (t) => {
  const bomb = (index: number) => `bomb${index}=${"x".repeat(3900)}`;
  const header = ["theme=dark", ...[1, 2, 3, 4, 5, 6].map(bomb), "session=abc", `last=${"y".repeat(900)}`].join("; ");
  const kept = withinCookieLimit(header);
  t.ok(kept.length <= limit && kept.length > limit - 3910, `${kept.length} bytes`);
  t.match(kept, /^theme=dark; /);
  t.match(kept, /; session=abc; last=y+$/);
  t.equal(kept.match(/bomb/g)?.length, 3);
  t.equal(withinCookieLimit(`first=${"x".repeat(limit)}; session=abc`), "session=abc");
  t.ok(withinCookieLimit("a;".repeat(limit)).length <= limit);
});
