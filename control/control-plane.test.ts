import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import t from "tap";
import { readConfig } from "./config.ts";
import { openControlPlane } from "./control-plane.ts";
import { appBody, newDirectory, startControl } from "./testing/control.ts";
import { silent } from "./testing/fixture.ts";

const absent = { SANDBOXD_ENGINE: "docker", SANDBOXD_DOCKER_SOCKET: "/no/such/docker.sock" };

t.test("openControlPlane() writes Traefik's files below the data directory", async (t) => {
  const { directory } = await startControl(t, { PREVIEW_DOMAIN: "example.com", GATEWAY_BIND: "127.0.0.1:8081" });
  const previews = readFileSync(join(directory, "traefik", "dynamic", "previews.yml"), "utf8");
  t.match(previews, /preview\.example\.com/);
  t.match(previews, /http:\/\/127\.0\.0\.1:8081/);
});

t.test("openControlPlane() comes up without its engine, and says that it is not ready", async (t) => {
  const control = await startControl(t, absent);
  t.match(await control.call("GET", "/healthz"), { status: 200 });
  const ready = await control.call("GET", "/readyz");
  t.match(ready, { status: 503, text: /not ready/ });
  t.ok(ready.headers["retry-after"]);
  const created = await control.call("POST", "/v1/sandboxes", { body: appBody });
  t.match(created, { status: 503, body: { error: { code: "engine_unavailable", retryable: true } } });
  t.ok(created.headers["retry-after"]);
});

t.test("openControlPlane() tells no gateway routes that it has not compared with the engine", async (t) => {
  const control = await startControl(t, absent);
  const watch = control.watch();
  await control.call("GET", "/healthz");
  t.same(watch.messages, []);
});

t.test("openControlPlane() lets go of everything when it cannot listen", async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  t.teardown(() => other.close());
  const { port } = other.address() as { port: number };
  const directory = newDirectory(t);
  const environment = {
    SANDBOXD_ENV_FILE: "/no/such/file",
    SANDBOXD_ENGINE: "process",
    SANDBOXD_DATA_DIR: directory,
    SANDBOXD_API_BIND: `127.0.0.1:${port}`,
  };
  await t.rejects(openControlPlane(readConfig(environment), silent), { name: "AddressTakenError" });
  t.notOk(existsSync(join(directory, "run", "control.sock")));
  const control = await startControl(t, {}, directory);
  t.match(await control.call("GET", "/readyz"), { status: 200 });
});

t.test("openControlPlane() goes on where the last one stopped, under a new epoch", async (t) => {
  const directory = newDirectory(t);
  const first = await startControl(t, {}, directory);
  const { id } = (await first.call("POST", "/v1/sandboxes", { body: appBody })).body;
  const watch = first.watch();
  await watch.next();
  const stopping = first.stop();
  const { generation } = await watch.until(id, ({ status }) => status === "draining");
  const nothingOpen = { openRequests: 0, openSockets: 0, keepsAwake: 0, lastActiveAt: 0 };
  await first.callSocket("POST", "/gateway/fences", { body: { worker: "w", id, generation, ...nothingOpen } });
  await watch.until(id, ({ status }) => status === "stopped");
  await stopping;
  const second = await startControl(t, {}, directory);
  const again = second.watch();
  const route = await again.until(id, () => true);
  t.match(route, { status: "stopped", endpoints: [] });
  const epochs = [watch, again].map(({ messages }) => messages[0]?.type === "snapshot" && messages[0].epoch);
  t.not(epochs[0], epochs[1]);
  t.match(await second.call("POST", `/v1/sandboxes/${id}/wake?wait=port`), { status: 200 });
});
