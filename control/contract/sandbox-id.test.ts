import t from "tap";
import { parseSandboxId } from "./sandbox-id.ts";

t.test("parseSandboxId() makes one id of both cases", async (t) => {
  t.equal(parseSandboxId("01jb2q8z6x3v9k4m7n0p5r1s2t"), "01JB2Q8Z6X3V9K4M7N0P5R1S2T");
  t.equal(parseSandboxId("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
});

t.test("parseSandboxId() refuses what is no ULID", async (t) => {
  const short = "01JB2Q8Z6X3V9K4M7N0P5R1S2";
  const bad = [
    "",
    short,
    `${short}TT`,
    `8${short}`,
    `${short}I`,
    `${short}L`,
    `${short}O`,
    `${short}U`,
    `${short}-`,
    `${short}T\n`,
    `${short}ı`,
  ];
  for (const text of bad) t.equal(parseSandboxId(text), undefined, JSON.stringify(text));
});
