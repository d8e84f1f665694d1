import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { request } from "undici";
import { appBody, startControl } from "../../testing/control.ts";

t.test("GET files/watch tells what changes below a directory, in new ones too, and follows no link", async (t) => {
  const control = await startControl(t);
  const { body: sandbox } = await control.call("POST", "/v1/sandboxes", { body: appBody });
  const path = `/v1/sandboxes/${sandbox.id}`;
  const app = join(control.directory, "workspaces", sandbox.id, "workspace", "app");
  mkdirSync(join(app, "src"));
  mkdirSync(join(app, "node_modules"));
  symlinkSync(control.directory, join(app, "out"));
  t.match(await control.call("GET", `${path}/files/watch?path=none`), { status: 404 });
  const { body, headers } = await request(`http://${control.plane.address}${path}/files/watch`);
  t.match(headers, { "content-type": /^text\/event-stream/ });
  const events = readEvents(body);
  const next = async (wanted: object) => {
    for (;;) {
      const { value, done } = await events.next();
      if (done) throw new Error(`no ${JSON.stringify(wanted)}`);
      if (JSON.stringify(value) === JSON.stringify(wanted)) return;
    }
  };
  await next({ event: "ready", data: {} });
  writeFileSync(join(app, "node_modules/x"), "");
  writeFileSync(join(control.directory, "outside"), "");
  writeFileSync(join(app, "src/a"), "1");
  t.match(
    (await events.next()).value,
    { event: "change", data: { path: "src/a", kind: "created" } },
    "nothing else before",
  );
  writeFileSync(join(app, "src/a"), "2");
  await next({ event: "change", data: { path: "src/a", kind: "changed" } });
  mkdirSync(join(app, "new"));
  await next({ event: "change", data: { path: "new", kind: "created" } });
  writeFileSync(join(app, "new/b"), "");
  await next({ event: "change", data: { path: "new/b", kind: "created" } });
  renameSync(join(app, "new"), join(app, "old"));
  await next({ event: "change", data: { path: "new", kind: "removed" } });
  writeFileSync(join(app, "old/c"), "");
  await next({ event: "change", data: { path: "old/c", kind: "created" } });
  rmSync(join(app, "src"), { recursive: true });
  await next({ event: "change", data: { path: "src", kind: "removed" } });
  await control.call("DELETE", path);
  for (let over = false; !over; ) over = (await events.next()).done === true;
});

async function* readEvents(body: AsyncIterable<Buffer>): AsyncGenerator<{ event: string; data: unknown }> {
  let rest = "";
  for await (const chunk of body) {
    const blocks = (rest + String(chunk)).split("\n\n");
    rest = blocks.pop()!;
    for (const block of blocks) {
      const [, event = "", data = ""] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? [];
      if (event !== "") yield { event, data: JSON.parse(data) };
    }
  }
}
