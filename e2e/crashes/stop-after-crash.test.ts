import { once } from "node:events";
import { existsSync, watch } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { request } from "undici";
import { ControlProgram, GatewayProgram } from "./programs.ts";

const host = (id: string) => `s-${id.toLowerCase()}-3000.preview.crashes.test`;

/** Says that it is asked, and answers once it may. */
const app = `
  const fs = require("node:fs");
  require("node:http").createServer((request, response) => {
    fs.writeFileSync("asked", "");
    const watcher = fs.watch(".", () => {
      if (!fs.existsSync("answer")) return;
      watcher.close();
      response.end("whole");
    });
  }).listen(process.env.PORT, process.env.HOST);
`;

t.test(
  "a stop that is asked of a new control waits for what a gateway let through before the old one died",
  async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "stop-"));
    const environment = {
      PATH: process.env.PATH,
      PREVIEW_DOMAIN: "crashes.test",
      SANDBOXD_ENV_FILE: join(directory, "none"),
      SANDBOXD_DATA_DIR: directory,
      SANDBOXD_ENGINE: "process",
      SANDBOXD_API_BIND: "127.0.0.1:0",
      GATEWAY_BIND: "127.0.0.1:0",
      GATEWAY_WORKERS: "1",
    };
    const gateway = await GatewayProgram.start(environment);
    let control = await ControlProgram.start(environment);
    t.teardown(async () => {
      gateway.resume();
      await gateway.end();
      await control.end();
      await rm(directory, { recursive: true, force: true });
    });
    const created = await control.call("POST", "/v1/sandboxes", { ports: [3000], cmd: [process.execPath, "-e", app] });
    const { id } = JSON.parse(created.text);
    const workspace = join(directory, "workspaces", id, "workspace", "app");

    const asked = appearing(workspace, "asked");
    const answer = request(`http://${gateway.address}/`, { headers: { host: host(id) } });
    await asked;
    await control.kill();
    // It is slow to hear of the new control.
    gateway.freeze();
    control = await ControlProgram.start(environment);
    const stop = control.call("POST", `/v1/sandboxes/${id}/stop`, { drain_seconds: 8 });
    const status = await statusAfter(control, id, "running");
    t.equal(status, "draining", "the stop waits for the worker");
    gateway.resume();
    await writeFile(join(workspace, "answer"), "");

    const { statusCode, body } = await answer;
    t.same([statusCode, await body.text()], [200, "whole"]);
    t.match(JSON.parse((await stop).text), { status: "stopped" });
  },
);

async function appearing(directory: string, name: string): Promise<void> {
  const watcher = watch(directory);
  while (!existsSync(join(directory, name))) await once(watcher, "change");
  watcher.close();
}

/** The first other status. */
async function statusAfter(control: ControlProgram, id: string, before: string): Promise<string> {
  for (;;) {
    const { status } = JSON.parse((await control.call("GET", `/v1/sandboxes/${id}`)).text);
    if (status !== before) return status;
  }
}
