import t from "tap";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { decodeCursor, encodeCursor } from "./list-cursor.ts";

t.test("decodeCursor() reads what encodeCursor() wrote and nothing else", async (t) => {
  const position = { createdAt: 1_795_440_000_000, id: newSandboxId() };
  t.same(decodeCursor(encodeCursor(position)), position);
  const encode = (text: string) => Buffer.from(text).toString("base64url");
  for (const bad of [
    "",
    "!",
    encode("1.x"),
    encode(`x.${position.id}`),
    encode(`-1.${position.id}`),
    encode(`1.${position.id}1`),
  ]) {
    t.throws(() => decodeCursor(bad), { code: "invalid_request" }, bad);
  }
});
