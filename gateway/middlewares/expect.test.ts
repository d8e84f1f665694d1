import t from "tap";
import {
  addRoute,
  answering,
  eventually,
  newId,
  RawClient,
  routeTo,
  startApp,
  startGateway,
} from "../hazards/test-gateway.ts";

t.test("expectContinue() counts what an upload and its answer carry", async (t) => {
  const test = await startGateway(t);
  const app = await startApp(
    t,
    answering((head, socket) => {
      socket.removeAllListeners("data");
      let received = 0;
      socket.on("data", (chunk) => {
        received += chunk.length;
        if (received === 50_000) socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 7000\r\n\r\n${"x".repeat(7000)}`);
      });
      return /expect: 100-continue/i.test(head) ? "HTTP/1.1 100 Continue\r\n\r\n" : "";
    }),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  const client = new RawClient(test.port);
  client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 50000\r\n\r\n`);
  await client.until(({ text }) => text.startsWith("HTTP/1.1 100 Continue\r\n\r\n"));
  client.send(Buffer.alloc(50_000));
  await client.until(({ text }) => text.endsWith("x".repeat(7000)));
  const sum = (name: "bytesIn" | "bytesOut") =>
    test.control.reports.flatMap(({ sandboxes }) => sandboxes).reduce((total, each) => total + each[name], 0);
  await eventually(() => sum("bytesIn") === 50_000 && sum("bytesOut") === 7000, "all of it is counted");
  t.pass();
  client.socket.destroy();
});
