import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { join } from "node:path";
import t, { type Test } from "tap";
import { appBody, newDirectory, startControl } from "../testing/control.ts";
import { newPair } from "../testing/tokens.ts";

const host = "api.preview.localhost";

async function withFile(t: Test, text: string) {
  const directory = newDirectory(t);
  const file = join(directory, "sandboxd.env");
  writeFileSync(file, text);
  const variables = { SANDBOXD_ENV_FILE: file, SANDBOXD_DATA_DIR: directory };
  const control = await startControl(t, variables, directory);
  const status = async (secret: string) =>
    (await control.callSocket("GET", "/v1/sandboxes", { headers: { host, authorization: `Bearer ${secret}` } })).status;
  const write = (next: string) => {
    writeFileSync(file, next);
    return control.plane.reload({ ...variables, SANDBOXD_API_TOKENS: "process:process-secret" });
  };
  return { control, status, write, variables };
}

t.test("a reload takes tokens, secrets and the redirect from the file, over the process's own", async (t) => {
  const { control, status, write } = await withFile(t, "SANDBOXD_API_TOKENS=a:old-secret\n");
  const watch = control.watch();
  await watch.next();
  t.equal(await status("old-secret"), 200);
  t.equal(
    await write(
      "SANDBOXD_API_TOKENS=a:new-secret\nSANDBOXED_PREVIEW_TOKEN_SECRETS=k=s\nSANDBOXD_AUTH_REDIRECT_URL=https://a.example/\n",
    ),
    true,
  );
  t.same([await status("old-secret"), await status("new-secret"), await status("process-secret")], [401, 200, 401]);
  t.match(control.plane, {});
  const later = control.watch("second");
  await later.next();
  t.match(later.access[0], { settings: { keys: [{ kid: "k" }], redirectUrl: "https://a.example/" } });
  t.match(watch.access.at(-1), { settings: { keys: [{ kid: "k" }] } }, "gateways hear of it");
  t.equal(await write("SANDBOXD_API_TOKENS=\n"), true);
  t.equal(await status("new-secret"), 401, "what the file empties is gone");
  t.equal(await write("# nothing\n"), true);
  t.equal(await status("process-secret"), 200, "what it does not name is the process's");
  const { items } = (await control.call("GET", "/v1/audit?action=settings.reload")).body;
  t.equal(items.length, 3);
  t.notMatch(JSON.stringify(items), /secret"|new-secret/);
});

t.test("a bad file changes nothing, whatever is good in it", async (t) => {
  const { control, status, write } = await withFile(t, "SANDBOXD_API_TOKENS=a:old-secret\n");
  for (const bad of [
    "SANDBOXD_API_TOKENS=a:new-secret\nthis is no assignment\n",
    "SANDBOXD_API_TOKENS=a:new-secret\nSANDBOXD_FORWARD_AUTH_DENY_MODE=never\n",
    "SANDBOXD_API_TOKENS=a:new-secret\nSANDBOXD_PREVIEW_JWKS_URL=http://keys.example/\n",
    "SANDBOXD_API_TOKENS=a:new-secret\nSANDBOXD_PREVIEW_JWKS_FILE=/no/such/file\n",
    "SANDBOXD_API_TOKENS=a:new-secret\nSANDBOXD_PREVIEW_TOKEN_SECRETS=k\n",
    "SANDBOXD_API_TOKENS=a:new-secret\nSANDBOXD_AUTH_REDIRECT_URL=javascript:alert(1)\n",
    "SANDBOXD_API_TOKENS=a:new-secret,a:twice\n",
  ]) {
    t.equal(await write(bad), false, bad);
    t.same([await status("old-secret"), await status("new-secret")], [200, 401], bad);
  }
  t.equal(await control.plane.reload({ SANDBOXD_ENV_FILE: "/no/such/file" }), false, "nor does one that is gone");
  t.equal(await status("old-secret"), 200);
  const { items } = (await control.call("GET", "/v1/audit?action=settings.reload&outcome=failed")).body;
  t.equal(items.length, 8);
});

t.test("a token that is gone, or is good for less, ends what it still reads", async (t) => {
  const tokens = "SANDBOXD_API_TOKENS=gone:gone-secret,less:less-secret,new:old-secret,kept:kept-secret\n";
  const { control, write } = await withFile(t, tokens);
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body;
  const follow = async (secret: string) => {
    const headers = { host, authorization: `Bearer ${secret}` };
    const path = `/v1/sandboxes/${id}/logs?follow=true`;
    const [answer] = await once(get({ socketPath: control.plane.socketPath, path, headers }), "response");
    answer.on("error", () => {}).resume();
    return answer as IncomingMessage;
  };
  const [kept, ...ended] = [await follow("kept-secret"), await follow("gone-secret"), await follow("less-secret")];
  ended.push(await follow("old-secret"));
  const closed = ended.map((answer) => new Promise((resolve) => answer.once("close", resolve)));
  await write("SANDBOXD_API_TOKENS=less:less-secret:read,new:new-secret,kept:kept-secret\n");
  await Promise.all(closed);
  t.notOk(kept.destroyed);
  kept.destroy();
});

t.test("of two reloads at once the later one stands, and each is whole", async (t) => {
  const { status, write, control } = await withFile(t, "SANDBOXD_API_TOKENS=a:old-secret\n");
  const file = join(newDirectory(t), "keys.json");
  writeFileSync(file, JSON.stringify({ keys: [newPair("of-the-first").jwk] }));
  const first = write(`SANDBOXD_API_TOKENS=a:first-secret\nSANDBOXD_PREVIEW_JWKS_FILE=${file}\n`);
  const second = write("SANDBOXD_API_TOKENS=a:second-secret\n");
  t.same(await Promise.all([first, second]), [true, true]);
  t.same([await status("first-secret"), await status("second-secret")], [401, 200]);
  const watch = control.watch();
  await watch.next();
  t.match(watch.access[0], { settings: { keys: [] } });
});
