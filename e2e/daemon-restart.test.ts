/** A Docker daemon that restarts takes no wall down, and its sandboxes come back for the next visitor. */
import { join } from "node:path";
import t from "tap";
import { egressTable } from "#contract/egress-table.ts";
import { listenIn } from "../control/egress/testing/namespace.ts";
import { until } from "../control/engines/engine-under-test.ts";
import { newDirectory } from "../control/testing/control.ts";
import { OwnDaemon } from "./own-daemon.ts";
import { missingPart } from "./parts/parts.ts";
import { Program } from "./stack.ts";

const image = "restarts/node";
const network = "restarts";
const table = egressTable(network);

/** Dials where it is asked to and answers what came of it. */
const app = `
  require("node:http").createServer((request, response) => {
    const [host, port] = request.url.slice(1).split("/");
    const socket = require("node:net").connect({ host, port: Number(port), timeout: 700 });
    const end = (word) => { socket.destroy(); response.end(word); };
    socket.once("data", () => end("reached")).once("timeout", () => end("silence")).once("error", ({ code }) => end(code));
  }).listen(Number(process.env.PORT), process.env.HOST);`;

/** Makes one request and says its answer. */
const asker = `
  const [method, url, host, body] = process.argv.slice(1);
  const headers = { ...(host && { host }), ...(body && { "content-type": "application/json" }) };
  require("node:http").request(url, { method, headers, timeout: 60_000 }, async (response) => {
    const text = Buffer.concat(await response.toArray()).toString();
    console.log(JSON.stringify({ status: response.statusCode, text }));
  }).on("timeout", () => process.exit(1)).end(body);`;

type Answer = { readonly status: number; readonly text: string };

t.test("a Docker daemon that restarts", { skip: missingPart("dockerd", "nftables") }, async (whole) => {
  const directory = newDirectory(whole);
  const daemon = await OwnDaemon.open(whole);
  await daemon.importNode(image);
  const shared = {
    PREVIEW_DOMAIN: "restarts.test",
    SANDBOXD_DATA_DIR: directory,
    SANDBOXD_ENV_FILE: join(directory, "none"),
  };
  const gateway = new Program(whole, "gateway", { ...shared, GATEWAY_BIND: "127.0.0.1:0" }, daemon.prefix);
  const preview = await gateway.listening("preview");
  const control = new Program(
    whole,
    "control",
    {
      ...shared,
      SANDBOXD_ENGINE: "docker",
      SANDBOXD_EGRESS: "enforce",
      SANDBOXD_DOCKER_SOCKET: daemon.socketPath,
      SANDBOXD_IMAGE: image,
      SANDBOXD_NETWORK: network,
      SANDBOXD_DISK_QUOTA: "off",
      SANDBOXD_API_BIND: "127.0.0.1:0",
      SANDBOXD_GATEWAY_URL: `http://${preview}`,
    },
    daemon.prefix,
  );
  const api = await control.listening("api");
  const ask = async (...request: string[]): Promise<Answer> =>
    JSON.parse(await daemon.run(process.execPath, "-e", asker, ...request));
  const call = async (method: string, path: string, body?: object) =>
    ask(method, `http://${api}${path}`, "", body ? JSON.stringify(body) : "");
  const get = async (path: string) => JSON.parse((await call("GET", path)).text);

  const created = await call("POST", "/v1/sandboxes", { ports: [3000], cmd: ["/usr/local/bin/node", "-e", app] });
  whole.equal(created.status, 201, created.text);
  const { id, previews } = JSON.parse(created.text);
  const { bridge } = await get("/v1/egress");
  const [{ addr_info }] = JSON.parse(await daemon.run("ip", "-json", "-4", "addr", "show", bridge));
  const [port] = await listenIn(whole, daemon.prefix, "0.0.0.0", [0]);
  /** What comes of the sandbox's dialling this machine. */
  const dial = () => ask("GET", `http://${preview}/${addr_info[0].local}/${port}`, new URL(previews[0].url).host);
  const blocked = async (): Promise<number> => (await get(`/v1/sandboxes/${id}/egress`)).blocked.host;
  const tables = async () =>
    (await daemon.run("nft", "list", "tables")).split("\n").filter((line) => line.endsWith(table));
  const ready = () => until("ready", async () => (await call("GET", "/readyz")).status === 200);
  const walls = [`table inet ${table}`, `table bridge ${table}`];

  await whole.test("before, the sandbox does not reach this machine, and is counted", async (t) => {
    t.same(await dial(), { status: 200, text: "silence" });
    await until("the count", async () => (await blocked()) > 0);
    t.strictSame(await tables(), walls);
  });

  await whole.test("while it is away the rules stay, and who asks is told", async (t) => {
    await daemon.stop();
    t.strictSame(await tables(), walls);
    t.match(await call("GET", "/readyz"), { status: 503, text: /^not ready/ });
    t.match(await dial(), { status: 503, text: /engine_unavailable/ });
  });

  await whole.test("once it is back a request wakes the sandbox, which is fenced in", async (t) => {
    const before = await blocked();
    await daemon.start();
    t.same(await dial(), { status: 200, text: "silence" });
    await until("the count", async () => (await blocked()) > before);
    await ready();
  });

  await whole.test("rules that went while it was away come back by themselves", async (t) => {
    await daemon.stop();
    await daemon.run("nft", "flush", "ruleset");
    await daemon.start();
    await until("the rules", async () => (await tables()).length === walls.length);
    t.match(await get("/v1/egress"), { installed: true, problem: null });
    t.same(await dial(), { status: 200, text: "silence" });
  });

  await whole.test("rules that nobody misses yet are there again before the sandbox is", async (t) => {
    await daemon.stop();
    await daemon.run("nft", "flush", "ruleset");
    await daemon.start();
    // An app that ended several times in a row is not started at once, whoever ended it.
    const answer = await until("an answer of the app", async () => {
      const asked = await dial();
      return asked.status === 200 && asked;
    });
    t.equal(answer.text, "silence");
    t.strictSame(await tables(), walls);
  });

  await whole.test("without the rules the sandbox reaches this machine: the tests above can tell", async (t) => {
    await control.stop();
    t.same(await dial(), { status: 200, text: "silence" }, "they are there without control");
    for (const family of ["inet", "bridge"]) await daemon.run("nft", "delete", "table", family, table);
    t.same(await dial(), { status: 200, text: "reached" });
  });
});
