import t from "tap";
import { connectionOptions, isHopByHop } from "./hop-by-hop.ts";

t.test("isHopByHop() knows what belongs to a connection or frames a message", async (t) => {
  const names = [
    ...["connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"],
    ...["te", "trailer", "transfer-encoding", "upgrade", "http2-settings"],
  ];
  for (const name of names) t.ok(isHopByHop(name), name);
  for (const name of ["content-length", "host", "cookie", "etag", "x-te"]) t.notOk(isHopByHop(name), name);
});

t.test("connectionOptions() lists what Connection lists, in lower case", async (t) => {
  t.strictSame([...connectionOptions("close, X-Hop ,\tx-other")], ["close", "x-hop", "x-other"]);
  t.strictSame([...connectionOptions("X-Hop")], ["x-hop"]);
});

t.test("connectionOptions() is empty for the tokens that name no header of their own", async (t) => {
  for (const value of [undefined, "close", "keep-alive", "Keep-Alive", "Upgrade"]) {
    t.equal(connectionOptions(value).size, 0, String(value));
  }
});

t.test("connectionOptions() reads no endless list", async (t) => {
  t.ok(connectionOptions(Array.from({ length: 100_000 }, (_, index) => `x${index}`).join()).size <= 100);
});
