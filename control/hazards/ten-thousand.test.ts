import t, { type Test } from "tap";
import { newDirectory, startControl } from "../testing/control.ts";
import { putSandboxes } from "../testing/many-sandboxes.ts";

const count = 10_000;
/** What the specification promises on a quiet machine, in milliseconds, times what a busy one may take. */
const patience = 4;
const bootMs = 10_000 * patience;
const syncMs = 1_000 * patience;
const pageMs = 20 * patience;

function dataOf(t: Test): string {
  const directory = newDirectory(t);
  putSandboxes(directory, count);
  return directory;
}

async function timed<T>(work: () => Promise<T>): Promise<[result: T, milliseconds: number]> {
  const begun = performance.now();
  return [await work(), performance.now() - begun];
}

t.test("10,000 sandboxes are compared with the engine, told to a gateway and listed in time", async (t) => {
  const [control, booted] = await timed(() => startControl(t, {}, dataOf(t)));
  t.ok(booted < bootMs, `boot with reconcile: ${Math.round(booted)} ms, the rows put there included`);

  const watch = control.watch();
  const [, synced] = await timed(() => watch.next());
  t.equal(watch.routes.size, count);
  t.ok([...watch.routes.values()].every(({ status }) => status === "stopped"));
  t.ok(synced < syncMs, `full sync: ${Math.round(synced)} ms`);

  const pages: number[] = [];
  let cursor = "";
  for (let page = 0; page < 20; page++) {
    const [{ status, body }, took] = await timed(() => control.call("GET", `/v1/sandboxes?limit=50${cursor}`));
    t.match({ status, items: body.items.length }, { status: 200, items: 50 });
    cursor = `&cursor=${body.next_cursor}`;
    pages.push(took);
  }
  const middle = pages.sort((a, b) => a - b)[10]!;
  t.ok(middle < pageMs, `page of a list: ${middle.toFixed(1)} ms`);
  const [labelled, filtered] = await timed(() => control.call("GET", "/v1/sandboxes?label=n=7&limit=200"));
  t.equal(labelled.body.items.length, 100);
  t.ok(filtered < pageMs * 4, `list by label: ${filtered.toFixed(1)} ms`);
});
