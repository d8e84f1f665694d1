// An app for loads of every kind, run by `node -e`: answers at once, late, with a digest of a body, and on a socket.
const { createServer } = require("node:http");
const { createHash } = require("node:crypto");

const server = createServer((request, response) => {
  if (request.url === "/slow") {
    response.write("first ");
    return setTimeout(() => response.end("last"), 150);
  }
  if (request.method !== "POST") return response.end("hello");
  const hash = createHash("sha256");
  request.on("data", (chunk) => hash.update(chunk)).on("end", () => response.end(hash.digest("hex")));
});
server.on("upgrade", (request, socket) => {
  const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash("sha1").update(key).digest("base64");
  const head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  socket.write(`${head}Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  socket.on("error", () => {});
  let unread = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    unread = Buffer.concat([unread, chunk]);
    // Short masked frames are all that a client sends: each comes back, the one that closes as well.
    while (unread.length >= 6 && unread.length >= 6 + (unread[1] & 127)) {
      const length = unread[1] & 127;
      const payload = unread.subarray(6, 6 + length).map((byte, index) => byte ^ unread[2 + (index & 3)]);
      socket.write(Buffer.concat([Buffer.from([unread[0], length]), payload]));
      if ((unread[0] & 15) === 8) return socket.end();
      unread = unread.subarray(6 + length);
    }
  });
});
server.listen(Number(process.env.PORT), process.env.HOST);
