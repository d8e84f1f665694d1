// The app of the demo sandbox. It has a Node to itself, and a package.json above it may say otherwise: plain CommonJS.
const { createServer } = require("node:http");

const started = new Date().toLocaleTimeString();
const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>A sandbox</title>
<style>
  :root { color-scheme: light dark; font: 1.125rem/1.6 system-ui, sans-serif; }
  body { max-width: 36rem; margin: 15vh auto; padding: 0 1.5rem; }
  code { padding: .1em .3em; border-radius: .3em; background: color-mix(in srgb, currentColor 10%, transparent); }
</style>
<h1>It runs.</h1>
<p>This page comes from a sandbox, through the gateway. Its process started at ${started}.</p>
<p>Stop it with <code>POST /v1/sandboxes/{id}/stop</code> and load the page again: it wakes up for you, and the time
above is a new one.</p>
</html>
`;

createServer((_request, response) => {
  response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
  response.end(page);
}).listen(process.env.PORT, process.env.HOST);
