import t from "tap";
import { answering, exchangeBytes, RawClient, startPreview } from "./test-gateway.ts";

const head = "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n";

const requests: Readonly<Record<string, (host: string) => string>> = {
  "a plain request": (host) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  "a refused upgrade": (host) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  "a body that waits": (host) =>
    `POST / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`,
};

for (const [what, request] of Object.entries(requests)) {
  t.test(`trailers of the answer to ${what} arrive in order, case and bytes`, async (t) => {
    const trailers = "X-Sum: 1\r\nx-sum: \xe4\xff\r\nServer-Timing: app;dur=5\r\n";
    const { port, host } = await startPreview(
      t,
      answering(() => `${head}${trailers}\r\n`),
    );
    const client = new RawClient(port).send(request(host));
    await client.until(({ text }) => /\r\n0\r\n(.+\r\n)*\r\n$/.test(text));
    t.ok(client.text.endsWith(`2\r\nok\r\n0\r\n${trailers}\r\n`), JSON.stringify(client.text.slice(-80)));
    client.socket.destroy();
  });

  t.test(`no trailer of the answer to ${what} says what a header of it may not`, async (t) => {
    const lines = [
      "Connection: close",
      "Transfer-Encoding: chunked",
      "X-Sandbox-Gateway: fake",
      "Service-Worker-Allowed: /",
      "Set-Cookie: a=b; Domain=test.example",
      "X-End: 1",
    ];
    const { port, host } = await startPreview(
      t,
      answering(() => `${head}${lines.join("\r\n")}\r\n\r\n`),
    );
    const client = new RawClient(port).send(request(host));
    await client.until(({ text }) => /\r\n0\r\n(.+\r\n)*\r\n$/.test(text));
    t.match(client.text, /2\r\nok\r\n0\r\nSet-Cookie: a=b\r\nX-End: 1\r\n\r\n$/);
    client.socket.destroy();
  });
}

t.test("trailers end with a client that has no chunks to put them behind", async (t) => {
  const { port, host } = await startPreview(
    t,
    answering(() => `${head}X-Sum: 1\r\n\r\n`),
  );
  t.match(await exchangeBytes(port, `GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`), /\r\n\r\nok$/);
});

t.test("a request's trailers end at the gateway, and neither its body nor the next request suffers", async (t) => {
  const seen: string[] = [];
  const { port, host } = await startPreview(t, (socket) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (!/^GET[\s\S]*\r\n\r\n$|\r\n0\r\n\r\n$/.test(text)) return;
      seen.push(text);
      text = "";
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  const upload = `POST / HTTP/1.1\r\nHost: ${host}\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const trailers = "X-Sum: 1\r\nHost: evil\r\nX-Forwarded-For: evil\r\n";
  const client = new RawClient(port).send(
    `${upload}4\r\nbody\r\n0\r\n${trailers}\r\nGET /next HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  );
  await client.until(({ text }) => text.match(/200 OK/g)?.length === 2 && text.endsWith("ok"));
  seen.sort();
  t.notMatch(seen.join(), /x-sum|evil|trailer/i);
  t.match(seen[0], /^GET \/next HTTP\/1\.1\r\n/);
  t.match(seen[1], /^POST \/ HTTP\/1\.1\r\n[\s\S]*\r\n\r\n4\r\nbody\r\n0\r\n\r\n$/);
  client.socket.destroy();
});
