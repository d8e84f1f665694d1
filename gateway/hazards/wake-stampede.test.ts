import { once } from "node:events";
import t from "tap";
import type { WakeOutcome } from "#contract/gateway-api.ts";
import { get, Sleeping, upgrade } from "./sleeping-sandbox.ts";
import {
  addRoute,
  answering,
  eventually,
  freePort,
  newId,
  ok,
  okApp,
  RawClient,
  routeTo,
  startApp,
  startGateway,
} from "./test-gateway.ts";

t.test("1,000 requests for a sleeping sandbox are one wake and 1,000 answers of the app", async (t) => {
  let answers = 0;
  const app = await startApp(
    t,
    answering((head) => {
      const mark = /x-mark: (\d+)/i.exec(head)![1]!;
      return `HTTP/1.1 200 OK\r\nX-Number: ${++answers}\r\nContent-Length: ${mark.length}\r\n\r\n${mark}`;
    }),
  );
  const sleeping = await Sleeping.open(t, app);
  const clients = Array.from({ length: 1000 }, (_, index) =>
    sleeping.client(get(sleeping.host, `X-Mark: ${index}\r\n`)),
  );
  await sleeping.holds(1000);
  t.equal(sleeping.wakes, 1);
  sleeping.succeed();
  await Promise.all(clients.map((client) => client.until(({ text }) => /\r\n\r\n\d+$/.test(text))));
  t.equal(answers, 1000);
  t.strictSame(
    clients.map(({ text }) => text.slice(text.lastIndexOf("\n") + 1)),
    clients.map((_, index) => String(index)),
    "each has its own answer",
  );
  t.ok(clients.every(({ text }) => text.startsWith("HTTP/1.1 200 OK\r\nX-Number: ")));
  t.equal(sleeping.wakes, 1);
  for (const client of clients) client.socket.destroy();
});

t.test("a refused wake refuses every request that waited for it, with the true reason", async (t) => {
  const sleeping = await Sleeping.open(t, await okApp(t));
  const clients = Array.from({ length: 50 }, () => sleeping.client());
  await sleeping.holds(50);
  sleeping.end({
    outcome: "refused",
    refusal: { code: "exited", message: "It ended with 3.", exitCode: 3, retryAfterSeconds: 7, logTail: ["bang"] },
  });
  for (const client of clients) {
    await client.until(({ text }) => text.endsWith("}"));
    t.match(
      client.text,
      /^HTTP\/1\.1 502 Bad Gateway\r\n[\s\S]*Retry-After: 7\r\n[\s\S]*X-Sandbox-Gateway: exited\r\n/,
    );
    t.match(JSON.parse(client.text.slice(client.text.indexOf("\r\n\r\n"))), {
      code: "exited",
      detail: "It ended with 3.",
      exit_code: 3,
      log_tail: ["bang"],
    });
    client.socket.destroy();
  }
  t.equal(sleeping.wakes, 1);
});

