import t from "tap";
import { addRoute, answering, exchangeBytes, newId, routeTo, startApp, startGateway } from "./test-gateway.ts";

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

t.test("the gateway refuses what has two readings", async (t) => {
  const test = await startGateway(t);
  const seen: string[] = [];
  const app = await startApp(
    t,
    answering((head) => {
      seen.push(head);
      return ok;
    }),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  const refused: Record<string, string> = {
    "HTTP/0.9": "GET /\r\n\r\n",
    "a later version": `GET / HTTP/2.0\r\nHost: ${host}\r\n\r\n`,
    "version 1.2": `GET / HTTP/1.2\r\nHost: ${host}\r\n\r\n`,
    "no host": "GET / HTTP/1.1\r\n\r\n",
    "an empty host": "GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "two hosts": `GET / HTTP/1.1\r\nHost: ${host}\r\nHost: ${host}\r\n\r\n`,
    "a host with a trailing dot": `GET / HTTP/1.1\r\nHost: ${host}.\r\n\r\n`,
    "a host with a path": `GET / HTTP/1.1\r\nHost: ${host}/x\r\n\r\n`,
    "a host with userinfo": `GET / HTTP/1.1\r\nHost: a@${host}\r\n\r\n`,
    "both lengths": `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "two equal lengths": `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab`,
    "two lengths": `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc`,
    "a list of lengths": `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 2, 2\r\n\r\nab`,
    "a signed length": `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: +2\r\n\r\nab`,
    "a negative length": `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: -2\r\n\r\nab`,
    "a hexadecimal length": `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0x2\r\n\r\nab`,
    "an underscored length": `POST / HTTP/1.1\r\nHost: ${host}\r\nContent_Length: 2\r\n\r\n`,
    "two transfer encodings": `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "a list of encodings": `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    "an unknown encoding": `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: identity\r\n\r\n`,
    "chunked in HTTP/1.0": `POST / HTTP/1.0\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "a space before the colon": `GET / HTTP/1.1\r\nHost : ${host}\r\n\r\n`,
    "a folded header": `GET / HTTP/1.1\r\nHost: ${host}\r\nX-A: b\r\n c\r\n\r\n`,
    "a bare line feed": `GET / HTTP/1.1\nHost: ${host}\n\n`,
    "a NUL in a value": `GET / HTTP/1.1\r\nHost: ${host}\r\nX-A: a\0b\r\n\r\n`,
    "a fragment": `GET /a#b HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    CONNECT: `CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    TRACE: `TRACE / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    "OPTIONS *": `OPTIONS * HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    "another authority": `GET http://other.example/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    "a relative target": `GET index.html HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  };
  for (const [what, bytes] of Object.entries(refused)) {
    const answer = await exchangeBytes(test.port, bytes);
    t.match(answer, /^HTTP\/1\.1 400 /, `${what} is refused`);
    t.match(answer, /connection: close/i, `${what} ends the connection`);
    t.match(answer, /X-Sandbox-Gateway: bad_request/, `${what} is refused by the gateway`);
  }
  t.strictSame(seen, [], "the app saw none of it");
});

t.test("the gateway takes an absolute target of the same host", async (t) => {
  const test = await startGateway(t);
  const seen: string[] = [];
  const app = await startApp(
    t,
    answering((head) => {
      seen.push(head);
      return ok;
    }),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  const answer = await exchangeBytes(
    test.port,
    `GET http://${host}/a?b HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
  );
  t.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  t.match(seen[0], /^GET \/a\?b HTTP\/1\.1\r\n/);
});
