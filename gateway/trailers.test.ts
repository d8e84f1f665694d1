import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { Duplex } from "node:stream";
import t from "tap";
import { addTrailers } from "./trailers.ts";

/** What an answer with these trailers sends. */
function sentWith(...trailers: string[]): string {
  let sent = "";
  const socket = new Duplex({
    read() {},
    write(chunk, _, done) {
      sent += chunk.toString("latin1");
      done();
    },
  });
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  response.assignSocket(socket as Socket);
  response.useChunkedEncodingByDefault = true;
  response.writeHead(200, ["Transfer-Encoding", "chunked"]);
  addTrailers(
    response,
    trailers.map((text) => Buffer.from(text, "latin1")),
    { host: "a.example", noindex: true },
  );
  response.end();
  return sent.slice(sent.indexOf("\r\n\r\n") + 4);
}

t.test("addTrailers() adds what could be headers too", async (t) => {
  t.equal(sentWith("X-a", "1", "Content-Length", "5", "x-A", "\xe4"), "0\r\nX-a: 1\r\nx-A: \xe4\r\n\r\n");
});

t.test("addTrailers() adds none when one of them could be no header, and does not throw", async (t) => {
  t.equal(sentWith("X-A", "1", "X-B", "a\x7fb"), "0\r\n\r\n");
  t.equal(sentWith("X-A", "1", "X B", "2"), "0\r\n\r\n");
});
