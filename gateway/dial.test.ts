import { once } from "node:events";
import type { Socket } from "node:net";
import t from "tap";
import { dial } from "./dial.ts";
import { freePort, startApp } from "./hazards/test-gateway.ts";

t.test("dial() reaches whoever listens, and lets go at once", async (t) => {
  const connected = Promise.withResolvers<Socket>();
  const upstreamPort = await startApp(t, connected.resolve);
  t.equal(await dial({ port: 3000, address: "127.0.0.1", upstreamPort }, 5_000), true);
  const socket = await connected.promise;
  let received = 0;
  socket.on("data", (chunk) => {
    received += chunk.length;
  });
  await once(socket, "end");
  t.equal(received, 0, "not a byte was sent");
});

t.test("dial() says that nobody listens", async (t) => {
  t.equal(await dial({ port: 3000, address: "127.0.0.1", upstreamPort: await freePort() }, 5_000), false);
});

t.test("dial() waits no longer than it is told to", async (t) => {
  // TEST-NET-1 (RFC 5737) answers nobody; where there is no route to it at all, that is known at once.
  const begun = Date.now();
  t.equal(await dial({ port: 3000, address: "192.0.2.1", upstreamPort: 80 }, 50), false);
  t.ok(Date.now() - begun < 5_000);
});
