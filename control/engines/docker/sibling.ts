import { performance } from "node:perf_hooks";
import type { Test } from "tap";
import { type ContractTest, serverProgram, texts, until } from "../engine-under-test.ts";
import type { SandboxSpec } from "../sandbox-engine.ts";

/** What nobody notices, on a machine that other tests keep busy as well. */
const medianMs = 250;
const worstMs = 3_000;

/** A sandbox that is nobody's victim: it has to go on serving. */
export class Sibling {
  readonly spec: SandboxSpec;
  readonly address: string;

  private constructor(spec: SandboxSpec, address: string) {
    this.spec = spec;
    this.address = address;
  }

  static async start({ engine, spec, start }: ContractTest): Promise<Sibling> {
    const own = spec(serverProgram);
    await start(own);
    await until("the sibling", async () => (await texts(engine.logs(own.id, {}))).includes("listening"));
    const { endpoints } = await engine.inspect(own.id);
    const sibling = new Sibling(own, endpoints[0]!.address);
    await until("its first answer", () => sibling.ask().catch(() => undefined));
    return sibling;
  }

  /** Milliseconds to a whole answer over a connection of its own. */
  async ask(): Promise<number> {
    const begun = performance.now();
    const options = { headers: { connection: "close" }, signal: AbortSignal.timeout(2 * worstMs) };
    const answer = await fetch(`http://${this.address}:3000/`, options);
    await answer.text();
    if (answer.status !== 200) throw new Error(`It answers ${answer.status}`);
    return performance.now() - begun;
  }

  /** Asks it without a break while something happens, and holds each answer to the bounds. */
  async servesDuring<T>(t: Test, attack: Promise<T>): Promise<T> {
    let isOver = false;
    const over = attack.finally(() => {
      isOver = true;
    });
    const times: number[] = [];
    const failures: unknown[] = [];
    const asking = (async () => {
      do
        await this.ask().then(
          (time) => times.push(time),
          (error: unknown) => failures.push(error),
        );
      while (!isOver);
    })();
    const result = await over;
    await asking;
    t.same(failures, [], "no answer of the sibling is lost");
    times.sort((a, b) => a - b);
    const median = times[times.length >> 1] ?? Number.POSITIVE_INFINITY;
    const worst = times.at(-1) ?? Number.POSITIVE_INFINITY;
    const told = `${times.length} answers, median ${median.toFixed(1)} ms, worst ${worst.toFixed(1)} ms`;
    t.ok(median < medianMs && worst < worstMs, `the sibling goes on: ${told}`);
    return result;
  }
}
