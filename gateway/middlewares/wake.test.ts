import { once } from "node:events";
import { pino } from "pino";
import t, { type Test } from "tap";
import type { Route } from "#contract/gateway-api.ts";
import type { Exchange } from "../exchange.ts";
import { startControl } from "../hazards/test-control.ts";
import { routeTo, startApp } from "../hazards/test-gateway.ts";
import { exchangeOf, sandboxId } from "../hazards/test-request.ts";
import { openPages } from "../pages/pages.ts";
import { Refuser } from "../refuse.ts";
import { mayWake } from "../request-class.ts";
import { RoutingTable } from "../routing-table.ts";
import { Wakes } from "../wakes.ts";
import { wake } from "./wake.ts";

/** The middleware before a handler that notes what it is given. */
async function open(t: Test) {
  const { control, client } = await startControl(t);
  control.wake = () => new Promise(() => {});
  const port = await startApp(t, () => {});
  const table = new RoutingTable();
  const wakes = new Wakes({ table, control: client, connectTimeoutMs: 1_000, logger: pino({ level: "silent" }) });
  const pages = openPages();
  const withdrawn: string[] = [];
  const forwarded: Exchange[] = [];
  const handler = wake({
    ...{ table, wakes, pages, mayWake, refuser: new Refuser(pages) },
    ...{ holdNavigationMs: 10_000, holdSeconds: 10, holdPerSandbox: 10, holdTotal: 10 },
    onWithdrawn: (id) => withdrawn.push(id),
  })((exchange) => forwarded.push(exchange));
  let generation = 0;
  const become = (status: Route["status"]) => {
    generation++;
    const route = routeTo(sandboxId, port, { status, generation });
    table.apply({ type: "change", revision: generation, route });
  };
  const begin = () => {
    const exchange = exchangeOf({});
    t.teardown(() => exchange.response.emit("close"));
    handler(exchange);
    return exchange;
  };
  return { control, wakes, become, begin, forwarded, withdrawn };
}

t.test("wake() forwards at once what can be reached, with the route as it is now", async (t) => {
  const { wakes, become, begin, forwarded } = await open(t);
  become("running");
  const wait = wakes.join(sandboxId, 3000, "api");
  await wait.outcome;
  wait.leave();
  become("running");
  const exchange = begin();
  t.strictSame(forwarded, [exchange]);
  t.equal(exchange.target!.route.generation, 2);
});

t.test("wake() forwards nothing behind a fence that fell as the port answered", async (t) => {
  const { control, wakes, become, begin, forwarded } = await open(t);
  become("running");
  const wait = wakes.join(sandboxId, 3000, "api");
  // Ahead of everybody who waits for the same outcome.
  const fallen = wait.outcome.then(() => become("draining"));
  begin();
  const woken = once(control.called, "wake");
  await fallen;
  await woken;
  t.strictSame(forwarded, [], "it is held on");
  wait.leave();
});

t.test("wake() holds a request again whose dial was refused, and says so", async (t) => {
  const { wakes, become, begin, forwarded, withdrawn } = await open(t);
  become("running");
  const wait = wakes.join(sandboxId, 3000, "api");
  await wait.outcome;
  const exchange = begin();
  exchange.activity = { ...exchange.activity!, forwarded: true };
  t.equal(forwarded.length, 1);
  become("draining");
  exchange.redial!(exchange);
  t.equal(exchange.activity.forwarded, false, "a fence does not wait for it");
  t.strictSame(withdrawn, [sandboxId]);
  t.equal(forwarded.length, 1);
  wait.leave();
});

t.test("wake() finds the port again after a refused dial", async (t) => {
  const { wakes, become, begin, forwarded } = await open(t);
  become("running");
  const wait = wakes.join(sandboxId, 3000, "api");
  await wait.outcome;
  wait.leave();
  const exchange = begin();
  exchange.redial!(exchange);
  t.equal(forwarded.length, 1, "not before it was dialled");
  const again = wakes.join(sandboxId, 3000, "api");
  await again.outcome;
  again.leave();
  while (forwarded.length < 2) await new Promise(setImmediate);
  t.strictSame(forwarded, [exchange, exchange]);
});
