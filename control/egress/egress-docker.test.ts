/** Real containers try real listeners: in a namespace that stands for the world, on this machine, and in each other. */
import { randomInt, randomUUID } from "node:crypto";
import { networkInterfaces } from "node:os";
import t, { type Test } from "tap";
import { missingPart } from "../../e2e/parts/parts.ts";
import { containerName } from "../engines/docker/container-options.ts";
import { openDockerEngine } from "../engines/docker/docker-engine.ts";
import { docker, dockerTest } from "../engines/docker/docker-test.ts";
import { Sibling } from "../engines/docker/sibling.ts";
import { type ContractTest, setUp, until } from "../engines/engine-under-test.ts";
import { silent } from "../testing/fixture.ts";
import { parseCidr } from "./cidr.ts";
import { parseDestination } from "./destination.ts";
import type { EgressConfig } from "./egress-config.ts";
import { EgressGuard } from "./egress-guard.ts";
import { renderRemoval } from "./egress-rules.ts";
import { type Reason, reasons } from "./forbidden.ts";
import { Nft } from "./nft.ts";
import { listenIn, run } from "./testing/namespace.ts";
import { openWorld } from "./testing/world.ts";

/** Dials what it is asked to and answers what came of it. What it holds it asks again on the same connection. */
const dialer = `
  const net = require("node:net");
  let held;
  require("node:http").createServer((request, response) => {
    const [host, port, hold, many] = decodeURIComponent(request.url.slice(1)).split("|");
    if (!port) return response.end("sibling");
    if (many) {
      const dialled = Array.from({ length: Number(many) }, () => new Promise((done) => {
        // Half open: the other side's end is not answered.
        const socket = net.connect({ host, port: Number(port), allowHalfOpen: true, timeout: 3000 });
        socket.once("connect", () => done(1)).once("error", () => done(0)).once("timeout", () => done(0)).resume();
      }));
      return Promise.all(dialled).then((all) => response.end(String(all.reduce((sum, one) => sum + one, 0))));
    }
    if (hold) {
      held ??= net.connect({ host, port: Number(port) });
      const late = setTimeout(() => response.end("silence"), 700);
      held.removeAllListeners("data").once("data", () => { clearTimeout(late); response.end("reached"); });
      return held.write("GET / HTTP/1.1\\r\\nHost: sibling\\r\\n\\r\\n");
    }
    const socket = net.connect({ host, port: Number(port), timeout: 700 });
    const end = (word) => { socket.destroy(); response.end(word); };
    socket.once("data", () => end("reached")).once("timeout", () => end("silence"));
    socket.once("error", ({ code }) => end(code)).on("connect", () => socket.write("GET / HTTP/1.0\\r\\n\\r\\n"));
  }).listen(Number(process.env.PORT), "::", () => console.log("listening"));`;

const nft = new Nft(["nft"], process.env.PATH!);

/** Two sandboxes on a network with both families, which Docker itself lets talk to each other, and a world. */
async function stage(t: Test, config: Partial<EgressConfig> & { mode: "enforce" | "observe" }) {
  const world = await openWorld(t);
  const options = await dockerTest(t);
  const bridge = `sbt${randomUUID().slice(0, 8)}`;
  const subnet6 = `fd31:${randomInt(1, 0xffff).toString(16)}:${randomInt(1, 0xffff).toString(16)}::/64`;
  await docker.createNetwork({
    Name: options.network,
    EnableIPv6: true,
    IPAM: { Driver: "default", Config: [{ Subnet: `172.28.${randomInt(0, 255)}.0/24` }, { Subnet: subnet6 }] },
    Options: { "com.docker.network.bridge.name": bridge, "com.docker.network.bridge.enable_icc": "true" },
    Labels: { ...options.labels },
  });
  await run("sysctl", "-qw", `net.ipv6.conf.${bridge}.forwarding=1`);
  const makeEngine = async (t: Test, dataDir: string) => {
    const engine = await openDockerEngine({ ...options, dataDir, hostDataDir: dataDir });
    t.teardown(() => engine.close());
    return engine;
  };
  const subject = { makeEngine, node: "node", home: () => "", host: "0.0.0.0", noticeMs: 5_000 } as const;
  const it = await setUp(t, { ...subject, absentCommand: "exit 127" });
  const table = `egress_test_${randomUUID().slice(0, 8)}`;
  t.teardown(() => nft.apply(renderRemoval(table)));
  const guard = new EgressGuard({
    config: { block: [], allow: [], connections: 4_096, nameServers: null, ...config },
    table,
    nft,
    network: async () => (await it.engine.network())!,
    nameServers: async () => [parseCidr(world.at.nameServer)!, parseCidr(world.at.nameServer6)!],
    lookUp: async () => [{ address: world.at.home, ttl: 60 }],
    logger: silent,
    now: Date.now,
  });
  const [one, other] = [await startDialer(it), await startDialer(it)];
  // A new address of IPv6 is not used at once.
  for (const { dial } of [one, other]) {
    await until("IPv6", async () => (await dial(world.at.public6, 80)) === "reached");
  }
  const hostPort = await listenIn(t, [], "::", [0]);
  return { world, arena: it, engine: it.engine, guard, table, one, other, hostPort: hostPort[0]! };
}

