// An app for end-to-end tests, run by `node -e`: it shows what reaches it, and remembers every start and every request.
const { createServer } = require("node:http");
const { createHash } = require("node:crypto");
const { appendFileSync } = require("node:fs");

const record = (line) => appendFileSync(`${process.env.HOME}/record`, `${line}\n`);
record("start");

const server = createServer((request, response) => {
  record(`${request.method} ${request.url}`);
  if (request.url.startsWith("/stream")) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    return response.write("data: first\n\n");
  }
  if (request.url.startsWith("/cookies"))
    response.setHeader("set-cookie", decodeURIComponent(request.url.slice(9)).split("|"));
  response.setHeader("content-type", "application/json");
  response.setHeader("service-worker-allowed", "/");
  response.end(
    JSON.stringify({ method: request.method, url: request.url, headers: request.headers, raw: request.rawHeaders }),
  );
});
server.on("upgrade", (request, socket) => {
  record(`UPGRADE ${request.url}`);
  socket.on("error", () => {});
  const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash("sha1").update(key).digest("base64");
  const head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
  socket.write(`${head}Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
});
server.listen(Number(process.env.PORT), process.env.HOST);
