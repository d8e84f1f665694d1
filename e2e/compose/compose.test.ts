/** The whole of it as an operator starts it: docker compose, with real containers for all parts. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { ask } from "../../control/certificates/testing/client.ts";
import { startBrowser } from "../browser.ts";
import { mainLoop } from "../main-loop.ts";
import { missingPart } from "../parts/parts.ts";
import { ComposeStack } from "./stack.ts";

// Images are built first, and packages are fetched for them.
t.setTimeout(600_000);

type Sandbox = { readonly id: string; readonly status: string; readonly previews: readonly { readonly url: string }[] };

t.test("docker compose up", { skip: missingPart("docker", "images", "compose", "root") }, async (t) => {
  const stack = await ComposeStack.prepare(t);
  await stack.compose(["up", "--detach", "--build", "--wait"]);
  const { ports } = stack;
  const ca = await stack.ca();
  const api = { port: ports.https, host: `api.preview.localhost:${ports.https}`, ca };
  let sandbox: Sandbox;
  let preview: { port: number; host: string; ca: string };

  await t.test("brings up four services that are well", async (t) => {
    const rows = (await stack.compose(["ps", "--format", "json"])).trim().split("\n");
    const states = rows.map((row) => JSON.parse(row)).map(({ Service, Health }) => `${Service} ${Health}`);
    t.strictSame(states.sort(), ["control healthy", "gateway healthy", "gateway-2 healthy", "traefik healthy"]);
    t.equal(await (await stack.api("/healthz")).text(), "ok");
    t.equal(await (await stack.api("/readyz")).text(), "ready");
  });

  await t.test("creates a sandbox on loopback and shows its preview over TLS", async (t) => {
    const created = await stack.api("/sandbox", { method: "POST", body: '{"ports":[3000]}' });
    t.equal(created.status, 201);
    sandbox = (await created.json()) as Sandbox;
    const { host, port } = new URL(sandbox.previews[0]!.url);
    t.equal(Number(port), ports.https);
    preview = { port: ports.https, host, ca };
    const answer = await ask(preview);
    t.equal(answer.status, 200);
    t.match(answer.headers["content-type"], /^text\/html/);
    t.equal(answer.headers["x-sandbox-gateway"], undefined);
    t.match(await (await stack.api("/v1/egress")).json(), { mode: "enforce", installed: true, problem: null });
  });

  await t.test("sends plain requests to the same preview over TLS", async (t) => {
    const answer = await ask({ port: ports.http, host: preview.host.replace(/:.*/, `:${ports.http}`), path: "/a" });
    t.equal(answer.headers.location, `${sandbox.previews[0]!.url}a`);
  });

  await t.test("asks callers at the edge for their token, and hides the metrics", async (t) => {
    const refused = await ask({ ...api, path: "/v1/sandboxes" });
    t.strictSame([refused.status, refused.body], [401, '{"error":"unauthorized"}']);
    const headers = { authorization: `Bearer ${stack.token}` };
    t.equal((await ask({ ...api, path: `/v1/sandboxes/${sandbox.id}`, headers })).status, 200);
    t.equal((await ask({ ...api, path: "/metrics", headers })).status, 404);
  });

  await t.test("wakes a sandbox for the page that is asked for", async (t) => {
    const stopped = await stack.api(`/v1/sandboxes/${sandbox.id}/stop`, { method: "POST", body: "{}" });
    t.equal(((await stopped.json()) as Sandbox).status, "stopped");
    t.equal((await ask(preview)).status, 200);
  });

  await t.test("carries a visitor through the main loop", { skip: missingPart("chromium") }, async (t) => {
    const { directory } = stack;
    const caFile = join(directory, "data", "certificates", "ca.pem");
    const users = { directory, domain: "localhost", api: `127.0.0.1:${ports.api}`, httpsPort: ports.https, caFile };
    await mainLoop(t, users, await startBrowser(t, { ...users, port: ports.https }), "compose");
  });

  await t.test("keeps sandboxes away from control, the gateway and Traefik's own entry point", async (t) => {
    const gateway = await stack.docker(
      "network",
      "inspect",
      "--format",
      "{{(index .IPAM.Config 0).Gateway}}",
      stack.name,
    );
    const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    const ours = addresses.filter(({ family }) => family === "IPv4").map(({ address }) => address);
    const targets = [...new Set([...gateway, ...ours])].flatMap((address) =>
      [ports.api, ports.gateway, ports.gateway2, ports.internal].map((port) => `${address}:${port}`),
    );
    const script = `
      const { connect } = require("node:net");
      for (const target of process.argv.slice(1)) {
        const [host, port] = target.split(":");
        connect({ host, port, timeout: 2000 }, () => { console.log(target); process.exit(); })
          .on("error", () => {}).on("timeout", function () { this.destroy(); });
      }`;
    const container = `s-${sandbox.id.toLowerCase()}`;
    t.ok(targets.length > 3);
    t.strictSame(await stack.docker("exec", container, "node", "-e", script, ...targets), []);
    const find = "find / -xdev -type s 2>/dev/null; true";
    const sockets = await stack.docker("exec", container, "sh", "-c", find);
    t.strictSame(sockets, []);
  });

  await t.test("serves running sandboxes while control is down", async (t) => {
    await stack.compose(["stop", "control"]);
    t.equal((await ask(preview)).status, 200);
    t.equal((await ask({ ...api, path: "/healthz" })).status, 503);
    await stack.compose(["up", "--detach", "--wait", "control"]);
    t.equal((await ask(preview)).status, 200);
  });

  await t.test("starts Traefik anew when its static file follows another environment", async (t) => {
    const id = () => stack.compose(["ps", "--quiet", "traefik"]);
    const before = await id();
    await stack.compose(["up", "--detach", "--wait"], { TRUSTED_PROXIES: "192.0.2.7" });
    t.not(await id(), before);
    t.match(await readFile(join(stack.directory, "data", "traefik", "traefik.yml"), "utf8"), "- 192.0.2.7");
    t.equal((await ask(preview)).status, 200);
  });

  await t.test("is trusted by curl, which knows the authority alone", async (t) => {
    const { host, port } = new URL(sandbox.previews[0]!.url);
    const name = host.replace(/:.*/, "");
    const trust = ["--cacert", join(stack.directory, "data", "certificates", "ca.pem")];
    const resolve = ["--resolve", `${name}:${port}:127.0.0.1`];
    const curl = promisify(execFile)("curl", ["--silent", "--fail", ...trust, ...resolve, `https://${host}/`]);
    t.match((await curl).stdout, "<!doctype html>");
  });

  await t.test("takes everything down but the sandboxes", async (t) => {
    const runs = () => stack.docker("ps", "--quiet", "--filter", `name=s-${sandbox.id.toLowerCase()}`);
    await stack.compose(["up", "--detach", "--remove-orphans"]);
    t.equal((await runs()).length, 1);
    await stack.compose(["down", "--remove-orphans", "--timeout", "20"]);
    t.equal((await runs()).length, 1);
    t.equal(await stack.compose(["ps", "--all", "--quiet"]), "");
  });
});
