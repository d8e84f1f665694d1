// Takes every upgrade to WebSocket and echoes the frames it gets, without a byte of state per socket. Where it listens is
// left in `port`.
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";

const key = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

writeFileSync("port", process.env.PORT);

createServer((_, response) => response.end("sockets"))
  .on("upgrade", (request, socket) => {
    const accept = createHash("sha1")
      .update(request.headers["sec-websocket-key"] + key)
      .digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.on("data", (frame) => socket.write(echoed(frame)));
    socket.on("end", () => socket.end());
    socket.on("error", () => {});
  })
  .listen({ port: process.env.PORT, host: process.env.HOST, backlog: 4096 });

/** A short masked frame as the server's own (RFC 6455 §5.2). */
function echoed(frame) {
  const length = frame[1] & 0x7f;
  const answer = Buffer.alloc(2 + length, frame.subarray(0, 1));
  answer[1] = length;
  for (let index = 0; index < length; index++) answer[2 + index] = frame[6 + index] ^ frame[2 + (index % 4)];
  return answer;
}
