// A page with an EventSource. Its stream is steered by requests: POST /send sends an event with the posted text, POST /end
// ends every open stream as a finished answer, POST /cut breaks them off. A stream goes on after Last-Event-ID.
const { createServer } = require("node:http");

const page = `<!doctype html><meta charset="utf-8"><title>events</title>
<h1></h1><ol></ol>
<script>
  const source = new EventSource("/events");
  source.addEventListener("host", ({ data }) => { document.querySelector("h1").textContent = "the app is " + data; });
  source.onmessage = ({ data, lastEventId }) => {
    const item = document.createElement("li");
    item.textContent = lastEventId + " " + data;
    document.querySelector("ol").append(item);
  };
</script>`;

const events = [];
const streams = new Set();

const server = createServer(async (request, response) => {
  if (request.url === "/events") return open(request, response);
  if (request.method === "POST") return steer(request, response);
  response.setHeader("content-type", "text/html");
  response.end(page);
});

function open({ headers }, stream) {
  stream.setHeader("content-type", "text/event-stream");
  stream.write(`retry: 50\nevent: host\ndata: ${headers.host}\n\n`);
  for (let id = Number(headers["last-event-id"] ?? 0) + 1; id <= events.length; id += 1) write(stream, id);
  streams.add(stream);
  stream.on("close", () => streams.delete(stream));
}

function write(stream, id) {
  stream.write(`id: ${id}\ndata: ${events[id - 1]}\n\n`);
}

async function steer(request, response) {
  const text = Buffer.concat(await request.toArray()).toString();
  if (request.url === "/send") {
    events.push(text);
    for (const stream of streams) write(stream, events.length);
  }
  if (request.url === "/end") for (const stream of streams) stream.end();
  if (request.url === "/cut") for (const stream of streams) stream.destroy();
  response.end();
}

server.listen(process.env.PORT, process.env.HOST);
