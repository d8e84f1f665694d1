import t from "tap";
import type { RequestClass } from "#contract/gateway-api.ts";
import { ActivityLedger } from "./activity.ts";
import type { ExchangeActivity } from "./exchange.ts";
import { newId } from "./hazards/test-gateway.ts";
import { exchangeOf, sandboxId } from "./hazards/test-request.ts";

const idleMs = 1_000;
const begin = 1_000_000;

/** A ledger whose clock stands still until `pass` moves it. */
class Clocked {
  now = begin;
  readonly ledger = new ActivityLedger("w", idleMs, () => this.now);

  pass(milliseconds: number): void {
    this.now += milliseconds;
  }

  open(kind: RequestClass, { extend = true, socket = false, forwarded = true, id = sandboxId } = {}): ExchangeActivity {
    const exchange = exchangeOf(
      {},
      { id },
      { class: kind, ...(socket && { upgrade: { socket: undefined as never, bytes: Buffer.alloc(0), release() {} } }) },
    );
    exchange.target = { ...exchange.target!, id };
    const activity = this.ledger.open(exchange, extend);
    activity.forwarded = forwarded;
    return activity;
  }

  close(activity: ExchangeActivity): void {
    this.ledger.close(sandboxId, activity);
  }

  /** Data flows now. */
  data(activity: ExchangeActivity, bytesIn = 0, bytesOut = 0): void {
    activity.bytesIn += bytesIn;
    activity.bytesOut += bytesOut;
    activity.lastDataAt = this.now;
  }

  reported() {
    return this.ledger.report().sandboxes[0];
  }
}

t.test("ActivityLedger.report() tells what happened since the last one", async (t) => {
  const clocked = new Clocked();
  const request = clocked.open("navigation");
  clocked.data(request, 3, 5);
  t.strictSame(clocked.reported(), {
    id: sandboxId,
    lastActiveAt: begin,
    lastNavigationAt: begin,
    lastClass: "navigation",
    openRequests: 1,
    openSockets: 0,
    requests: 1,
    bytesIn: 3,
    bytesOut: 5,
  });
  clocked.pass(10);
  clocked.data(request, 0, 7);
  clocked.close(request);
  t.match(clocked.reported(), { lastActiveAt: begin + 10, openRequests: 0, requests: 0, bytesIn: 0, bytesOut: 7 });
  t.equal(clocked.reported(), undefined, "nothing more happened");
});

t.test("ActivityLedger.report() goes on telling of what is open", async (t) => {
  const clocked = new Clocked();
  clocked.open("api");
  clocked.reported();
  t.match(clocked.reported(), { openRequests: 1, requests: 0 });
});

t.test("ActivityLedger.report() numbers its reports under the worker's name", async (t) => {
  const { ledger } = new Clocked();
  t.match(
    [ledger.report(), ledger.report(), ledger.report()],
    [
      { worker: "w", sequence: 1 },
      { worker: "w", sequence: 2 },
      { worker: "w", sequence: 3 },
    ],
  );
});

t.test("ActivityLedger.report() keeps sandboxes apart", async (t) => {
  const clocked = new Clocked();
  const other = newId();
  clocked.open("api");
  clocked.open("api", { id: other });
  clocked.open("api", { id: other });
  const { sandboxes } = clocked.ledger.report();
  t.strictSame(Object.fromEntries(sandboxes.map(({ id, requests }) => [id, requests])), { [sandboxId]: 1, [other]: 2 });
});

t.test("ActivityLedger counts what does not extend, and lets it keep nothing awake", async (t) => {
  const clocked = new Clocked();
  const monitor = clocked.open("monitor", { extend: false });
  const reload = clocked.open("hmr-socket", { extend: false, socket: true });
  clocked.pass(10);
  clocked.data(reload, 5);
  t.match(clocked.reported(), { lastActiveAt: 0, openRequests: 0, openSockets: 0, requests: 2, bytesIn: 5 });
  clocked.close(monitor);
  clocked.close(reload);
  t.match(clocked.reported(), { lastActiveAt: 0 });
});

t.test("ActivityLedger knows the last navigation, even one that does not extend", async (t) => {
  const clocked = new Clocked();
  clocked.open("navigation", { extend: false });
  clocked.pass(10);
  clocked.open("api");
  t.match(clocked.reported(), { lastNavigationAt: begin, lastActiveAt: begin + 10, lastClass: "api" });
});

t.test("ActivityLedger takes the end of a request for activity, and of a socket only its data", async (t) => {
  const clocked = new Clocked();
  const request = clocked.open("api");
  clocked.pass(100);
  clocked.close(request);
  t.match(clocked.reported(), { lastActiveAt: begin + 100 });
  const socket = clocked.open("socket", { socket: true });
  clocked.pass(100);
  clocked.data(socket, 1);
  clocked.pass(100);
  clocked.close(socket);
  t.match(clocked.reported(), { lastActiveAt: begin + 200, openSockets: 0 });
});

