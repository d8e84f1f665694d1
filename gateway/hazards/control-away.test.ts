import { once } from "node:events";
import t from "tap";
import {
  addRoute,
  domain,
  eventually,
  exchangeBytes,
  newId,
  okApp,
  RawClient,
  routeTo,
  startGateway,
} from "./test-gateway.ts";
import { Load } from "./test-load.ts";

const get = (host: string, more = "") => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${more}\r\n`;

t.test("sandboxes that run are served as if nothing was when control goes and comes back", async (t) => {
  const test = await startGateway(t);
  const { control } = test;
  const route = routeTo(newId(), await okApp(t));
  const load = new Load(t, test.port, await addRoute(test, route));
  await load.more(200);
  for (const keepEpoch of [false, true]) {
    await control.stop();
    await load.more(500);
    const watched = once(control.called, "routes");
    await control.start({ keepEpoch });
    await watched;
    await load.more(200);
  }
  const reported = once(control.called, "activity");
  await reported;
  t.strictSame(load.failures, []);
  t.match(control.reports.at(-1)!.sandboxes[0], { id: route.id }, "what happened meanwhile is reported");
  const counted = () =>
    control.reports.flatMap(({ sandboxes }) => sandboxes).reduce((sum, { requests }) => sum + requests, 0);
  await load.end();
  await eventually(() => counted() >= load.answered, "every request is counted");
  t.pass("no count was lost");
});

t.test("what came to be while control could not be heard is not called unknown for that", async (t) => {
  const test = await startGateway(t);
  const { control } = test;
  await addRoute(test, routeTo(newId(), await okApp(t)));
  const comes = routeTo(newId(), await okApp(t));
  const host = `s-${comes.id.toLowerCase()}-3000.preview.${domain}`;
  await control.stop();
  await eventually(() => !test.gateway.table.inStep, "its silence is noticed");
  const early = new RawClient(test.port).send(get(host)).whole();
  control.publish(comes);
  await control.start();
  t.match(await early, /^HTTP\/1\.1 200 OK\r\n/);
  await control.stop();
  await eventually(() => !test.gateway.table.inStep, "its silence is noticed");
  const begun = Date.now();
  const unknown = host.replace(comes.id.toLowerCase(), newId().toLowerCase());
  t.match(await exchangeBytes(test.port, get(unknown)), /^HTTP\/1\.1 404 Not Found\r\n/);
  t.ok(Date.now() - begun < 5_000, "it is not waited for long");
  t.match(await exchangeBytes(test.port, get(host)), /^HTTP\/1\.1 200 OK\r\n/);
});

t.test("the routes are in step again by themselves when control is back", async (t) => {
  const test = await startGateway(t);
  const { control, gateway } = test;
  const stays = routeTo(newId(), await okApp(t));
  const goes = routeTo(newId(), await okApp(t));
  const host = await addRoute(test, stays);
  const gone = await addRoute(test, goes);
  const comes = routeTo(newId(), await okApp(t));
  for (const keepEpoch of [false, true]) {
    await control.stop();
    control.remove(goes.id);
    control.publish(comes);
    await control.start({ keepEpoch });
    await eventually(() => gateway.table.get(comes.id) !== undefined, "the table is in step");
    t.match(await exchangeBytes(test.port, get(host)), /^HTTP\/1\.1 200 OK\r\n/);
    t.match(await exchangeBytes(test.port, get(gone)), /^HTTP\/1\.1 404 Not Found\r\n/);
    t.equal(gateway.table.epoch, control.epoch);
    control.remove(comes.id);
    control.publish(goes);
    await eventually(() => gateway.table.get(goes.id) !== undefined, "the stream goes on");
  }
});

t.test("a wake that is needed while control is away is refused as such", async (t) => {
  const test = await startGateway(t, { holdNavigationMs: 20 });
  const host = await addRoute(test, routeTo(newId(), await okApp(t), { status: "stopped", endpoints: [] }));
  await test.control.stop();
  const page = await exchangeBytes(test.port, get(host, "Sec-Fetch-Mode: navigate\r\n"));
  t.match(page, /^HTTP\/1\.1 503 Service Unavailable\r\nRetry-After: \d+\r\n/);
  t.match(page, /X-Sandbox-Gateway: control_unavailable\r\n/);
  t.match(page, /Content-Type: text\/html/);
  const problem = await exchangeBytes(test.port, get(host));
  t.match(problem, /^HTTP\/1\.1 503 [\s\S]*Retry-After: \d+\r\n[\s\S]*X-Sandbox-Gateway: control_unavailable\r\n/);
  const quiet = await exchangeBytes(test.port, get(host, "User-Agent: Googlebot/2.1\r\n"));
  t.match(quiet, /X-Sandbox-Gateway: asleep\r\n/, "what may not wake does not need control");
});

t.test("a wake outlasts a control that comes back in time", async (t) => {
  const test = await startGateway(t);
  const { control } = test;
  const route = routeTo(newId(), await okApp(t));
  const host = await addRoute(test, { ...route, status: "stopped", endpoints: [] });
  control.wake = () => new Promise(() => {});
  const heard = once(control.called, "wake");
  const client = new RawClient(test.port).send(get(host));
  await heard;
  await control.stop();
  control.wake = () => ({ outcome: "ready", route: control.publish({ ...route, run: 2 }) });
  await control.start();
  t.match(await client.whole(), /^HTTP\/1\.1 200 OK\r\n/);
  t.equal(control.wakes.length, 2, "it was asked for again");
});

t.test("the API host is unavailable while control is, and back with it", async (t) => {
  const test = await startGateway(t);
  const { control } = test;
  const api = `api.preview.${domain}`;
  t.match(await exchangeBytes(test.port, get(api)), /^HTTP\/1\.1 200 OK\r\n[\s\S]*api$/);
  await control.stop();
  const text = await exchangeBytes(test.port, get(api));
  t.match(text, /^HTTP\/1\.1 503 Service Unavailable\r\n[\s\S]*Retry-After: \d+\r\n/);
  t.match(text, /X-Sandbox-Gateway: control_unavailable\r\n/);
  const post = `POST /v1/sandboxes HTTP/1.1\r\nHost: ${api}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`;
  t.match(await exchangeBytes(test.port, post), /^HTTP\/1\.1 503 [\s\S]*X-Sandbox-Gateway: control_unavailable\r\n/);
  await control.start();
  t.match(await exchangeBytes(test.port, post), /^HTTP\/1\.1 200 OK\r\n[\s\S]*api$/);
});

t.test("control gets a call of the API host under its own name, with who sent it", async (t) => {
  const test = await startGateway(t);
  let seen: Record<string, unknown> = {};
  test.control.api = (request, response) => {
    seen = { ...request.headers, url: request.url };
    response.writeHead(201, { Location: "/v1/sandboxes/x", "X-Sandbox-Gateway": "fake" }).end();
  };
  const api = `API.preview.${domain}:8443`;
  const head = `POST /v1/sandboxes?a=b HTTP/1.1\r\nHost: ${api}\r\nAuthorization: Bearer x\r\nContent-Length: 2\r\n`;
  const text = await exchangeBytes(test.port, `${head}Connection: close\r\n\r\n{}`);
  t.match(text, /^HTTP\/1\.1 201 Created\r\nLocation: \/v1\/sandboxes\/x\r\n/);
  t.notMatch(text, /X-Sandbox-Gateway/);
  t.match(seen, { host: api, authorization: "Bearer x", url: "/v1/sandboxes?a=b", "x-forwarded-for": "127.0.0.1" });
});

t.test("an upgrade at the API host is control's to answer, and 503 while it is away", async (t) => {
  const upgrade = `GET / HTTP/1.1\r\nHost: api.preview.${domain}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  const test = await startGateway(t);
  t.match(await exchangeBytes(test.port, upgrade), /^HTTP\/1\.1 \d+ /);
  t.ok(test.control.calls.includes("api"));
  const alone = await startGateway(t, {}, { controlIsUp: false });
  const refused = await exchangeBytes(alone.port, upgrade);
  t.match(refused, /^HTTP\/1\.1 503 [\s\S]*X-Sandbox-Gateway: control_unavailable\r\n/);
});

t.test("a gateway that starts without control holds what comes until control's first word", async (t) => {
  const test = await startGateway(t, {}, { controlIsUp: false });
  const route = routeTo(newId(), await okApp(t));
  test.control.publish(route);
  const host = `s-${route.id.toLowerCase()}-3000.preview.${domain}`;
  const clients = [new RawClient(test.port).send(get(host)), new RawClient(test.port).send(get(host))];
  await test.control.start();
  for (const client of clients) t.match(await client.whole(), /^HTTP\/1\.1 200 OK\r\n/);
});

t.test("a gateway that never heard of control says so, not that a sandbox is unknown", async (t) => {
  const test = await startGateway(t, {}, { controlIsUp: false });
  const text = await exchangeBytes(test.port, get(`s-${newId().toLowerCase()}-3000.preview.${domain}`));
  t.match(text, /^HTTP\/1\.1 503 [\s\S]*Retry-After: \d+\r\n[\s\S]*X-Sandbox-Gateway: control_unavailable\r\n/);
});
