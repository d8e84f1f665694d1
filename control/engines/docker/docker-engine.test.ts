import { once } from "node:events";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { carry } from "../../../e2e/door.ts";
import { dockerSocket, missingPart } from "../../../e2e/parts/parts.ts";
import { engineContract } from "../engine-contract.ts";
import { anySpec, get, newId, serverProgram, texts, until } from "../engine-under-test.ts";
import type { EngineEvent, SandboxSpec } from "../sandbox-engine.ts";
import { containerName, labels } from "./container-options.ts";
import { type DockerEngineOptions, openDockerEngine } from "./docker-engine.ts";
import { docker, dockerTest } from "./docker-test.ts";

t.test("the docker engine", { skip: missingPart("images") }, async (t) => {
  const config = await dockerTest(t);
  engineContract(t, {
    makeEngine: async (t, dataDir) => {
      const engine = await openDockerEngine({ ...config, dataDir, hostDataDir: dataDir });
      t.teardown(() => engine.close());
      return engine;
    },
    node: "node",
    home: () => "/home/sandbox",
    host: "0.0.0.0",
    absentCommand: "exit 127",
    // The daemon itself takes a second to clear up on a busy machine.
    noticeMs: 5_000,
  });
  containerTests(t, config);
  observationTests(t, config);
});

type Config = Awaited<ReturnType<typeof dockerTest>>;

async function open(t: Test, config: Config, changes: Partial<DockerEngineOptions> = {}) {
  const dataDir = await mkdtemp(join(tmpdir(), "docker-engine-"));
  t.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const { socketPath, asked } = await openDoor(t, dataDir);
  const engine = await openDockerEngine({ ...config, socketPath, dataDir, hostDataDir: dataDir, ...changes });
  t.teardown(() => engine.close());
  const events: EngineEvent[] = [];
  engine.watch((event) => events.push(event));
  const ensure = async (changes: Partial<SandboxSpec> = {}): Promise<SandboxSpec> => {
    const spec = { ...anySpec, id: newId(), ...changes };
    t.teardown(() => engine.remove(spec.id, { workspace: true }));
    await engine.ensure(spec);
    return spec;
  };
  const container = ({ id }: SandboxSpec) => docker.getContainer(containerName(id));
  return { engine, dataDir, events, ensure, container, asked };
}

/** A way to the daemon that notes what is asked of it. */
async function openDoor(t: Test, directory: string) {
  const asked: string[] = [];
  const socketPath = join(directory, "door.sock");
  const server = createServer();
  server.on("connection", (socket) =>
    socket.on("data", (chunk) => {
      for (const [line] of chunk.toString("latin1").matchAll(/^[A-Z]+ \S+(?= HTTP\/1\.1\r$)/gm)) asked.push(line);
    }),
  );
  carry(server, () => connect(dockerSocket)).listen(socketPath);
  await once(server, "listening");
  t.teardown(() => server.close());
  return { socketPath, asked };
}

