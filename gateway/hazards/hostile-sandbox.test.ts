import t, { type Test } from "tap";
import {
  addRoute,
  answering,
  newId,
  RawClient,
  routeTo,
  startApp,
  startGateway,
  type TestGateway,
} from "./test-gateway.ts";

/**
 * Answers of an app that break HTTP, and what the client must get: `502` is a refusal of the gateway's, `broken` an answer
 * that is visibly cut (a reset, or less than was announced), `whole` one that passes as sound.
 */
const answers: Readonly<Record<string, readonly ["502" | "broken" | "whole", string, string?]>> = {
  "status 099": ["502", "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n"],
  "status 000": ["502", "HTTP/1.1 000 Odd\r\nContent-Length: 0\r\n\r\n"],
  "status 1000": ["502", "HTTP/1.1 1000 Odd\r\nContent-Length: 0\r\n\r\n"],
  "status 20": ["502", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"],
  "a status of letters": ["502", "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"],
  "no status": ["502", "HTTP/1.1 \r\nContent-Length: 0\r\n\r\n"],
  "a status beyond those defined": ["whole", "HTTP/1.1 799 Odd\r\nContent-Length: 2\r\n\r\nok"],
  "a control byte in the reason": ["502", "HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n"],
  "a delete byte in the reason": ["502", "HTTP/1.1 200 O\x7fK\r\nContent-Length: 0\r\n\r\n"],
  "a NUL in the reason": ["502", "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n"],
  "a bare CR in the reason": ["502", "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n"],
  "another protocol": ["502", "SSH-2.0-OpenSSH_9.2\r\n"],
  "a later version": ["502", "HTTP/3.7 200 OK\r\nContent-Length: 0\r\n\r\n"],
  "HTTP/0.9": ["502", "<html>hello</html>"],
  "an empty header name": ["502", "HTTP/1.1 200 OK\r\n: value\r\nContent-Length: 0\r\n\r\n"],
  "a space in a header name": ["502", "HTTP/1.1 200 OK\r\nX Y: value\r\nContent-Length: 0\r\n\r\n"],
  "a header without a colon": ["502", "HTTP/1.1 200 OK\r\nNonsense\r\nContent-Length: 0\r\n\r\n"],
  "a control byte in a header name": ["502", "HTTP/1.1 200 OK\r\nX\x02: value\r\nContent-Length: 0\r\n\r\n"],
  "a control byte in a value": ["502", "HTTP/1.1 200 OK\r\nX: a\x02b\r\nContent-Length: 0\r\n\r\n"],
  "a NUL in a value": ["502", "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"],
  "a bare CR in a value": ["502", "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n"],
  "a folded value": ["502", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"],
  "__proto__ as a header": [
    "whole",
    "HTTP/1.1 200 OK\r\n__proto__: a\r\nconstructor: b\r\nContent-Length: 2\r\n\r\nok",
  ],
  "a Trailer without chunks": ["whole", "HTTP/1.1 200 OK\r\nTrailer: X-A\r\nContent-Length: 2\r\n\r\nok"],
  "a bad Trailer with chunks": [
    "whole",
    "HTTP/1.1 200 OK\r\nTrailer: \x80\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-A: b\r\n\r\n",
  ],
  "both lengths": [
    "502",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  ],
  "two lengths": ["502", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"],
  "a negative length": ["502", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"],
  "a huge length": ["502", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nok"],
  "a length of letters": ["502", "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok"],
  "a list of lengths": ["502", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"],
  "a length longer than the body": ["broken", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok", "end"],
  "an unknown encoding": ["whole", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok", "end"],
  "a bad chunk size": ["broken", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n"],
  "a negative chunk size": ["broken", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n-5\r\n"],
  "a huge chunk size": [
    "broken",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nfffffffffffffffffffff\r\n",
  ],
  "a chunk longer than said": ["broken", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n"],
  "chunks cut short": ["broken", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "end"],
  "a chunk cut in the middle": ["broken", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nok", "end"],
  "a reset in the middle": ["broken", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok", "reset"],
  "a reset of a body without a length": ["broken", "HTTP/1.1 200 OK\r\n\r\nok", "reset"],
  "a body until the end": ["whole", "HTTP/1.1 200 OK\r\n\r\nok", "end"],
  "101 to a plain GET": [
    "502",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00",
  ],
  "101 without an Upgrade": ["502", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "end"],
  "100 unasked for": ["502", "HTTP/1.1 100 Continue\r\n\r\n", "end"],
  "a 204 with a body": ["whole", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"],
  "a 304 with a body": ["whole", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
  "half a head": ["502", "HTTP/1.1 200 OK\r\nContent-Le", "end"],
  "half a status line": ["502", "HTTP/1.1 2", "end"],
  nothing: ["502", "", "end"],
  "a reset at once": ["502", "", "reset"],
  "an interim answer and nothing": ["502", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "end"],
  "an interim answer with a bad name": ["502", "HTTP/1.1 103 Early Hints\r\n: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "end"],
  "two answers to one request": [
    "whole",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
  ],
  "bytes after the answer": ["whole", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more"],
  "a Set-Cookie for everybody": [
    "whole",
    "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Domain=test.example; Path=/\r\nContent-Length: 2\r\n\r\nok",
  ],
};

t.test("a hostile answer harms its own client at most", async (t) => {
  const test = await startGateway(t, { headTimeoutSeconds: 5 });
  const sound = await addRoute(test, routeTo(newId(), await startSound(t)));
  for (const [what, [outcome, bytes, ending]] of Object.entries(answers)) {
    await t.test(what, async (t) => {
      const port = await startApp(
        t,
        answering((_, socket) => {
          socket.write(bytes, "latin1", () => {
            if (ending === "end") socket.end();
            if (ending === "reset") setImmediate(() => socket.resetAndDestroy());
          });
          return undefined;
        }),
      );
      const host = await addRoute(test, routeTo(newId(), port));
      const client = new RawClient(test.port).send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await client.until(({ text, closed, ended }) => closed || ended || isWhole(text));
      expectOutcome(t, client, outcome);
      client.socket.destroy();
      await expectUntouched(t, test, sound);
    });
  }
});

async function startSound(t: Test): Promise<number> {
  return await startApp(
    t,
    answering(() => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsound"),
  );
}

async function expectUntouched(t: Test, { port }: TestGateway, host: string): Promise<void> {
  const client = new RawClient(port).send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.until(({ text }) => text.endsWith("sound"));
  t.match(client.text, /^HTTP\/1\.1 200 OK\r\n/, "another client's request is untouched");
  client.socket.destroy();
}

function expectOutcome(t: Test, client: RawClient, outcome: "502" | "broken" | "whole"): void {
  const { text } = client;
  switch (outcome) {
    case "502":
      t.match(text, /^(HTTP\/1\.1 103 .*\r\n(.+\r\n)*\r\n)?HTTP\/1\.1 502 Bad Gateway\r\n/);
      t.match(text, /X-Sandbox-Gateway: upstream_reset\r\n/);
      t.ok(isWhole(text), "the refusal is whole");
      return;
    case "broken":
      t.notOk(isWhole(text) && !client.error, "the answer is visibly cut");
      return;
    case "whole":
      t.ok(isWhole(text) || client.ended, `the answer is whole: ${JSON.stringify(text)}`);
      t.notMatch(text, /evil|and more|domain=/i);
  }
}

/** Whether a response's framing says that all of it is here. */
function isWhole(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const head = text.slice(0, end);
  const body = text.slice(end + 4);
  if (/^HTTP\/1\.1 (204|304) /.test(head)) return true;
  if (/^HTTP\/1\.1 1\d\d /.test(head)) return isWhole(body);
  const length = /content-length: (\d+)/i.exec(head)?.[1];
  if (length !== undefined) return body.length >= Number(length);
  return /transfer-encoding: chunked/i.test(head) && /(^|\r\n)0\r\n(.+\r\n)*\r\n$/.test(body);
}