async function startDialer(it: ContractTest) {
  const spec = it.spec(dialer);
  await it.start(spec);
  const { addresses, endpoints } = await it.engine.inspect(spec.id);
  const origin = `http://${endpoints[0]!.address}:3000`;
  const get = async (path: string) => {
    const answer = await fetch(origin + path, {
      headers: { connection: "close" },
      signal: AbortSignal.timeout(20_000),
    });
    return answer.text();
  };
  await until("the dialer", () => get("/").catch(() => ""));
  const dial = (host: string, port: number) => get(`/${encodeURIComponent(`${host}|${port}`)}`);
  const ask = (host: string, port: number) => get(`/${encodeURIComponent(`${host}|${port}|hold`)}`);
  const flood = async (host: string, port: number, many: number) =>
    Number(await get(`/${encodeURIComponent(`${host}|${port}|flood|${many}`)}`));
  return { id: spec.id, addresses, dial, ask, flood };
}

type Stage = Awaited<ReturnType<typeof stage>>;
type Target = readonly [what: string, host: string, port: number, reason: Reason];

/** All that a sandbox may not reach, with the reason that it is counted under. */
async function forbidden({ world: { at, host }, other, hostPort, engine }: Stage): Promise<readonly Target[]> {
  const gateways = (await engine.network())!.bridge;
  const own = networkInterfaces()
    [gateways]!.filter(({ scopeid }) => !scopeid)
    .map(({ address }) => address);
  const docker0 = networkInterfaces().docker0?.[0]?.address ?? host.v4;
  return [
    ["metadata", at.metadata, 80, "metadata"],
    ["metadata in a translated address", at.metadata6, 80, "metadata"],
    ["10/8", at.ten, 80, "private"],
    ["172.16/12", at.oneSevenTwo, 80, "private"],
    ["192.168/16", at.home, 80, "private"],
    ["100.64/10", at.carrier, 80, "private"],
    ["a unique local address", at.unique6, 80, "private"],
    ["the name server's other ports", at.nameServer, 80, "private"],
    ["SMTP", at.mail, 25, "smtp"],
    ["SMTP with TLS", at.mail, 465, "smtp"],
    ["submission", at.mail, 587, "smtp"],
    ["SMTP over IPv6", at.mail6, 25, "smtp"],
    ["the abuse list", at.abusive, 80, "abuse"],
    ["this machine by its public address", host.v4, hostPort, "host"],
    ["this machine by its public IPv6 address", host.v6, hostPort, "host"],
    ["this machine by another bridge", docker0, hostPort, "host"],
    ...own.map((address) => [`this machine by ${address}`, address, hostPort, "host"] as const),
    ["a sibling by its name", containerName(other.id), 3000, "sandbox"],
    ...other.addresses.map((address) => [`a sibling at ${address}`, address, 3000, "sandbox"] as const),
  ];
}

/** A flood is another test's. */
const ofTargets = reasons.filter((reason) => reason !== "flood");

const skip = { skip: missingPart("images", "nftables") };

t.test("a sandbox reaches the public internet and its name server, and nothing else", skip, async (t) => {
  const it = await stage(t, { mode: "enforce", block: [parseCidr("192.0.2.0/24")!] });
  const { at } = it.world;
  const targets = await forbidden(it);
  for (const [what, host, port] of targets) t.equal(await it.one.dial(host, port), "reached", `without rules: ${what}`);

  await it.guard.ready();
  for (const { id, addresses } of [it.one, it.other]) await it.guard.open(id, addresses, []);
  const outcomes = await Promise.all(targets.map(([, host, port]) => it.one.dial(host, port)));
  for (const [index, [what]] of targets.entries()) t.equal(outcomes[index], "silence", what);
  for (const host of [at.public, at.public6]) t.equal(await it.one.dial(host, 80), "reached", host);
  for (const host of [at.nameServer, at.nameServer6]) t.equal(await it.one.dial(host, 53), "reached", `DNS at ${host}`);

  await it.guard.turn();
  const { blocked } = it.guard.of(it.one.id);
  for (const reason of ofTargets) t.ok(blocked[reason] > 0, `${blocked[reason]} packets: ${reason}`);
  const all = it.guard.status().blocked;
  for (const reason of reasons) t.ok(all[reason] >= blocked[reason], `${all[reason]} packets in all: ${reason}`);
  t.match(it.guard.of(it.other.id).blocked, { sandbox: 0, host: 0, private: 0 }, "and none the other one's");
});

