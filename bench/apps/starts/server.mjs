// Leaves a line in `starts` for each of its starts, and answers with its pid.
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

appendFileSync("starts", `${process.pid}\n`);
createServer((_, response) => response.end(`started as ${process.pid}`)).listen({
  port: process.env.PORT,
  host: process.env.HOST,
  backlog: 4096,
});