t.test("every reason not to wake has its own code and status", async (t) => {
  const statuses = {
    not_found: 404,
    exited: 502,
    start_failed: 502,
    out_of_memory: 502,
    low_memory: 503,
    image_missing: 502,
    engine_unavailable: 503,
    queue_full: 503,
  } as const;
  const sleeping = await Sleeping.open(t, await okApp(t));
  for (const [code, status] of Object.entries(statuses)) {
    const client = await sleeping.firstClient(get(sleeping.host, "Connection: close\r\n"));
    sleeping.end({ outcome: "refused", refusal: { code: code as keyof typeof statuses, message: "Because." } });
    const text = await client.whole();
    t.match(text, new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*X-Sandbox-Gateway: ${code}\r\n[\\s\\S]*"Because\\."`));
  }
});

t.test("a wake lives on when its first caller leaves", async (t) => {
  const sleeping = await Sleeping.open(t, await okApp(t));
  const first = await sleeping.firstClient();
  const second = sleeping.client();
  await sleeping.holds(2);
  first.socket.destroy();
  await sleeping.holds(1);
  sleeping.succeed();
  await second.until(({ text }) => text.endsWith("ok"));
  t.match(second.text, /^HTTP\/1\.1 200 OK\r\n/);
  t.equal(sleeping.wakes, 1);
  second.socket.destroy();
});

t.test("a wake that everybody left is joined by whoever comes next", async (t) => {
  const sleeping = await Sleeping.open(t, await okApp(t));
  const first = await sleeping.firstClient();
  first.socket.destroy();
  await sleeping.holds(0);
  const second = sleeping.client();
  await sleeping.holds(1);
  sleeping.succeed();
  await second.until(({ text }) => text.endsWith("ok"));
  t.equal(sleeping.wakes, 1);
  second.socket.destroy();
});

t.test("requests for several ports of one sandbox share one wake", async (t) => {
  const apps = [await okApp(t), await okApp(t)];
  const test = await startGateway(t);
  const awake = routeTo(newId(), apps[0]!, {
    ports: [3000, 4000],
    endpoints: [3000, 4000].map((port, index) => ({ port, address: "127.0.0.1", upstreamPort: apps[index]! })),
  });
  const host = await addRoute(test, { ...awake, status: "stopped", endpoints: [] });
  const wake = Promise.withResolvers<WakeOutcome>();
  test.control.wake = () => wake.promise;
  const heard = once(test.control.called, "wake");
  const clients = [host, host.replace("-3000.", "-4000.")].map((each) => new RawClient(test.port).send(get(each)));
  await heard;
  await eventually(() => test.control.reports.at(-1)?.sandboxes[0]?.openRequests === 2, "both are held");
  wake.resolve({ outcome: "ready", route: test.control.publish(awake) });
  for (const client of clients) {
    await client.until(({ text }) => text.endsWith("ok"));
    client.socket.destroy();
  }
  t.equal(test.control.wakes.length, 1);
});

t.test("a held body stays in its socket until the app is reached, and arrives whole", async (t) => {
  const size = 32 << 20;
  const received = Promise.withResolvers<number>();
  let bodyBytes = -1;
  const app = await startApp(t, (socket) => {
    let head = "";
    socket.on("data", (chunk: Buffer) => {
      if (bodyBytes >= 0) bodyBytes += chunk.length;
      else head += chunk.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (bodyBytes < 0 && end >= 0) bodyBytes = head.length - end - 4;
      if (bodyBytes < size) return;
      socket.write(ok);
      received.resolve(bodyBytes);
    });
  });
  const sleeping = await Sleeping.open(t, app);
  const client = await sleeping.firstClient(
    `POST / HTTP/1.1\r\nHost: ${sleeping.host}\r\nContent-Length: ${size}\r\n\r\n`,
  );
  const sent = new Promise((resolve) => client.socket.write(Buffer.alloc(size, "body"), resolve));
  await sleeping.holds(1);
  // What the kernel and Node's own buffers take is all that left the client, however long it waits.
  const written = () => client.socket.bytesWritten - client.socket.writableLength;
  for (let last = -1; last !== written(); await new Promise((resolve) => setTimeout(resolve, 100))) last = written();
  t.ok(client.socket.writableLength > 0, "the client is held back");
  const { bytesIn } = sleeping.test.control.reports.at(-1)!.sandboxes[0]!;
  t.equal(bytesIn, 0, "the gateway took none of it");
  sleeping.succeed();
  t.equal(await received.promise, size);
  await sent;
  await client.until(({ text }) => text.endsWith("ok"));
  client.socket.destroy();
});

t.test("many held bodies arrive whole, each at its own request", async (t) => {
  const bodies = new Map<string, string>();
  const app = await startApp(t, (socket) => {
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      const [, path, length] = /^POST (\S+) [\s\S]*content-length: (\d+)/i.exec(text) ?? [];
      const body = text.slice(text.indexOf("\r\n\r\n") + 4);
      if (path === undefined || body.length < Number(length)) return;
      bodies.set(path, body);
      text = "";
      socket.write(ok);
    });
  });
  const sleeping = await Sleeping.open(t, app);
  const expected = new Map(Array.from({ length: 50 }, (_, index) => [`/${index}`, `${index};`.repeat(20_000)]));
  const clients = [...expected].map(([path, body]) =>
    sleeping.client(`POST ${path} HTTP/1.1\r\nHost: ${sleeping.host}\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
  );
  await sleeping.holds(50);
  sleeping.succeed();
  await Promise.all(clients.map((client) => client.until(({ text }) => text.endsWith("ok"))));
  t.ok([...expected].every(([path, body]) => bodies.get(path) === body));
  for (const client of clients) client.socket.destroy();
});

t.test("past the bound of a sandbox, requests are busy; another sandbox is not", async (t) => {
  const sleeping = await Sleeping.open(t, await okApp(t), { holdPerSandbox: 3 });
  const held = Array.from({ length: 3 }, () => sleeping.client());
  await sleeping.holds(3);
  const fourth = await sleeping.client(get(sleeping.host, "Connection: close\r\n")).whole();
  t.match(fourth, /^HTTP\/1\.1 503 Service Unavailable\r\nRetry-After: \d+\r\n[\s\S]*X-Sandbox-Gateway: busy\r\n/);
  const other = await addRoute(sleeping.test, routeTo(newId(), await okApp(t)));
  const client = await sleeping.client(get(other)).until(({ text }) => text.endsWith("ok"));
  client.socket.destroy();
  sleeping.succeed();
  for (const each of held) {
    await each.until(({ text }) => text.endsWith("ok"));
    each.socket.destroy();
  }
});

t.test("past the bound of all, requests are busy whatever their sandbox", async (t) => {
  const sleeping = await Sleeping.open(t, await okApp(t), { holdTotal: 2 });
  const other = await addRoute(sleeping.test, routeTo(newId(), 1, { status: "stopped", endpoints: [] }));
  const held = [sleeping.client(), sleeping.client(get(other))];
  await eventually(() => sleeping.wakes === 2, "both are held");
  const third = await sleeping.client(get(sleeping.host, "Connection: close\r\n")).whole();
  t.match(third, /^HTTP\/1\.1 503 [\s\S]*X-Sandbox-Gateway: busy\r\n/);
  for (const client of held) client.socket.destroy();
});

t.test("a held client that leaves makes room, with an upgrade as well", async (t) => {
  for (const [what, bytes] of [
    ["a request", get],
    ["an upgrade", upgrade],
  ] as const) {
    for (const how of ["destroy", "resetAndDestroy"] as const) {
      const sleeping = await Sleeping.open(t, await okApp(t), { holdPerSandbox: 1 });
      const first = await sleeping.firstClient(bytes(sleeping.host));
      await sleeping.holds(1);
      first.socket[how]();
      await sleeping.holds(0);
      const second = sleeping.client();
      await sleeping.holds(1);
      sleeping.succeed();
      await second.until(({ text }) => text.includes("\r\n\r\n"));
      t.match(second.text, /^HTTP\/1\.1 200 OK\r\n/, `${what} that left by ${how} takes no place`);
      second.socket.destroy();
    }
  }
});

t.test("what left while it was held never reaches the app", async (t) => {
  const paths: string[] = [];
  const app = await startApp(
    t,
    answering((head) => {
      paths.push(head.split(" ")[1]!);
      return ok;
    }),
  );
  const sleeping = await Sleeping.open(t, app);
  const gone = [
    `GET /gone HTTP/1.1\r\nHost: ${sleeping.host}\r\n\r\n`,
    `POST /gone HTTP/1.1\r\nHost: ${sleeping.host}\r\nContent-Length: 2\r\n\r\nab`,
    upgrade(sleeping.host).replace("GET / ", "GET /gone "),
  ].map((bytes) => sleeping.client(bytes));
  const stays = sleeping.client();
  await sleeping.holds(4);
  for (const client of gone) client.socket.destroy();
  await sleeping.holds(1);
  sleeping.succeed();
  await stays.until(({ text }) => text.endsWith("ok"));
  t.strictSame(paths, ["/"]);
  stays.socket.destroy();
});

t.test("an upgrade is held and carried once the sandbox runs", async (t) => {
  const app = await startApp(
    t,
    answering(() => "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello"),
  );
  const sleeping = await Sleeping.open(t, app);
  const client = await sleeping.firstClient(upgrade(sleeping.host));
  sleeping.succeed();
  await client.until(({ text }) => text.endsWith("hello"));
  t.match(client.text, /^HTTP\/1\.1 101 /);
  client.socket.destroy();
});

t.test("a held request waits for a sandbox that runs until its port answers", async (t) => {
  const port = await freePort();
  const sleeping = await Sleeping.open(t, port);
  const client = await sleeping.firstClient();
  sleeping.succeed();
  await eventually(() => sleeping.test.gateway.table.get(sleeping.route.id)?.status === "running", "it runs");
  await startApp(
    t,
    answering(() => ok),
    port,
  );
  await client.until(({ text }) => text.endsWith("ok"));
  t.match(client.text, /^HTTP\/1\.1 200 OK\r\n/);
  client.socket.destroy();
});
