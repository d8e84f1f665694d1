import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import type { Test } from "tap";
import type { Knot } from "./knot.ts";

type Account = { username: string; password: string; subdomain: string; fulldomain: string; values: string[] };

/**
 * acme-dns, whose API is answered here and whose zone is in Knot: accounts of their own subdomain, the newest two values
 * of each, and values of 43 characters only. Answers its URL.
 */
export async function startAcmeDns(t: Test, knot: Knot): Promise<{ url: string; accounts: Account[] }> {
  const accounts: Account[] = [];
  const server = createServer(async (request, response) => {
    const answer = await handle(request);
    respond(response, answer.status, answer.body);
  });

  async function handle(request: IncomingMessage): Promise<{ status: number; body: object }> {
    const body = (await json(request)) as { subdomain?: string; txt?: string };
    if (request.method === "POST" && request.url === "/register") {
      const [username, password, subdomain] = [randomUUID(), randomUUID(), randomUUID()];
      const account = { username, password, subdomain, fulldomain: `${subdomain}.auth.example.com` };
      accounts.push({ ...account, values: [] });
      return { status: 201, body: { ...account, allowfrom: [] } };
    }
    const { "x-api-user": user, "x-api-key": key } = request.headers;
    const account = accounts.find(({ username, password }) => username === user && password === key);
    if (request.url !== "/update" || account === undefined || account.subdomain !== body.subdomain)
      return { status: 401, body: { error: "forbidden" } };
    if (body.txt?.length !== 43) return { status: 400, body: { error: "bad_txt" } };
    account.values = [body.txt, ...account.values.filter((each) => each !== body.txt)].slice(0, 2);
    const name = `${account.fulldomain}.`;
    await knot.update(`del ${name} TXT`, ...account.values.map((value) => `add ${name} 1 TXT "${value}"`));
    return { status: 200, body: { txt: body.txt } };
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, accounts };
}

function respond(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
