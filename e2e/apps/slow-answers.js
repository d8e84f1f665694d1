// Answers what it has read to its end: at once, and at /slow a second after the head of its answer.
const { createServer } = require("node:http");
createServer((request, response) => {
  request.resume().once("end", () => {
    if (request.url !== "/slow") return response.end("ok");
    response.writeHead(200).write("o");
    setTimeout(() => response.end("k"), 1000);
  });
}).listen(process.env.PORT, "0.0.0.0");
