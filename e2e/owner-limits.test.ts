import t from "tap";
import { openPair } from "./pair.ts";

t.test("a visitor to a sandbox whose owner has enough awake is told so, until there is room", async (t) => {
  await using pair = await openPair({ SANDBOXD_USER_MAX_RUNNING: "1" });
  const server = "require('http').createServer((_, answer) => answer.end('hello')).listen(process.env.PORT)";
  const body = { cmd: [process.execPath, "-e", server], external: { user_id: "ada" } };
  const first = await pair.create(body);
  await pair.sleep(first, "pause");
  const second = await pair.create(body);
  const asked: Record<string, string>[] = [{}, { accept: "text/html", "sec-fetch-mode": "navigate" }];
  for (const headers of asked) {
    const refused = await pair.ask(first, headers);
    t.match(refused, { status: 429, headers: { "x-sandbox-gateway": "too_many_requests", "retry-after": String } });
  }
  t.match(await pair.ask(second), { status: 200, text: "hello" });
  await pair.sleep(second, "stop");
  t.match(await pair.ask(first), { status: 200, text: "hello" });
});
