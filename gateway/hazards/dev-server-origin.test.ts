import t from "tap";
import { addRoute, answering, newId, RawClient, routeTo, startApp, startGateway } from "./test-gateway.ts";

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

t.test("upstreamHeaders() lets a page's Origin follow Host where Next.js serves for its own use alone", async (t) => {
  const test = await startGateway(t);
  const heads: string[] = [];
  const app = await startApp(
    t,
    answering((head) => {
      heads.push(head);
      return ok;
    }),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  const originAt = async (target: string, origin = `https://${host}`) => {
    const request = `POST ${target} HTTP/1.1\r\nHost: ${host}\r\nOrigin: ${origin}\r\nContent-Length: 0\r\n\r\n`;
    const client = new RawClient(test.port).send(request);
    await client.until(({ text }) => text.endsWith("ok"));
    client.socket.destroy();
    return /^origin: (.*)\r$/im.exec(heads.at(-1)!)?.[1];
  };
  for (const target of ["/__nextjs_original-stack-frames", "/_next/hmr", "/base/__nextjs_font/geist-latin.woff2"]) {
    t.equal(await originAt(target), "http://localhost:3000", target);
  }
  t.equal(await originAt("/__nextjs_original-stack-frames", "https://evil.example"), "https://evil.example");
  for (const target of ["/", "/cart/_next", "/cart?then=/_next/hmr"]) {
    t.equal(await originAt(target), `https://${host}`, target);
  }
});
