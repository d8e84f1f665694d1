/** The walls around a sandbox as an operator and an integrator see them: through the API of a control with real containers. */
import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import t from "tap";
import { egressTable } from "#contract/egress-table.ts";
import { tool } from "../control/disks/testing/btrfs.ts";
import { listenIn, run } from "../control/egress/testing/namespace.ts";
import { until } from "../control/engines/engine-under-test.ts";
import { newDirectory, type RunningControl, startControl } from "../control/testing/control.ts";
import { openDockerNetwork } from "./docker-network.ts";
import { missingPart } from "./parts/parts.ts";

/** Dials where it is asked to, writes what it is asked to, and eats memory when it is asked to. */
const app = `
  const fs = require("node:fs"), net = require("node:net");
  const all = [];
  require("node:http").createServer((request, response) => {
    const [act, first, second] = request.url.slice(1).split("/");
    if (act === "eat") for (;;) all.push(Buffer.alloc(1 << 20, 1));
    if (act === "write") fs.writeFileSync("/home/sandbox/kept", first);
    if (act === "read") return response.end(fs.readFileSync("/home/sandbox/kept"));
    if (act !== "dial") return response.end("done");
    const socket = net.connect({ host: first, port: Number(second), timeout: 700 });
    const end = (word) => { socket.destroy(); response.end(word); };
    socket.once("data", () => end("reached")).once("timeout", () => end("silence")).once("error", ({ code }) => end(code));
  }).listen(Number(process.env.PORT), process.env.HOST);`;

const body = { ports: [3000], cmd: ["node", "-e", app] };

t.test("walls around a sandbox", { skip: missingPart("images", "nftables") }, async (whole) => {
  await using network = await openDockerNetwork();
  const directory = newDirectory(whole);
  const variables = { ...network.variables, SANDBOXD_DISK_QUOTA: "loop" };
  let control = await startControl(whole, variables, directory);
  const created = await control.call("POST", "/v1/sandboxes", { body: { ...body, disk: "48M", memory_max: "256M" } });
  whole.equal(created.status, 201);
  const { id } = created.body;
  const path = `/v1/sandboxes/${id}`;
  whole.teardown(() => control.call("DELETE", path).catch(() => {}));

  await whole.test("rules are in force, put back when somebody takes them, and counted", async (t) => {
    const { body: rules } = await control.call("GET", "/v1/egress");
    t.match(rules, { mode: "enforce", installed: true, problem: null, table: egressTable(network.name) });
    const [{ address = "" } = {}] = networkInterfaces()[rules.bridge] ?? [];
    const [port] = await listenIn(t, [], "0.0.0.0", [0]);
    t.equal(await ask(control, id, `dial/${address}/${port}`), "silence");
    await run("nft", "delete", "table", "inet", egressTable(network.name));
    await until("the rules again", async () => (await control.call("GET", "/v1/egress")).body.reinstalls === 1, 10_000);
    t.equal(await ask(control, id, `dial/${address}/${port}`), "silence");
    await until("the count", async () => (await control.call("GET", `${path}/egress`)).body.blocked.host > 0, 10_000);
    const { text } = await control.call("GET", "/metrics");
    t.match(text, /^sandboxd_egress_installed 1$/m);
    t.match(text, /^sandboxd_egress_reinstalls 1$/m);
    t.match(text, /^sandboxd_egress_blocked_packets\{reason="host"\} [1-9]/m);
  });

  await whole.test("a disk is limited, shown, grows and does not shrink", async (t) => {
    const { body: disk } = await control.call("GET", `${path}/disk`);
    t.match(disk, { disk: "48M", driver: "loop", limit_bytes: 48 * 2 ** 20, used_bytes: Number, enforced: true });
    t.match((await control.call("GET", "/v1/engine")).body.details, { disk: /^loop: / });
    t.match(await control.call("PATCH", path, { body: { disk: "64M" } }), { status: 200, body: { disk: "64M" } });
    const refused = await control.call("PATCH", path, { body: { disk: "16M" } });
    t.match(refused, { status: 400, body: { error: { code: "invalid_request", message: /neither shrink nor go/ } } });
    t.equal((await control.call("POST", `${path}/restart`)).status, 200);
    t.equal((await control.call("GET", `${path}/disk`)).body.limit_bytes, 64 * 2 ** 20);
  });

  await whole.test("a snapshot is restored onto a disk that is limited", async (t) => {
    await ask(control, id, "write/before");
    const taken = await control.call("POST", `${path}/snapshots`, { body: {} });
    t.equal(taken.status, 201, taken.text);
    await ask(control, id, "write/after");
    const restored = await control.call("POST", `${path}/restore`, { body: { snapshot_id: taken.body.id } });
    t.equal(restored.status, 200, restored.text);
    t.equal(await ask(control, id, "read"), "before");
    t.match((await control.call("GET", `${path}/disk`)).body, { enforced: true, limit_bytes: 64 * 2 ** 20 });
  });

  await whole.test("a disk is there again after a reboot", async (t) => {
    await control.call("POST", `${path}/stop`, { body: { force: true } });
    await control.stop();
    const place = join(directory, "workspaces", id);
    await tool("umount", place);
    t.notOk(existsSync(join(place, "kept")));
    control = await startControl(whole, variables, directory);
    t.equal((await control.call("POST", `${path}/wake`, { body: {} })).status, 200);
    t.equal(await ask(control, id, "read"), "before");
  });

  await whole.test("the end of a bomb of memory is told by its reason, in explain and in the metrics", async (t) => {
    // Nobody closes the connection: its network is gone with it.
    const eaten = ask(control, id, "eat").catch(() => {});
    await until("its end", async () => (await control.call("GET", path)).body.status === "stopped");
    t.match((await control.call("GET", path)).body, { status_reason: { code: "out_of_memory" } });
    t.match((await control.call("GET", `${path}/explain`)).body, { asleep_because: { cause: "out_of_memory" } });
    await eaten;
    t.match((await control.call("GET", "/metrics")).text, /^sandboxd_stops_total\{cause="out_of_memory"\} 1$/m);
  });

  await whole.test("nothing of a removed sandbox's disk is left", async (t) => {
    t.equal((await control.call("DELETE", path)).status, 204);
    t.notOk(existsSync(join(directory, "workspaces", id)));
    t.notOk(existsSync(join(directory, "disks", `${id}.img`)));
  });
});

/** Asks the app where its container is, as a gateway would. */
async function ask(control: RunningControl, id: string, path: string): Promise<string> {
  const watch = control.watch();
  const { endpoints } = await watch.until(id, ({ status, endpoints }) => status === "running" && endpoints.length > 0);
  watch.end();
  const url = `http://${endpoints[0]!.address}:${endpoints[0]!.upstreamPort}/${path}`;
  const isUp = () =>
    fetch(url.replace(path, ""), { headers: { connection: "close" } }).then(
      ({ ok }) => ok,
      () => false,
    );
  await until("the app", isUp);
  return (await fetch(url, { headers: { connection: "close" }, signal: AbortSignal.timeout(10_000) })).text();
}
