import t from "tap";
import { addRoute, answering, newId, RawClient, routeTo, startApp, startGateway } from "./test-gateway.ts";

const upgrade = (host: string) =>
  `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`;
const switching = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

/** Answers to an upgrade that break HTTP, and their ending; the client must get a 502 of the gateway's. */
const refused: Readonly<Record<string, readonly [string, "end" | "reset"]>> = {
  "status 099": ["HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n", "end"],
  "status 000": ["HTTP/1.1 000 Odd\r\nContent-Length: 0\r\n\r\n", "end"],
  "a control byte in the reason": ["HTTP/1.1 403 O\x01K\r\nContent-Length: 0\r\n\r\n", "end"],
  "a control byte in the reason of a 101": [`HTTP/1.1 101 O\x01K\r\n${switching}\r\n`, "end"],
  "an empty header name": ["HTTP/1.1 403 Forbidden\r\n: a\r\nContent-Length: 0\r\n\r\n", "end"],
  "a control byte in a value": ["HTTP/1.1 403 Forbidden\r\nX: a\x02b\r\nContent-Length: 0\r\n\r\n", "end"],
  "101 without an Upgrade": ["HTTP/1.1 101 Switching Protocols\r\n\r\n", "end"],
  "101 to another protocol": ["HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", "end"],
  "both lengths": ["HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", "end"],
  "another protocol": ["SSH-2.0-OpenSSH_9.2\r\n", "end"],
  "half a head": ["HTTP/1.1 101 Switching Protocols\r\nConnection: Upg", "end"],
  "a reset in the head": ["HTTP/1.1 101 Swi", "reset"],
  "an interim answer and nothing": ["HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "end"],
};

/** Answers that pass, but are cut where the app cut them. */
const cut: Readonly<Record<string, readonly [string, "end" | "reset"]>> = {
  "a length longer than the body": ["HTTP/1.1 403 Forbidden\r\nContent-Length: 20\r\n\r\nnope", "end"],
  "chunks cut short": ["HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n", "end"],
  "a reset in the body": ["HTTP/1.1 403 Forbidden\r\nContent-Length: 20\r\n\r\nnope", "reset"],
  "a reset of a body without a length": ["HTTP/1.1 403 Forbidden\r\n\r\nnope", "reset"],
};

t.test("a hostile answer to an upgrade harms its own client at most", async (t) => {
  const test = await startGateway(t);
  const sound = await startApp(
    t,
    answering(() => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsound"),
  );
  const soundHost = await addRoute(test, routeTo(newId(), sound));
  for (const [what, [bytes, ending]] of Object.entries({ ...refused, ...cut })) {
    await t.test(what, async (t) => {
      const app = await startApp(
        t,
        answering((_, socket) => {
          socket.write(bytes, "latin1", () =>
            setImmediate(() => (ending === "end" ? socket.end() : socket.resetAndDestroy())),
          );
          return undefined;
        }),
      );
      const host = await addRoute(test, routeTo(newId(), app));
      const client = new RawClient(test.port).send(upgrade(host));
      await client.until(({ ended, closed }) => ended || closed);
      if (what in refused) {
        t.match(client.text, /^HTTP\/1\.1 502 Bad Gateway\r\n[\s\S]*X-Sandbox-Gateway: upstream_reset\r\n/);
        t.match(client.text, /"code":"upstream_reset"[^}]*}$/, "the refusal is whole");
      } else {
        const isWhole = client.ended && client.error === undefined && /\r\n0\r\n\r\n$/.test(client.text);
        t.notOk(isWhole, "the answer is visibly cut");
        if (!/Content-Length|chunked/.test(client.text)) t.ok(client.error, "by a reset");
      }
      client.socket.destroy();
      const other = new RawClient(test.port).send(`GET / HTTP/1.1\r\nHost: ${soundHost}\r\n\r\n`);
      await other.until(({ text }) => text.endsWith("sound"));
      other.socket.destroy();
    });
  }
});
