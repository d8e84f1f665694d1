import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";

/** What stands in for an app: the files of a directory, or a page that says why there is none. */
export type Content = { readonly kind: "files"; readonly directory: string } | Notice;

export type Notice = {
  readonly kind: "notice";
  readonly status: 200 | 503;
  readonly title: string;
  readonly text: string;
  /** Shown as it is. */
  readonly log?: string;
};

const types: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".gif": "image/gif",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".jpg": "image/jpeg",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webp": "image/webp",
  ".woff2": "font/woff2",
};

/** Listens in an app's place while there is none. Throws what `listen` throws, such as EADDRINUSE. */
export async function servePage(content: Content, port: number, host: string): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume();
    if (content.kind === "files") void serveFile(content.directory, request.url ?? "/", response);
    else serveNotice(content, response);
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject).listen({ port, host }, resolve);
  await promise;
  return server;
}

function serveNotice({ status, title, text, log }: Notice, response: ServerResponse): void {
  const output = log ? `<pre>${asText(log)}</pre>` : "";
  const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="2">
<title>${asText(title)}</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui; max-width: 44rem; margin: 15vh auto; padding: 0 1rem }
pre { overflow-x: auto; padding: 1rem; border: 1px solid; border-radius: .5rem; font-size: .85rem }
</style>
<h1>${asText(title)}</h1>
<p>${text}</p>
${output}`;
  const headers = { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store" };
  response.writeHead(status, status === 503 ? { ...headers, "Retry-After": "2" } : headers).end(page);
}

async function serveFile(directory: string, url: string, response: ServerResponse): Promise<void> {
  const found = await findFile(directory, url);
  if (found === undefined) return void response.writeHead(404, { "Content-Type": "text/plain" }).end("Not found\n");
  const type = types[extname(found.path).toLowerCase()] ?? "application/octet-stream";
  response.writeHead(200, { "Content-Type": type, "Content-Length": found.size, "Cache-Control": "no-cache" });
  createReadStream(found.path)
    .on("error", () => response.destroy())
    .pipe(response);
}

async function findFile(directory: string, url: string): Promise<{ path: string; size: number } | undefined> {
  try {
    const path = normalize(decodeURIComponent(url.split("?", 1)[0]!));
    if (path.split("/").some((part) => part.startsWith("."))) return undefined;
    let file = join(directory, path);
    let facts = await stat(file);
    if (facts.isDirectory()) {
      file = join(file, "index.html");
      facts = await stat(file);
    }
    return facts.isFile() ? { path: file, size: facts.size } : undefined;
  } catch {
    return undefined;
  }
}

function asText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
