import type { Socket } from "node:net";
import { answering } from "./test-gateway.ts";

/**
 * What a client must get: `502` and `504` are refusals of the gateway's, `refused` either of them, `broken` an answer that is visibly cut (a reset, or less
 * than was announced), `whole` one that passes as sound.
 */
export type Outcome = "502" | "504" | "refused" | "broken" | "whole";

/** What the app says to one request, and then: nothing, its end, a reset, or something without an end. */
export type HostileAnswer = readonly [Outcome, string, ("end" | "reset" | { readonly endless: string })?];

const chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";
const okWith = (lines: string, body = "ok") => `HTTP/1.1 200 OK\r\n${lines}\r\n\r\n${body}`;
const okLength = okWith("Content-Length: 2");

/** Answers of an app that break HTTP. */
export const hostileAnswers: Readonly<Record<string, HostileAnswer>> = {
  "status 099": ["502", "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n"],
  "status 000": ["502", "HTTP/1.1 000 Odd\r\nContent-Length: 0\r\n\r\n"],
  "status 1000": ["502", "HTTP/1.1 1000 Odd\r\nContent-Length: 0\r\n\r\n"],
  "status 20": ["502", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"],
  "status -200": ["502", "HTTP/1.1 -200 OK\r\nContent-Length: 0\r\n\r\n"],
  "a status of letters": ["502", "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"],
  "no status": ["502", "HTTP/1.1 \r\nContent-Length: 0\r\n\r\n"],
  "no blank behind the status": ["502", "HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n"],
  "two blanks before the status": ["502", "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"],
  "a status beyond those defined": ["whole", "HTTP/1.1 799 Odd\r\nContent-Length: 2\r\n\r\nok"],
  "a control byte in the reason": ["502", "HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n"],
  "a delete byte in the reason": ["502", "HTTP/1.1 200 O\x7fK\r\nContent-Length: 0\r\n\r\n"],
  "a NUL in the reason": ["502", "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n"],
  "a bare CR in the reason": ["502", "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n"],
  "an endless reason": ["refused", "HTTP/1.1 200 ", { endless: "x" }],
  "another protocol": ["502", "SSH-2.0-OpenSSH_9.2\r\n"],
  "a later version": ["502", "HTTP/3.7 200 OK\r\nContent-Length: 0\r\n\r\n"],
  "HTTP/2": ["502", "\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\xa0\0\0\0\x02\0\0\0\0"],
  "HTTP/0.9": ["502", "<html>hello</html>"],
  TLS: ["502", "\x15\x03\x01\0\x02\x02\x46"],
  "bare line feeds": ["502", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"],
  "bare carriage returns": ["502", "HTTP/1.1 200 OK\rContent-Length: 2\r\rok"],
  "a blank before the first line": ["502", ` ${okLength}`],
  "an empty header name": ["502", okWith(": value\r\nContent-Length: 2")],
  "a space in a header name": ["502", okWith("X Y: value\r\nContent-Length: 2")],
  "a space before the colon": ["502", okWith("Content-Length : 2")],
  "a header without a colon": ["502", okWith("Nonsense\r\nContent-Length: 2")],
  "a control byte in a header name": ["502", okWith("X\x02: value\r\nContent-Length: 2")],
  "a byte above ASCII in a header name": ["502", okWith("X\xe4: value\r\nContent-Length: 2")],
  "a control byte in a value": ["502", okWith("X: a\x02b\r\nContent-Length: 2")],
  "a delete byte in a value": ["502", okWith("X: a\x7fb\r\nContent-Length: 2")],
  "a NUL in a value": ["502", okWith("X: a\0b\r\nContent-Length: 2")],
  "a bare CR in a value": ["502", okWith("X: a\rb\r\nContent-Length: 2")],
  "a folded value": ["502", okWith("X: a\r\n b\r\nContent-Length: 2")],
  "__proto__ as a header": ["whole", okWith("__proto__: a\r\nconstructor: b\r\nContent-Length: 2")],
  "a thousand headers": ["whole", okWith(`${"X-A: b\r\n".repeat(1000)}Content-Length: 2`)],
  "ten thousand headers": ["502", okWith(`${"X-A: b\r\n".repeat(10_000)}Content-Length: 2`)],
  "endless headers": ["refused", "HTTP/1.1 200 OK\r\n", { endless: "X-A: b\r\n" }],
  "an endless header name": ["refused", "HTTP/1.1 200 OK\r\n", { endless: "x" }],
  "an endless header value": ["refused", "HTTP/1.1 200 OK\r\nX: ", { endless: "x" }],
  "a Trailer without chunks": ["whole", okWith("Trailer: X-A\r\nContent-Length: 2")],
  "a bad Trailer with chunks": [
    "whole",
    "HTTP/1.1 200 OK\r\nTrailer: \x80\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-A: b\r\n\r\n",
  ],
  "a trailer without a name": ["broken", `${chunks}0\r\n: a\r\n\r\n`],
  "a length in the trailers": ["broken", `${chunks}0\r\nContent-Length: 5\r\n\r\n`],
  "endless trailers": ["broken", `${chunks}0\r\n`, { endless: "X-A: b\r\n" }],
  "both lengths": ["502", okWith("Content-Length: 2\r\nTransfer-Encoding: chunked", "2\r\nok\r\n0\r\n\r\n")],
  "two lengths": ["502", okWith("Content-Length: 2\r\nContent-Length: 3")],
  "two equal lengths": ["502", okWith("Content-Length: 2\r\nContent-Length: 2")],
  "a negative length": ["502", okWith("Content-Length: -2")],
  "a signed length": ["502", okWith("Content-Length: +2")],
  "a hexadecimal length": ["502", okWith("Content-Length: 0x2")],
  "a huge length": ["502", okWith("Content-Length: 99999999999999999999999")],
  "a length of letters": ["502", okWith("Content-Length: two")],
  "an empty length": ["502", okWith("Content-Length:")],
  "a list of lengths": ["502", okWith("Content-Length: 2, 2")],
  "a length longer than the body": ["broken", okWith("Content-Length: 20"), "end"],
  "a length longer than the body, and silence": ["broken", okWith("Content-Length: 20")],
  "an unknown encoding": ["whole", okWith("Transfer-Encoding: identity"), "end"],
  "chunked twice": ["whole", okWith("Transfer-Encoding: chunked, chunked", "2\r\nok\r\n0\r\n\r\n")],
  "chunked, but not last": ["whole", okWith("Transfer-Encoding: chunked, gzip"), "end"],
  "a bad chunk size": ["broken", `${chunks}zz\r\n`],
  "a negative chunk size": ["broken", `${chunks}-5\r\n`],
  "a signed chunk size": ["broken", `${chunks}+5\r\nhello\r\n0\r\n\r\n`],
  "a huge chunk size": ["broken", `${chunks}fffffffffffffffffffff\r\n`],
  "a chunk size without an end": ["broken", chunks, { endless: "0" }],
  "a chunk longer than said": ["broken", okWith("Transfer-Encoding: chunked", "2\r\nokay\r\n0\r\n\r\n")],
  "a chunk without its line end": ["broken", okWith("Transfer-Encoding: chunked", "2\r\nok0\r\n\r\n")],
  "bare line feeds between chunks": ["broken", okWith("Transfer-Encoding: chunked", "2\r\nok\n0\n\n")],
  "a chunk extension with a bare line feed": ["broken", `${chunks}2;a\nb\r\nok\r\n0\r\n\r\n`],
  "endless chunk extensions": ["broken", `${chunks}2;`, { endless: "x" }],
  "chunks cut short": ["broken", chunks, "end"],
  "chunks and silence": ["broken", chunks],
  "a chunk cut in the middle": ["broken", okWith("Transfer-Encoding: chunked", "20\r\nok"), "end"],
  "chunks cut before the last line end": ["broken", `${chunks}0\r\n`, "end"],
  "a reset in the middle": ["broken", okWith("Content-Length: 20"), "reset"],
  "a reset of chunks": ["broken", chunks, "reset"],
  "a reset of a body without a length": ["broken", "HTTP/1.1 200 OK\r\n\r\nok", "reset"],
  "a body until the end": ["whole", "HTTP/1.1 200 OK\r\n\r\nok", "end"],
  "101 to a plain request": [
    "502",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n\x81\x00",
  ],
  "101 without an Upgrade": ["502", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "end"],
  "100 unasked for": ["502", "HTTP/1.1 100 Continue\r\n\r\n", "end"],
  "an interim answer and nothing": ["502", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "end"],
  "an interim answer and silence": ["504", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"],
  "an interim answer with a body": ["502", `HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\nevil${okLength}`],
  "an interim answer with a bad name": ["502", `HTTP/1.1 103 Early Hints\r\n: a\r\n\r\n${okLength}`, "end"],
  "endless interim answers": ["refused", "", { endless: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" }],
  "a 204 with a body": ["whole", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil"],
  "a 204 with chunks": ["whole", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"],
  "a 304 with a body": ["whole", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil"],
  "a 304 with chunks": [
    "whole",
    "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
  ],
  "half a head": ["502", "HTTP/1.1 200 OK\r\nContent-Le", "end"],
  "half a head, and silence": ["504", "HTTP/1.1 200 OK\r\nContent-Le"],
  "half a status line": ["502", "HTTP/1.1 2", "end"],
  nothing: ["502", "", "end"],
  silence: ["504", ""],
  "a reset at once": ["502", "", "reset"],
  "two answers to one request": ["whole", `${okLength}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`],
  "an answer and half another": ["whole", `${okLength}HTTP/1.1 200 OK\r\nContent-Le`],
  "bytes after the answer": ["whole", `${okLength} evil`],
  "a Set-Cookie for everybody": ["whole", okWith("Set-Cookie: a=b; Domain=test.example; Path=/\r\nContent-Length: 2")],
  "a name of the gateway's own": ["whole", okWith("X-Sandbox-Gateway: evil\r\nContent-Length: 2")],
};

/** What the same app says to a request for `/next`. */
export const soundAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsound";

/** An app that gives this answer to all requests but those for `/next`. */
export function hostileApp([, bytes, then]: HostileAnswer): (socket: Socket) => void {
  return answering((head, socket) => {
    if (head.includes(" /next ")) return soundAnswer;
    socket.write(bytes, "latin1", () => {
      if (then === "end") socket.end();
      else if (then === "reset") setImmediate(() => socket.resetAndDestroy());
      else if (then !== undefined) sayForEver(socket, then.endless);
    });
    return undefined;
  });
}

/** Says this for as long as the other end takes it. */
export function sayForEver(socket: Socket, text: string): void {
  const bytes = Buffer.from(text.repeat(Math.ceil(65_536 / text.length)), "latin1");
  const pump = () => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on("drain", pump);
  socket.once("end", () => socket.end());
  pump();
}

/** Whether a response's framing says that all of it is here. */
export function isWhole(text: string, request: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const head = text.slice(0, end);
  const body = text.slice(end + 4);
  if (/^HTTP\/1\.1 1\d\d /.test(head)) return isWhole(body, request);
  if (/^HTTP\/1\.1 (204|304) /.test(head) || request.startsWith("HEAD")) return true;
  const length = /content-length: (\d+)/i.exec(head)?.[1];
  if (length !== undefined) return body.length >= Number(length);
  return /transfer-encoding: chunked/i.test(head) && /(^|\r\n)0\r\n(.+\r\n)*\r\n$/.test(body);
}
