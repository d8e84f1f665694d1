import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { request } from "undici";
import { eventually, startTraefik } from "../control/certificates/testing/traefik.ts";
import { appBody, startControl } from "../control/testing/control.ts";
import { claimsFor, hmacToken } from "../control/testing/tokens.ts";
import { missingPart } from "./parts/parts.ts";

const skip = missingPart("traefik");
const navigation = { accept: "text/html", "sec-fetch-mode": "navigate" };

/** Somebody's own Traefik before somebody's own app, which asks control by its forwardAuth middleware. */
async function startAround(t: Test) {
  const control = await startControl(t, {
    PREVIEW_DOMAIN: "example.com",
    SANDBOXD_PREVIEW_TOKEN_SECRETS: "main=integrator-secret",
    SANDBOXD_AUTH_REDIRECT_URL: "https://app.example/login?to={return}",
  });
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: { ...appBody, visibility: "private" } })).body;
  const seen: (string | undefined)[] = [];
  const app = createServer((asked, answer) => {
    seen.push(asked.headers["x-sandbox-external-user-id"] as string | undefined);
    answer.end(`app ${asked.url}`);
  }).listen(0, "127.0.0.1");
  await once(app, "listening");
  t.teardown(() => void app.close());
  const root = t.testdir({});
  const dynamic = join(root, "dynamic");
  await mkdir(dynamic);
  const address = `http://${control.plane.address}/forward-auth`;
  const configuration = {
    http: {
      routers: { app: { rule: "HostRegexp(`.+`)", entryPoints: ["web"], service: "app", middlewares: ["auth"] } },
      middlewares: { auth: { forwardAuth: { address, authResponseHeaders: ["X-Sandbox-External-User-Id"] } } },
      services: {
        app: { loadBalancer: { servers: [{ url: `http://127.0.0.1:${(app.address() as AddressInfo).port}` }] } },
      },
    },
  };
  await writeFile(join(dynamic, "own.yml"), JSON.stringify(configuration));
  const { web } = await startTraefik(t, root, dynamic);
  const host = `s-${id.toLowerCase()}-3000.preview.example.com`;
  const ask = async (path: string, headers: Record<string, string> = {}, method: "GET" | "POST" = "GET") => {
    const answer = await request(`http://127.0.0.1:${web}${path}`, { method, headers: { host, ...headers } });
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  };
  await eventually(async () => (await ask("/")).status !== 404);
  return { control, id: id as string, host, seen, ask };
}

t.test("/forward-auth keeps the contract of Traefik's forwardAuth middleware", { skip }, async (t) => {
  const { id, host, seen, ask, control } = await startAround(t);
  const token = hmacToken("main", "integrator-secret", claimsFor(id));
  t.equal((await ask("/a")).status, 401);
  t.match(JSON.parse((await ask("/a")).text), { code: "unauthorized", reason: "no_token" });
  const away = await ask("/a?b", navigation);
  t.equal(away.status, 302);
  t.equal(away.headers.location, `https://app.example/login?to=${encodeURIComponent(`http://${host}/a?b`)}`);
  t.same(seen, [], "nothing reaches the app");

  t.match(await ask("/a", { authorization: `Bearer ${token}`, "x-sandbox-external-user-id": "admin" }), {
    status: 200,
    text: "app /a",
  });
  t.same(seen, ["ada"], "with the visitor's identity, and no other");

  const redeemed = await ask(`/a?x=1&preview_token=${token}`, navigation);
  t.match(redeemed, { status: 303, headers: { location: `http://${host}/a?x=1` } });
  const cookie = String(redeemed.headers["set-cookie"]).split(";", 1)[0]!;
  t.equal((await ask("/a", { cookie })).status, 200);

  const { url } = (await control.call("POST", `/v1/sandboxes/${id}/shares`, { body: { max_uses: 1 } })).body;
  const link = `/b${new URL(url).search}`;
  const page = await ask(link, navigation);
  t.equal(page.status, 401);
  t.match(page.text, '<form method="post">', "a link of limited use has a button here too");
  const form = { ...navigation, "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin" };
  t.match(await ask(link, form, "POST"), { status: 303, headers: { location: `http://${host}/b` } });
  t.equal((await ask(link, form, "POST")).status, 401, "which opens it once");
  t.same(seen.length, 2);

  await control.call("POST", "/v1/revocations", { body: { sandbox_id: id } });
  t.equal((await ask("/a", { cookie })).status, 401);
});
