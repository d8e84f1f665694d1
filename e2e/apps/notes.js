// Keeps a note on its disk. `/write?<text>` changes it, `/fill?<MB>` puts so much beside it, `/count` begins to count in
// many files, one after the other and again and again, `/counted` shows what was in them at the start, `/secret` shows a
// variable, and anything else the note.
const { createServer } = require("node:http");
const { randomBytes } = require("node:crypto");
const { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } = require("node:fs");

const counters = Array.from({ length: 20 }, (_, n) => `counter-${n}`);
const counted = counters.map((name) => (existsSync(name) ? Number(readFileSync(name, "utf8")) : 0));

createServer((request, response) => {
  const [path, argument = ""] = request.url.split("?");
  if (path === "/secret") return response.end(process.env.SECRET ?? "none");
  if (path === "/counted") return response.end(JSON.stringify(counted));
  if (path === "/count") count(1);
  if (path === "/write") writeFileSync("note", argument);
  if (path === "/fill") fill(Number(argument));
  response.end(existsSync("note") ? readFileSync("note", "utf8") : "none");
}).listen(Number(process.env.PORT), process.env.HOST);

function count(round) {
  // Of one length, so that nobody reads half a number.
  for (const name of counters)
    writeFileSync(name, String(round).padStart(9, "0"), { flag: existsSync(name) ? "r+" : "w" });
  setImmediate(count, round + 1);
}

function fill(megabytes) {
  const file = openSync("ballast", "w");
  const block = randomBytes(2 ** 20);
  for (let n = 0; n < megabytes; n++) writeSync(file, block);
  closeSync(file);
}
