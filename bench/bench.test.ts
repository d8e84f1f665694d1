import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import t, { type Test } from "tap";
import { missingPart } from "../e2e/parts/parts.ts";
import { startAnswers } from "./answers.ts";
import { checkAnswers, kilobyte, megabyte, part } from "./check-answers.ts";
import { load } from "./load.ts";
import { type Contender, gatewayContender } from "./proxies/contender.ts";
import { shortScale, WrongAnswerError } from "./scenario.ts";
import { scenarios } from "./scenarios/scenarios.ts";
import { targets } from "./targets.ts";

// Every scenario starts control, a gateway and an app, and the machine may be busy.
t.setTimeout(600_000);

const options = { scale: shortScale, note: () => {} };

for (const scenario of scenarios) {
  t.test(`${scenario.name} runs in its short form`, { skip: missingPart(...scenario.parts) }, async (t) => {
    const measurements = await scenario.run(options);
    for (const { name, value } of measurements) t.ok(Number.isFinite(value), `${name}: ${value}`);
    const named = Object.keys(targets).filter((name) => name.startsWith(`${scenario.name}: `));
    t.not(named.length, 0, "it has a target");
    for (const name of named) {
      t.ok(
        measurements.some((each) => each.name === name),
        `it measures ${name}`,
      );
    }
  });
}

t.test("every target belongs to a scenario", async (t) => {
  const names = new Set(scenarios.map(({ name }) => name));
  for (const name of Object.keys(targets)) t.ok(names.has(name.slice(0, name.indexOf(":"))), name);
});

t.test("checkAnswers() accepts the gateway", { skip: missingPart("nginx") }, async (t) => {
  await using answers = await startAnswers(options);
  await t.resolves(checkAnswers(gatewayContender(answers.stack, answers.sandbox)));
});

t.test("checkAnswers() refuses a proxy", async (t) => {
  const bodies: Readonly<Record<string, string>> = { "/1k": kilobyte, "/1m": megabyte, "/64k": part };
  const body = (path: string) => bodies[path] ?? "nothing here";
  const refused = async (t: Test, answer: RequestListener) =>
    t.rejects(checkAnswers(await startWrong(t, answer)), WrongAnswerError);

  await t.test("that changes one byte of a body", (t) =>
    refused(t, (request, response) => response.end(body(request.url!).replace("e", "E"))),
  );
  await t.test("that loses the end of a large body", (t) =>
    refused(t, (request, response) => response.end(body(request.url!).slice(0, 1 << 19))),
  );
  await t.test("that answers with another status", (t) =>
    refused(t, (request, response) => response.writeHead(203).end(body(request.url!))),
  );
  await t.test("that loses Content-Length", (t) =>
    refused(t, (request, response) => response.write(body(request.url!), () => response.end())),
  );
  await t.test("that changes the target", (t) =>
    refused(t, (request, response) => response.end(bodies[request.url!] ?? `GET ${decodeURI(request.url!)} `)),
  );
});

t.test("load() refuses answers that go wrong under load", { skip: missingPart("wrk") }, async (t) => {
  const question = { path: "/1k", bodyBytes: 1024, connections: 2, seconds: 1 };
  const loaded = async (t: Test, answer: RequestListener) => load({ ...(await startWrong(t, answer)), ...question });

  await t.test("a status of failure", (t) =>
    t.rejects(
      loaded(t, (_, response) => response.writeHead(502).end(kilobyte)),
      WrongAnswerError,
    ),
  );
  await t.test("bodies that are too short", (t) =>
    t.rejects(
      loaded(t, (_, response) => response.end("short")),
      WrongAnswerError,
    ),
  );
  await t.test("a connection that is cut", (t) =>
    t.rejects(
      loaded(t, (_, response) => response.destroy()),
      WrongAnswerError,
    ),
  );
  await t.test("and none else", (t) =>
    t.resolves(loaded(t, (_, response) => response.setHeader("content-length", 1024).end(kilobyte))),
  );
});

/** A server that stands where a proxy is expected. */
async function startWrong(t: Test, answer: RequestListener): Promise<Contender> {
  const server = createServer(answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { name: "wrong", pid: process.pid, port, host: "localhost" };
}
