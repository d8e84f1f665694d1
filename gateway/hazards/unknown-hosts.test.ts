import t from "tap";
import { addRoute, answering, domain, exchangeBytes, newId, routeTo, startApp, startGateway } from "./test-gateway.ts";

const get = (host: string, more = "") => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${more}\r\n`;
const upgrade = (host: string) =>
  `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`;

t.test("what no sandbox answers to is refused from memory, and control never hears of it", async (t) => {
  const test = await startGateway(t);
  const app = await startApp(
    t,
    answering(() => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
  );
  const running = await addRoute(test, routeTo(newId(), app));
  const asleep = await addRoute(test, routeTo(newId(), 1, { status: "stopped", endpoints: [] }));
  const label = running.slice(0, running.indexOf("."));
  const refused: Record<string, readonly [number, string]> = {
    [`s-${newId().toLowerCase()}-3000.preview.${domain}`]: [404, "not_found"],
    [running.replace("-3000.", "-3001.")]: [404, "not_found"],
    [asleep.replace("-3000.", "-3001.")]: [404, "not_found"],
    [running.replace("-3000.", "-03000.")]: [404, "not_found"],
    [running.replace("-3000.", "-0.")]: [404, "not_found"],
    [running.replace("-3000.", "-65536.")]: [404, "not_found"],
    [running.replace("-3000.", ".")]: [404, "not_found"],
    [`www.${running}`]: [404, "not_found"],
    [`x${running}`]: [404, "not_found"],
    [`s-${"8".repeat(26)}-3000.preview.${domain}`]: [404, "not_found"],
    [`www.preview.${domain}`]: [404, "not_found"],
    [`preview.${domain}`]: [421, "misdirected"],
    [domain]: [421, "misdirected"],
    "127.0.0.1": [421, "misdirected"],
    "[::1]:8080": [421, "misdirected"],
    [`${label}.preview.elsewhere.example`]: [421, "misdirected"],
    [`${label}.preview.${domain}.evil.example`]: [421, "misdirected"],
    [`${running}.`]: [400, "bad_request"],
    [`${running}:65536`]: [400, "bad_request"],
    "a b": [400, "bad_request"],
  };
  for (const [host, [status, code]] of Object.entries(refused)) {
    for (const bytes of [get(host), get(host, "Sec-Fetch-Mode: navigate\r\n"), upgrade(host)]) {
      const text = await exchangeBytes(test.port, bytes);
      t.match(text, new RegExp(`^HTTP/1\\.1 ${status} `), host);
      t.match(text, `X-Sandbox-Gateway: ${code}\r\n`);
      t.notMatch(text, /X-Sandbox-State/, "nothing is known of it");
    }
  }
  t.strictSame(
    test.control.calls.filter((call) => call !== "routes" && call !== "activity"),
    [],
  );
  t.strictSame(
    test.control.reports.flatMap(({ sandboxes }) => sandboxes),
    [],
    "none of it is activity",
  );
});

t.test("a host is known in any case and with any port", async (t) => {
  const test = await startGateway(t);
  const app = await startApp(
    t,
    answering(() => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  for (const spelt of [host.toUpperCase(), `${host}:80`, `${host}:8443`]) {
    t.match(await exchangeBytes(test.port, get(spelt)), /^HTTP\/1\.1 200 OK\r\n/, spelt);
  }
});

t.test("a sandbox that was removed is unknown at once", async (t) => {
  const test = await startGateway(t);
  const route = routeTo(newId(), 1, { status: "stopped", endpoints: [] });
  const host = await addRoute(test, route);
  const removed = new Promise((resolve) => test.gateway.table.once("route", resolve));
  test.control.remove(route.id);
  await removed;
  t.match(await exchangeBytes(test.port, get(host)), /^HTTP\/1\.1 404 Not Found\r\n/);
  t.equal(test.control.wakes.length, 0);
});
