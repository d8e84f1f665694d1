/** The proxy that Node programs usually take, set up as well as it can be: with connections that are kept alive. */
import { Agent, createServer } from "node:http";
import httpProxy from "http-proxy";

const agent = new Agent({ keepAlive: true });
const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${process.argv[2]}`, agent });
proxy.on("error", (_error, _request, response) => response.destroy());

const server = createServer((request, response) => proxy.web(request, response));
server.on("upgrade", (request, socket, head) => proxy.ws(request, socket, head));
server.listen(0, "127.0.0.1", () => console.log((server.address() as { port: number }).port));
