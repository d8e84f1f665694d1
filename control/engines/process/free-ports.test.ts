import { createServer } from "node:net";
import t from "tap";
import { FreePorts } from "./free-ports.ts";

t.test("take() gives different ports that can be bound", async (t) => {
  const ports = new FreePorts();
  const taken = [...(await ports.take(20)), ...(await ports.take(20))];
  t.equal(new Set(taken).size, 40);
  t.ok(taken.every((port) => port >= 20_000 && port <= 29_999));
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(taken[0], "127.0.0.1", resolve));
  server.close();
});

t.test("take() gives no port twice, and none that is in use, until the range is empty", async (t) => {
  const ports = new FreePorts();
  const [used] = await ports.take(1);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(used, "0.0.0.0", resolve));
  t.teardown(() => server.close());
  ports.adopt(Array.from({ length: 10_000 }, (_, index) => 20_000 + index));
  ports.release([used!]);
  await t.rejects(ports.take(1), { code: "start_failed" });
  server.close();
});
