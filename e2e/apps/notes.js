// Keeps a note on its disk: `/write?<text>` changes it, `/fill?<MB>` puts so much beside it, `/secret` shows a variable, anything else shows it.
const { createServer } = require("node:http");
const { randomBytes } = require("node:crypto");
const { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } = require("node:fs");

createServer((request, response) => {
  if (request.url === "/secret") return response.end(process.env.SECRET ?? "none");
  const [path, argument = ""] = request.url.split("?");
  if (path === "/write") writeFileSync("note", argument);
  if (path === "/fill") {
    const file = openSync("ballast", "w");
    const block = randomBytes(2 ** 20);
    for (let n = 0; n < Number(argument); n++) writeSync(file, block);
    closeSync(file);
  }
  response.end(existsSync("note") ? readFileSync("note", "utf8") : "none");
}).listen(Number(process.env.PORT), process.env.HOST);
