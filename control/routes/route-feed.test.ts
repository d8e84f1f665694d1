import t from "tap";
import { decodeRouteMessage, type Route, type RouteMessage } from "#contract/gateway-api.ts";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { newSandbox } from "../sandboxes/sandbox.ts";
import { policy } from "../testing/fixture.ts";
import { type FeedPosition, RouteFeed } from "./route-feed.ts";
import { toRoute } from "./to-route.ts";

function route(generation = 1, id = newSandboxId()): Route {
  return toRoute({ ...newSandbox(id, policy, 0), generation }, [], { classes: {} });
}

function watch(feed: RouteFeed, position?: FeedPosition) {
  const messages: RouteMessage[] = [];
  const unsubscribe = feed.subscribe((line) => {
    t.ok(line.endsWith("\n"));
    messages.push(decodeRouteMessage(line));
  }, position);
  return { messages, unsubscribe };
}

t.test("subscribe() begins with a snapshot and goes on with each change", async (t) => {
  const feed = new RouteFeed("e");
  const first = route();
  feed.publish(first);
  const { messages, unsubscribe } = watch(feed);
  const second = route();
  feed.publish(second);
  feed.remove(first.id);
  feed.remove(first.id);
  unsubscribe();
  feed.publish(route());
  t.same(messages, [
    { type: "snapshot", epoch: "e", revision: 1, routes: [first] },
    { type: "change", revision: 2, route: second },
    { type: "removal", revision: 3, id: first.id },
  ]);
});

t.test("subscribe() goes on after a known revision without a gap", async (t) => {
  const feed = new RouteFeed("e");
  for (let n = 1; n <= 5; n++) feed.publish(route(n));
  const { messages } = watch(feed, { epoch: "e", since: 3 });
  t.same(
    messages.map((message) => [message.type, "revision" in message && message.revision]),
    [
      ["change", 4],
      ["change", 5],
    ],
  );
});

t.test("subscribe() tells a watcher that is up to date so at once", async (t) => {
  const feed = new RouteFeed("e");
  feed.publish(route());
  t.same(watch(feed, { epoch: "e", since: 1 }).messages, [{ type: "heartbeat", revision: 1 }]);
  t.same(watch(new RouteFeed("e"), { epoch: "e", since: 0 }).messages, [{ type: "heartbeat", revision: 0 }]);
});

t.test("subscribe() sends a snapshot to whoever cannot go on", async (t) => {
  const feed = new RouteFeed("e", { kept: 2 });
  for (let n = 1; n <= 10; n++) feed.publish(route(n));
  const typeAt = (position: FeedPosition) => watch(feed, position).messages[0]?.type;
  t.equal(typeAt({ epoch: "another", since: 10 }), "snapshot");
  t.equal(typeAt({ epoch: "e", since: 1 }), "snapshot", "no longer kept");
  t.equal(typeAt({ epoch: "e", since: 11 }), "snapshot", "never was");
  t.equal(typeAt({ epoch: "e", since: 8 }), "change");
});

t.test("get() knows the last word", async (t) => {
  const feed = new RouteFeed("e");
  const { id } = route();
  feed.publish(route(1, id));
  feed.publish(route(2, id));
  t.equal(feed.get(id)?.generation, 2);
  feed.remove(id);
  t.equal(feed.get(id), undefined);
});

t.test("a snapshot of 10,000 routes takes less than a second", async (t) => {
  const feed = new RouteFeed("e");
  for (let n = 0; n < 10_000; n++) feed.publish(route());
  const begun = performance.now();
  const { messages } = watch(feed);
  t.ok(performance.now() - begun < 1000);
  t.equal(messages[0]?.type === "snapshot" && messages[0].routes.length, 10_000);
});
