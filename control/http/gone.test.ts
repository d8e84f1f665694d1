import { once } from "node:events";
import { Agent, createServer, request } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { FastifyRequest } from "fastify";
import t from "tap";
import { gone } from "./gone.ts";

t.test("gone() aborts with the connection, and leaves one listener on it however many calls it carried", async (t) => {
  const sockets: Socket[] = [];
  const signals: AbortSignal[] = [];
  const server = createServer((raw, response) => {
    sockets.push(raw.socket);
    signals.push(gone({ raw } as FastifyRequest, new AbortController().signal));
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => server.close());
  const counts: number[] = [];
  for (let call = 0; call < 3; call++) {
    const asking = request({ port, host: "127.0.0.1", agent }).end();
    const [answer] = await once(asking, "response");
    answer.resume();
    await once(answer, "end");
    counts.push(sockets.at(-1)!.listenerCount("close"));
  }
  t.equal(new Set(sockets).size, 1);
  t.equal(counts[2], counts[0]);
  t.same(
    signals.map(({ aborted }) => aborted),
    [false, false, false],
  );
  const closed = once(sockets[0]!, "close");
  agent.destroy();
  await closed;
  t.ok(signals.every(({ aborted }) => aborted));
});

t.test("gone() aborts when control stops", async (t) => {
  const closing = new AbortController();
  const socket = { destroyed: false, once: () => {} };
  const signal = gone({ raw: { socket } } as unknown as FastifyRequest, closing.signal);
  t.notOk(signal.aborted);
  closing.abort();
  t.ok(signal.aborted);
});
