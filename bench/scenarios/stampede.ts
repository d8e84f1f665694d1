import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { Pool } from "undici";
import { type Scenario, WrongAnswerError } from "../scenario.ts";
import { countStarts, createSandbox, readCounter, sleepSandbox, startStack } from "../stack.ts";

/** Many requests at once for one sleeping sandbox: one start, and an answer for each of them. */
export const stampede: Scenario = {
  name: "stampede",
  parts: [],
  async run({ scale, profileDirectory }) {
    await using stack = await startStack({ profileDirectory });
    const sandbox = await createSandbox(stack, "starts", ["node", "server.mjs"]);
    const { gateway } = stack;
    await using pool = asDisposable(new Pool(`http://127.0.0.1:${gateway.port}`, { connections: scale.stampede }));
    const ask = async () => {
      const answer = await pool.request({ method: "GET", path: "/", headers: { host: sandbox.host } });
      return `${answer.statusCode} ${await answer.body.text()}`;
    };
    if (!(await ask()).startsWith("200 started as ")) throw new WrongAnswerError("the app does not answer");
    await sleepSandbox(stack, sandbox, "stop");
    const startsBefore = await countStarts(sandbox);
    const wakesBefore = await readCounter(stack, "sandboxd_wakes_total");
    const begun = performance.now();
    const answers = await Promise.allSettled(Array.from({ length: scale.stampede }, ask));
    const took = performance.now() - begun;
    const pid = (await readFile(join(sandbox.directory, "starts"), "utf8")).trim().split("\n").at(-1);
    const right = answers.filter((each) => each.status === "fulfilled" && each.value === `200 started as ${pid}`);
    const wakes = (await readCounter(stack, "sandboxd_wakes_total")) - wakesBefore;
    return [
      {
        name: "stampede: starts",
        value: (await countStarts(sandbox)) - startsBefore,
        unit: "",
        remark: `${wakes} wakes in control`,
      },
      {
        name: "stampede: answers lost",
        value: scale.stampede - right.length,
        unit: "",
        remark: `of ${scale.stampede}, all within ${Math.round(took)} ms`,
      },
    ];
  },
};

function asDisposable(pool: Pool): Pool & AsyncDisposable {
  return Object.assign(pool, { [Symbol.asyncDispose]: () => pool.destroy() });
}
