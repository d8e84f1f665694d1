import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";

export type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string };

/** One request to a port of this machine's loopback on a connection of its own, with exactly these headers. */
export function ask(
  port: number,
  path: string,
  { method = "GET", headers, body }: { method?: string; headers: OutgoingHttpHeaders; body?: string },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path, method, headers, agent: false })
      .on("response", async (answer) => {
        const chunks = await answer.toArray().catch(reject);
        if (chunks === undefined) return;
        resolve({ status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(chunks).toString() });
      })
      .on("upgrade", (answer, socket) => {
        socket.destroy();
        resolve({ status: answer.statusCode!, headers: answer.headers, body: "" });
      })
      .on("error", reject)
      .end(body);
  });
}