function containerTests(t: Test, config: Config): void {
  t.test("ensure() makes one network, whoever comes at once and whatever was left", async (t) => {
    const network = `${config.network}-once`;
    const { ensure, engine } = await open(t, config, { network });
    const named = async () => (await docker.listNetworks({ filters: { name: [network] } })).length;
    await Promise.all(Array.from({ length: 6 }, () => ensure()));
    t.equal(await named(), 1);
    const again = { Name: network, Driver: "bridge", CheckDuplicate: false, Labels: { ...config.labels } };
    await docker.createNetwork(again);
    t.equal(await named(), 2, "the daemon makes a second one");
    const spec = await ensure();
    t.equal((await engine.setDesired(spec.id, "running")).state, "running");
    t.equal(await named(), 1);
  });

  t.test("ensure() makes a container with nothing to gain and little to use up", async (t) => {
    const { ensure, container, dataDir } = await open(t, config);
    const spec = await ensure({ ports: [3000, 8080], env: { COLOR: "blue" }, memoryMaxBytes: 10 * 2 ** 30, cpu: 1.5 });
    const { Name, Config, HostConfig, NetworkSettings, Mounts } = await container(spec).inspect();
    t.equal(Name, `/s-${spec.id.toLowerCase()}`);
    t.match(Config.Labels, { "sandboxed.managed": "true", "sandboxed.id": spec.id });
    t.equal(Config.User, "1000:1000");
    t.equal(Config.WorkingDir, "/home/sandbox/workspace/app");
    t.match(Config, { StopSignal: "SIGTERM" });
    for (const variable of ["COLOR=blue", "PORT=3000", "PORT_3000=3000", "PORT_8080=8080", "HOST=0.0.0.0"]) {
      t.ok(Config.Env.includes(variable), variable);
    }
    t.same(HostConfig.CapDrop, ["ALL"]);
    t.notOk(HostConfig.CapAdd);
    t.notOk(HostConfig.Privileged);
    t.same(HostConfig.SecurityOpt, ["no-new-privileges"]);
    t.equal(HostConfig.ReadonlyRootfs, true);
    t.same(HostConfig.Tmpfs, {
      "/tmp": "rw,exec,nosuid,nodev,size=512m,mode=1777",
      "/var/tmp": "rw,exec,nosuid,nodev,size=128m,mode=1777",
    });
    t.match(Mounts, [{ Type: "bind", Source: join(dataDir, "workspaces", spec.id), Destination: "/home/sandbox" }]);
    t.equal(Mounts.length, 1);
    t.equal(HostConfig.Memory, 10 * 2 ** 30);
    t.equal(HostConfig.MemorySwap, 10 * 2 ** 30);
    t.equal(HostConfig.PidsLimit, 1024);
    t.equal(HostConfig.CpuShares, 100);
    t.equal(HostConfig.NanoCpus, 1.5e9);
    t.equal(HostConfig.Init, true);
    t.equal(HostConfig.UsernsMode, "host");
    t.notOk(HostConfig.PublishAllPorts);
    t.same(HostConfig.PortBindings ?? {}, {});
    t.same(Object.keys(NetworkSettings.Networks), [config.network]);
    t.same(HostConfig.LogConfig, { Type: "json-file", Config: { "max-size": "10m", "max-file": "2" } });
    t.equal(HostConfig.RestartPolicy?.Name, "no");
    const [limit] = HostConfig.Ulimits ?? [];
    t.match(limit, { Name: "nofile" });
    t.ok(Number(limit?.Hard) > 0 && Number(limit?.Hard) <= 65_536);
    t.equal(limit?.Soft, limit?.Hard);
    const network = await docker.getNetwork(config.network).inspect();
    t.match(network.Options, { "com.docker.network.bridge.enable_icc": "false" });
  });

  t.test("ensure() takes user namespaces, runtime and soft limit from the configuration", async (t) => {
    const { engine, ensure, container } = await open(t, config, {
      usernsMode: "",
      runtime: "runc",
      memoryHigh: true,
    });
    const spec = await ensure({ memoryHighBytes: 2 ** 27 });
    const { Config, HostConfig } = await container(spec).inspect();
    t.equal(HostConfig.UsernsMode, "");
    t.equal(HostConfig.Runtime, "runc");
    t.equal(Config.Labels[labels.memoryHigh], String(2 ** 27));
    t.match((await engine.capabilities()).details, { memoryHigh: /set after each start|not set: it needs cgroup v2/ });
    t.match(await engine.setDesired(spec.id, "running"), { state: "running" });
  });

  t.test("a sandbox writes to its workspace and to nothing else on disk", async (t) => {
    const { engine, ensure } = await open(t, config);
    const program = `
      const fs = require("node:fs");
      for (const path of ["/home/sandbox/a", "a", "/tmp/a", "/var/tmp/a", "/etc/a", "/usr/local/a", "/var/a", "/a", "/dev/a"]) {
        try { fs.writeFileSync(path, ""); console.log("wrote " + path) } catch (error) { console.log(error.code + " " + path) }
      }
      console.log(fs.readFileSync("/proc/self/status", "utf8").match(/^(CapEff|CapBnd|NoNewPrivs|Uid).*/gm).join("\\n"));`;
    const spec = await ensure({ cmd: ["node", "-e", program] });
    await engine.setDesired(spec.id, "running");
    const lines = await until("all lines", async () => {
      const lines = await texts(engine.logs(spec.id, {}));
      return lines.some((line) => line.startsWith("NoNewPrivs")) && lines;
    });
    t.same(
      lines.filter((line) => line.startsWith("wrote")),
      ["wrote /home/sandbox/a", "wrote a", "wrote /tmp/a", "wrote /var/tmp/a"],
    );
    t.ok(lines.includes("CapEff:\t0000000000000000"));
    t.ok(lines.includes("CapBnd:\t0000000000000000"));
    t.ok(lines.includes("NoNewPrivs:\t1"));
    t.ok(lines.includes("Uid:\t1000\t1000\t1000\t1000"));
  });

  t.test("ensure() seeds a workspace once, for the sandbox's user", async (t) => {
    const { engine, ensure, dataDir } = await open(t, config);
    const spec = await ensure();
    const workspace = join(dataDir, "workspaces", spec.id);
    t.same((await readdir(workspace)).sort(), [".profile", "workspace"]);
    for (const path of ["", ".profile", "workspace", "workspace/app"]) {
      t.match(await stat(join(workspace, path)), { uid: 1000, gid: 1000 }, path);
    }
    t.same(await readdir(join(dataDir, "workspaces")), [spec.id], "nothing is left beside it");
    await rm(join(workspace, ".profile"));
    await engine.ensure({ ...spec, env: { COLOR: "blue" } });
    t.same(await readdir(workspace), ["workspace"], "what is there is left alone");
    await engine.remove(spec.id, { workspace: true });
    t.same(await readdir(join(dataDir, "workspaces")), []);
  });

  t.test("ensure() says image_not_found, changes nothing and pulls nothing", async (t) => {
    const { engine, ensure, dataDir } = await open(t, config);
    const spec = await ensure();
    const image = "sandboxd/no-such-image:latest";
    await t.rejects(engine.ensure({ ...spec, image }), { code: "image_not_found", message: /never pulled/ });
    t.match(await engine.inspect(spec.id), { state: "exited", runtime: { image: config.image } });
    await t.rejects(ensure({ image }), { code: "image_not_found" });
    t.same(await readdir(join(dataDir, "workspaces")), [spec.id]);
  });

  t.test("ensure() of an unchanged sandbox needs no image", async (t) => {
    const { engine, ensure } = await open(t, config);
    const image = `${config.network}:gone`;
    await docker.getImage(config.image).tag({ repo: config.network, tag: "gone" });
    const spec = await ensure({ image });
    await docker.getImage(image).remove();
    await engine.ensure(spec);
    t.match(await engine.setDesired(spec.id, "running"), { state: "running", runtime: { image } });
  });

  t.test("the start of a stopped sandbox asks the daemon for the start and for the address, and no more", async (t) => {
    const { engine, ensure, asked, container } = await open(t, config);
    const spec = await ensure();
    await engine.setDesired(spec.id, "running");
    await engine.setDesired(spec.id, "stopped", { graceSeconds: 10 });
    asked.length = 0;
    await engine.ensure(spec);
    await engine.setDesired(spec.id, "running");
    const name = containerName(spec.id);
    t.same(
      asked.filter((line) => !line.includes("/exec")).map((line) => line.replace(/\/v[\d.]+\//, "/")),
      [`POST /containers/${name}/start`, `GET /containers/${name}/json`],
    );
    await engine.setDesired(spec.id, "stopped", { graceSeconds: 0 });
    await container(spec).remove();
    await engine.ensure(spec);
    t.match(await engine.setDesired(spec.id, "running"), { state: "running" }, "what somebody removed is made again");
  });

  t.test("the image answers on its port without a command, and runs an app as soon as there is one", async (t) => {
    const { engine, ensure, dataDir } = await open(t, config);
    const spec = await ensure();
    const { endpoints } = await engine.setDesired(spec.id, "running");
    const url = `http://${endpoints[0]!.address}:3000/`;
    const response = await until("the placeholder", () => fetch(url).catch(() => undefined));
    t.match(await response.text(), /Put your app here/);
    const app = join(dataDir, "workspaces", spec.id, "workspace", "app", "server.js");
    const says = 'require("child_process").execSync("git --version && pnpm --version && yarn --version")';
    await writeFile(app, `require("http").createServer((_, s) => s.end(${says})).listen(process.env.PORT)`);
    const said = await until("the app", async () => {
      const text = await fetch(url).then(
        (answer) => answer.text(),
        () => "",
      );
      return text.startsWith("git version") ? text : undefined;
    });
    t.match(said, /^git version \d+\.\d+.*\n\d+\.\d+.*\n\d+\.\d+/);
    t.match(await engine.setDesired(spec.id, "stopped", { graceSeconds: 10 }), { exit: { code: 0 } });
  });
}

function observationTests(t: Test, config: Config): void {
  t.test("listeners() tells loopback from the rest and leaves Docker's resolver out", async (t) => {
    const { engine, ensure } = await open(t, config);
    const program = `${serverProgram}
      require("node:net").createServer().listen(5432, "127.0.0.1");
      require("node:net").createServer().listen(5433, "::1").on("error", () => {});
      require("node:net").createServer().listen(9000, "::", () => console.log("all"));`;
    const spec = await ensure({ cmd: ["node", "-e", program] });
    await engine.setDesired(spec.id, "running");
    await until("all listeners", async () => (await texts(engine.logs(spec.id, {}))).includes("all"));
    await get((await engine.inspect(spec.id)).endpoints[0]);
    const { reachable, loopbackOnly } = await engine.listeners(spec.id);
    t.same(reachable, [3000, 9000]);
    t.ok(loopbackOnly.includes(5432));
    t.same(
      loopbackOnly.filter((port) => port !== 5432 && port !== 5433),
      [],
    );
  });

  t.test("watch() tells that memory ran out", async (t) => {
    const { engine, events, ensure } = await open(t, config);
    const hungry = "const all = []; for (;;) all.push(Buffer.alloc(8 * 2 ** 20, 1));";
    const spec = await ensure({ cmd: ["node", "-e", hungry], memoryMaxBytes: 64 * 2 ** 20 });
    await engine.setDesired(spec.id, "running");
    const ended = await until("the end", () => events.find(({ type }) => type === "ended"), 30_000);
    t.match(ended, { exit: { signal: "SIGKILL", outOfMemory: true } });
    t.match(await engine.inspect(spec.id), { exit: { signal: "SIGKILL", outOfMemory: true } });
  });

  t.test("watch() tells of a container that somebody else starts and ends", async (t) => {
    const { events, ensure, container } = await open(t, config);
    const spec = await ensure({ cmd: ["node", "-e", serverProgram] });
    await container(spec).start();
    await container(spec).kill();
    await until("the end", () => events.length === 2);
    t.match(events, [
      { type: "started", id: spec.id },
      { type: "ended", id: spec.id, exit: { signal: "SIGKILL", outOfMemory: false } },
    ]);
  });

  t.test("capabilities() reports what the daemon is and what it lowers", async (t) => {
    const { engine, ensure, container } = await open(t, config);
    const { pause, details } = await engine.capabilities();
    t.equal(pause, true);
    t.match(details, { apiVersion: /^1\.\d+$/, memoryHigh: "off", disk: "no quota", cgroupVersion: /[12]/ });
    const { HostConfig } = await container(await ensure()).inspect();
    t.match(details.openFiles, String(HostConfig.Ulimits![0]!.Hard));
  });

  t.test("list() leaves the containers of others alone", async (t) => {
    const { engine, ensure } = await open(t, config);
    const other = await open(t, { ...config, labels: { ...config.labels, "sandboxed.test.other": "yes" } });
    const [mine, theirs] = [await ensure(), await other.ensure()];
    t.same(
      (await other.engine.list()).map(({ id }) => id),
      [theirs.id],
    );
    t.ok((await engine.list()).some(({ id }) => id === mine.id));
  });

  t.test("close() leaves containers running", async (t) => {
    const { engine, ensure, container } = await open(t, config);
    const spec = await ensure({ cmd: ["node", "-e", serverProgram] });
    const running = await engine.setDesired(spec.id, "running");
    await engine.close();
    t.equal((await container(spec).inspect()).State.Running, true);
    const next = await open(t, config);
    t.same(await next.engine.inspect(spec.id), running);
    await next.engine.remove(spec.id, { workspace: false });
  });
}
