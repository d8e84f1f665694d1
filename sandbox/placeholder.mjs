// Answers on the sandbox's first port until there is an app.
import { createServer } from "node:http";

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Put your app here</title>
<style>body { font: 1rem/1.5 system-ui; max-width: 36rem; margin: 15vh auto; padding: 0 1rem }</style>
<h1>Put your app here</h1>
<p>This sandbox runs, and there is no app in it yet. Put one into <code>~/workspace/app</code> with a <code>dev</code>
or <code>start</code> script in its <code>package.json</code> that listens on <code>$PORT</code>, and restart.</p>
`;

const server = createServer((_request, response) => {
  response.writeHead(200, { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store" }).end(page);
});

server.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? "0.0.0.0", () => {
  console.log(`No app in ${process.cwd()} yet: the placeholder answers on port ${server.address().port}`);
});
process.on("SIGTERM", () => process.exit(0));