t.test("an allow list opens what is private to one sandbox, at once, and never more", skip, async (t) => {
  const it = await stage(t, { mode: "enforce", allow: [] });
  const { at, host } = it.world;
  const sibling = it.other.addresses[0]!;
  const never = [at.metadata, host.v4, sibling];
  const list = [`${at.ten}:80`, `${at.mail}:587`, `[${at.unique6}]:80`, "db.internal:80", ...never];
  const destinations = list.map((text) => parseDestination(text)!);
  await it.guard.ready();
  await it.guard.open(it.other.id, it.other.addresses, []);
  await it.guard.open(it.one.id, it.one.addresses, destinations);
  t.equal(await it.one.dial(at.ten, 80), "reached");
  t.equal(await it.one.dial(at.unique6, 80), "reached");
  t.equal(await it.one.dial(at.mail, 587), "reached");
  t.equal(await it.one.dial(at.home, 80), "reached", "where the name leads");
  t.equal(await it.one.dial(at.ten, 587), "silence", "another port");
  t.equal(await it.one.dial(at.mail, 25), "silence", "another port for mail");
  t.equal(await it.other.dial(at.ten, 80), "silence", "another sandbox");
  t.equal(await it.one.dial(at.metadata, 80), "silence", "metadata");
  t.equal(await it.one.dial(host.v4, it.hostPort), "silence", "this machine");
  t.equal(await it.one.dial(sibling, 3000), "silence", "a sibling");
  await it.guard.allow(it.one.id, []);
  t.equal(await it.one.dial(at.ten, 80), "silence", "taken back");
});

t.test("the operator may open a service of this machine to all", skip, async (t) => {
  const it = await stage(t, { mode: "enforce" });
  const open = new EgressGuard({
    config: {
      mode: "enforce",
      block: [],
      connections: 4_096,
      nameServers: null,
      allow: [parseDestination(`${it.world.host.v4}:${it.hostPort}`)!],
    },
    table: it.table,
    nft,
    network: async () => (await it.engine.network())!,
    nameServers: async () => [],
    lookUp: async () => [],
    logger: silent,
    now: Date.now,
  });
  await open.ready();
  t.equal(await it.one.dial(it.world.host.v4, it.hostPort), "reached");
  t.equal(await it.one.dial(it.world.at.ten, 80), "silence");
});

t.test("to observe is to count what would be blocked", skip, async (t) => {
  const it = await stage(t, { mode: "observe", block: [parseCidr("192.0.2.0/24")!] });
  await it.guard.ready();
  for (const { id, addresses } of [it.one, it.other]) await it.guard.open(id, addresses, []);
  for (const [what, host, port] of await forbidden(it)) t.equal(await it.one.dial(host, port), "reached", what);
  await it.guard.turn();
  const { blocked } = it.guard.of(it.one.id);
  for (const reason of ofTargets) t.ok(blocked[reason] > 0, `${blocked[reason]} packets: ${reason}`);
});

t.test("a flood of connections meets its bound, and the sibling goes on", skip, async (t) => {
  const it = await stage(t, { mode: "enforce", connections: 64 });
  const { at, host } = it.world;
  await it.guard.ready();
  for (const { id, addresses } of [it.one, it.other]) await it.guard.open(id, addresses, []);
  const sibling = await Sibling.start(it.arena);
  for (const target of [at.public, at.public6]) {
    const reached = await sibling.servesDuring(t, it.one.flood(target, 80, 1_000));
    t.ok(reached > 32 && reached <= 64, `${reached} of 1000 connections to ${target}`);
    t.equal(await it.other.dial(target, 80), "reached", "the other sandbox still connects");
  }
  t.equal(await sibling.servesDuring(t, it.one.flood(host.v4, it.hostPort, 1_000)), 0, "none to this machine");
  await it.guard.turn();
  t.ok(it.guard.of(it.one.id).blocked.flood > 0, `${it.guard.of(it.one.id).blocked.flood} packets too many`);
  t.equal(it.guard.of(it.other.id).blocked.flood, 0);
});

t.test("rules hold for what is open already", skip, async (t) => {
  const it = await stage(t, { mode: "enforce" });
  const sibling = it.other.addresses[0]!;
  t.equal(await it.one.ask(sibling, 3000), "reached");
  t.equal(await it.one.ask(sibling, 3000), "reached", "on the same connection");
  await it.guard.ready();
  t.equal(await it.one.ask(sibling, 3000), "silence");
});
