// An app for end-to-end tests, run by `node -e`: a page that talks to its own WebSocket, and a count of its starts.
const { createServer } = require("node:http");
const { createHash } = require("node:crypto");
const { appendFileSync, readFileSync } = require("node:fs");

const record = `${process.env.HOME}/starts`;
appendFileSync(record, "start\n");
console.log("the app is starting");

const page = `<!doctype html><meta charset="utf-8"><title>echo</title><h1 id="app">the app itself</h1><p id="echo"></p>
<script>
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/socket");
  socket.onopen = () => socket.send("hello over the edge");
  socket.onmessage = ({ data }) => { document.querySelector("#echo").textContent = data; };
</script>`;

const server = createServer((request, response) => {
  if (request.url === "/starts") return response.end(String(readFileSync(record, "utf8").trim().split("\n").length));
  if (request.method === "POST") return request.pipe(response);
  response.setHeader("content-type", "text/html");
  response.end(page);
});
server.on("upgrade", (request, socket) => {
  const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash("sha1").update(key).digest("base64");
  const head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  socket.write(`${head}Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  socket.on("error", () => {});
  // One short masked text frame is all that the page sends.
  socket.on("data", (frame) => {
    if ((frame[0] & 15) === 8) return socket.end(Buffer.from([0x88, 0]));
    const length = frame[1] & 127;
    const payload = frame.subarray(6, 6 + length).map((byte, index) => byte ^ frame[2 + (index & 3)]);
    socket.write(Buffer.concat([Buffer.from([0x81, length]), payload]));
  });
});
setTimeout(() => server.listen(process.env.PORT, process.env.HOST), Number(process.env.SLOW_MS ?? 0));