t.test("ActivityLedger lets a stream keep a sandbox awake for as long as data flows", async (t) => {
  for (const socket of [false, true]) {
    const clocked = new Clocked();
    const stream = clocked.open(socket ? "socket" : "api", { socket });
    const open = () => {
      const { openRequests, openSockets } = clocked.reported()!;
      return openRequests + openSockets;
    };
    clocked.pass(idleMs);
    t.equal(open(), 1, "as long as that it may be silent");
    clocked.pass(1);
    t.equal(open(), 0, "and no longer");
    clocked.data(stream, 1);
    t.equal(open(), 1, "until data flows again");
    t.match(clocked.reported(), { lastActiveAt: clocked.now });
    clocked.pass(idleMs + 1);
    t.match(clocked.reported(), { lastActiveAt: clocked.now - idleMs - 1 }, "its last data is what counts");
  }
});

t.test("ActivityLedger.openCounts() tells what is on its way to the app, whatever its class", async (t) => {
  const clocked = new Clocked();
  clocked.open("api");
  clocked.open("monitor", { extend: false });
  clocked.open("socket", { socket: true });
  clocked.open("hmr-socket", { socket: true, extend: false });
  clocked.open("api", { forwarded: false });
  t.strictSame(clocked.ledger.openCounts(sandboxId), {
    openRequests: 2,
    openSockets: 2,
    keepsAwake: 3,
    lastActiveAt: begin,
  });
  t.strictSame(clocked.ledger.openCounts(newId()), { openRequests: 0, openSockets: 0, keepsAwake: 0, lastActiveAt: 0 });
});

t.test("ActivityLedger.openCounts() waits for what is silent, which keeps nothing awake", async (t) => {
  const clocked = new Clocked();
  const request = clocked.open("api");
  clocked.open("socket", { socket: true });
  clocked.pass(idleMs + 1);
  t.match(clocked.ledger.openCounts(sandboxId), {
    openRequests: 1,
    openSockets: 1,
    keepsAwake: 0,
    lastActiveAt: begin,
  });
  clocked.data(request, 1);
  t.match(clocked.ledger.openCounts(sandboxId), {
    openRequests: 1,
    openSockets: 1,
    keepsAwake: 1,
    lastActiveAt: clocked.now,
  });
});

t.test("ActivityLedger.openOf() counts held ones as well", async (t) => {
  const clocked = new Clocked();
  const request = clocked.open("api", { forwarded: false });
  const socket = clocked.open("socket", { socket: true });
  t.strictSame(clocked.ledger.openOf(sandboxId), { requests: 1, sockets: 1 });
  clocked.close(request);
  clocked.close(socket);
  clocked.close(socket);
  t.strictSame(clocked.ledger.openOf(sandboxId), { requests: 0, sockets: 0 });
  t.strictSame(clocked.ledger.openOf(newId()), { requests: 0, sockets: 0 });
});

t.test("ActivityLedger.restore() lets a lost report go with the next one", async (t) => {
  const clocked = new Clocked();
  const request = clocked.open("navigation");
  clocked.data(request, 3, 5);
  const lost = clocked.ledger.report();
  clocked.pass(10);
  clocked.data(request, 1, 1);
  clocked.close(request);
  clocked.open("api", { forwarded: false });
  clocked.ledger.restore(lost);
  const { sequence, sandboxes } = clocked.ledger.report();
  t.equal(sequence, lost.sequence + 1);
  t.match(sandboxes, [
    {
      lastActiveAt: begin + 10,
      lastNavigationAt: begin,
      lastClass: "api",
      requests: 2,
      bytesIn: 4,
      bytesOut: 6,
      openRequests: 1,
    },
  ]);
});

t.test("ActivityLedger.restore() brings back a sandbox that is quiet since, and never an older time", async (t) => {
  const clocked = new Clocked();
  clocked.close(clocked.open("navigation"));
  const lost = clocked.ledger.report();
  t.equal(clocked.reported(), undefined);
  clocked.ledger.restore(lost);
  t.match(clocked.reported(), { lastActiveAt: begin, lastNavigationAt: begin, lastClass: "navigation", requests: 1 });
  clocked.pass(10);
  clocked.close(clocked.open("navigation"));
  clocked.ledger.restore(lost);
  t.match(clocked.reported(), { lastActiveAt: begin + 10, lastNavigationAt: begin + 10, requests: 2 });
});

t.test("ActivityLedger.idleSince() finds what carried no data, past every hold", async (t) => {
  const clocked = new Clocked();
  const request = clocked.open("api");
  const socket = clocked.open("socket", { socket: true });
  clocked.open("api", { forwarded: false });
  const lively = clocked.open("socket", { socket: true });
  clocked.pass(100);
  clocked.data(lively, 1);
  t.strictSame([...clocked.ledger.idleSince(begin + 1, false)], [request]);
  t.strictSame([...clocked.ledger.idleSince(begin + 1, true)], [socket]);
  t.strictSame([...clocked.ledger.idleSince(begin, true)], []);
});

t.test("ActivityLedger.openExchanges() gives what is open, of one sandbox or of all", async (t) => {
  const clocked = new Clocked();
  const other = newId();
  const first = clocked.open("api");
  const second = clocked.open("socket", { socket: true, id: other });
  t.strictSame([...clocked.ledger.openExchanges(sandboxId)], [first.exchange]);
  t.strictSame([...clocked.ledger.openExchanges()], [first.exchange, second.exchange]);
  t.strictSame([...clocked.ledger.openExchanges(newId())], []);
});
