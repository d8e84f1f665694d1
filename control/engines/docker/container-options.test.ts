import t from "tap";
import { anySpec, newId, testSecrets } from "../engine-under-test.ts";
import type { SandboxSpec } from "../sandbox-engine.ts";
import { type ContainerConfig, containerOptions, labels, withoutVolumes } from "./container-options.ts";

const config: ContainerConfig = {
  image: "sandbox:1",
  network: "sandboxes",
  usernsMode: "host",
  runtime: null,
  memoryHigh: false,
  noFile: 65_536,
  hostWorkspaces: "/data/workspaces",
  labels: {},
  secrets: testSecrets,
};
const spec: SandboxSpec = { ...anySpec, id: newId(), env: { A: "1", B: "2" } };
const hash = (changes: Partial<SandboxSpec>, configured: Partial<ContainerConfig> = {}) =>
  containerOptions({ ...spec, ...changes }, { ...config, ...configured }).Labels?.[labels.specification];

t.test("containerOptions() hashes everything that shapes the container", async (t) => {
  t.equal(hash({}), hash({ env: { B: "2", A: "1" } }), "the order of variables does not matter");
  const all = [
    hash({}),
    hash({ env: { A: "1" } }),
    hash({ ports: [3000, 3001] }),
    hash({ image: "other" }),
    hash({ memoryMaxBytes: 1 }),
    hash({ cpu: 1 }),
    hash({}, { usernsMode: "" }),
    hash({}, { noFile: undefined }),
    hash({}, { hostWorkspaces: "/elsewhere" }),
    hash({ memoryHighBytes: 1 }, { memoryHigh: true }),
  ];
  t.equal(new Set(all).size, all.length);
  t.equal(hash({ memoryHighBytes: 1 }), hash({}), "a soft limit that is off shapes nothing");
});

t.test("containerOptions() lets a command run as it is, and leaves the image its own", async (t) => {
  t.match(containerOptions({ ...spec, cmd: ["npm", "start"] }, config), { Cmd: ["npm", "start"], Entrypoint: [] });
  const own = containerOptions(spec, config);
  t.notOk("Cmd" in own || "Entrypoint" in own);
});

t.test("withoutVolumes() puts memory where an image wants disk", async (t) => {
  const options = containerOptions(spec, config);
  t.equal(withoutVolumes(options, []), options);
  t.same(Object.keys(withoutVolumes(options, ["/var/lib/db", "/tmp", "/home/sandbox"]).HostConfig!.Tmpfs!), [
    "/tmp",
    "/var/tmp",
    "/var/lib/db",
  ]);
});
