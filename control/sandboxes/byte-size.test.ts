import t from "tap";
import { byteSizePattern, parseByteSize } from "./byte-size.ts";

t.test("parseByteSize() reads bytes and powers of 1024", async (t) => {
  t.same(
    ["1", "512K", "64M", "4G", "2T"].map(parseByteSize),
    [1, 524_288, 67_108_864, 4_294_967_296, 2_199_023_255_552],
  );
});

t.test("byteSizePattern refuses what is no size", async (t) => {
  const pattern = new RegExp(byteSizePattern);
  for (const text of ["", "0", "4GB", "4g", "-1", "1.5G", "G", " 4G", "04G"]) t.notOk(pattern.test(text), text);
  for (const text of ["1", "4G", "100M"]) t.ok(pattern.test(text), text);
});
