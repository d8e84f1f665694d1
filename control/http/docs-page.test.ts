import t from "tap";
import { startControl } from "../testing/control.ts";

t.test("serveDocs() shows the API's description, with nothing of anybody else's", async (t) => {
  const control = await startControl(t);
  const page = await control.call("GET", "/docs");
  t.equal(page.status, 200);
  t.match(page.headers["content-type"], /^text\/html/);
  t.match(page.headers["content-security-policy"], "frame-ancestors 'none'");
  const assets = Array.from(page.text.matchAll(/(?:src|href)="([^"]+)"/g), ([, url]) => url!);
  t.ok(assets.length > 3);
  for (const url of assets) {
    const { origin, pathname } = new URL(url, `http://${control.plane.address}/docs`);
    t.equal(origin, `http://${control.plane.address}`, url);
    t.equal((await control.call("GET", pathname)).status, 200, url);
  }
  t.same((await control.call("GET", "/docs/json")).body, (await control.call("GET", "/openapi.json")).body);
});

t.test("serveDocs() is part of the API: at the edge it needs a token", async (t) => {
  const control = await startControl(t, { SANDBOXD_API_TOKENS: "ada:s3cret" });
  const edge = { "x-forwarded-for": "192.0.2.1" };
  t.match(await control.call("GET", "/docs", { headers: edge }), { status: 401 });
  const known = { ...edge, authorization: "Bearer s3cret" };
  t.match(await control.call("GET", "/docs", { headers: known }), { status: 200 });
});
