import t from "tap";
import { parseRange } from "./byte-range.ts";

t.test("parseRange() tells what a Range header asks for", async (t) => {
  t.same(parseRange("bytes=0-4", 10), { start: 0, length: 5 });
  t.same(parseRange("bytes=8-99", 10), { start: 8, length: 2 });
  t.same(parseRange("bytes=3-", 10), { start: 3, length: 7 });
  t.same(parseRange("bytes=-3", 10), { start: 7, length: 3 });
  t.same(parseRange("bytes=-30", 10), { start: 0, length: 10 });
  for (const nothing of ["bytes=10-", "bytes=99-100", "bytes=-0"]) t.equal(parseRange(nothing, 10), null, nothing);
  for (const all of [undefined, "", "bytes=", "bytes=-", "bytes=5-3", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b"])
    t.equal(parseRange(all, 10), undefined, String(all));
});
