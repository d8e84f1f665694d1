import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { request } from "undici";
import { putFleet } from "../../control/testing/fleet.ts";
import { ControlClient } from "../../gateway/control-client.ts";
import { RoutingTable } from "../../gateway/routing-table.ts";
import { type Scenario, WrongAnswerError } from "../scenario.ts";
import { type Stack, startStack } from "../stack.ts";
import { median } from "../statistics.ts";

const pageSize = 50;
const pages = 20;

/** A control with so many sandboxes that whatever goes over all of them shows. */
export const tenThousand: Scenario = {
  name: "ten-thousand",
  parts: [],
  async run({ scale: { sandboxes: count, rounds }, note }) {
    note(`${count} sandboxes`);
    await using stack = await startStack({ prepare: (directory) => putFleet(directory, count) });
    const ready = await request(`http://${stack.api}/readyz`);
    await ready.body.dump();
    if (ready.statusCode !== 200) throw new WrongAnswerError(`control is not ready: ${ready.statusCode}`);
    const syncs: number[] = [];
    for (let round = 1; round <= rounds; round++) syncs.push(await syncOnce(stack, count));
    const listed = await listPages(stack, Math.min(pages, count / pageSize));
    const range = (values: readonly number[]) =>
      `${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)} ms`;
    const remark = `${count} sandboxes`;
    return [
      {
        name: "ten-thousand: boot with reconcile",
        value: stack.bootMs,
        unit: "ms",
        remark: `${remark}, a fifth of them put down as running`,
      },
      { name: "ten-thousand: full sync of a gateway", value: median(syncs), unit: "ms", remark: range(syncs) },
      {
        name: "ten-thousand: list page",
        value: median(listed),
        unit: "ms",
        remark: `${pageSize} a page, ${range(listed)}`,
      },
    ];
  },
};

/** Milliseconds until a new worker's table holds every route. Throws WrongAnswerError for one that is not yet reconciled. */
async function syncOnce({ dataDirectory }: Stack, count: number): Promise<number> {
  const client = new ControlClient(join(dataDirectory, "run", "control.sock"));
  const ended = new AbortController();
  const table = new RoutingTable();
  try {
    const begun = performance.now();
    for await (const message of client.routes("bench", { epoch: "", since: 0, signal: ended.signal })) {
      if (message.type === "access" || message.type === "revocation") continue;
      table.apply(message);
      const took = performance.now() - begun;
      const routes = message.type === "snapshot" ? message.routes : [];
      const asleep = routes.filter(({ status }) => status === "stopped").length;
      if (asleep !== count) throw new WrongAnswerError(`${asleep} of ${count} routes of sandboxes that sleep`);
      return took;
    }
    throw new WrongAnswerError("the routes ended");
  } finally {
    ended.abort();
    await client.close();
  }
}

/** Milliseconds of each page, one after the other. Throws WrongAnswerError when a sandbox comes twice. */
async function listPages({ api }: Stack, count: number): Promise<readonly number[]> {
  const times: number[] = [];
  const seen = new Set<string>();
  let cursor = "";
  for (let page = 1; page <= count; page++) {
    const begun = performance.now();
    const { body } = await request(`http://${api}/v1/sandboxes?limit=${pageSize}${cursor}`);
    const { items, next_cursor } = (await body.json()) as { items: { id: string }[]; next_cursor: string };
    times.push(performance.now() - begun);
    for (const { id } of items) seen.add(id);
    if (seen.size !== page * pageSize) throw new WrongAnswerError(`${seen.size} sandboxes on ${page} pages`);
    cursor = `&cursor=${next_cursor}`;
  }
  return times;
}
