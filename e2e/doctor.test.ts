/** `sandboxd doctor` on a real stack, whole and with parts of it gone. */
import { execFile } from "node:child_process";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { stringify } from "yaml";
import type { Finding } from "../cli/doctor/doctor.ts";
import { eventually } from "./main-loop.ts";
import { missingPart } from "./parts/parts.ts";
import { startStack } from "./stack.ts";

const skip = missingPart("traefik");
t.setTimeout(600_000);
const program = join(import.meta.dirname, "..", "cli", "main.ts");

type Stack = Awaited<ReturnType<typeof startStack>>;

/** A doctor for this stack, which must not take longer than five seconds whatever it finds. */
function doctorOf(t: Test, stack: Stack, variables: NodeJS.ProcessEnv = {}) {
  const env = {
    PATH: process.env.PATH,
    SANDBOXD_ENV_FILE: "/none",
    SANDBOXD_ENGINE: "process",
    SANDBOXD_DATA_DIR: join(stack.directory, "data"),
    SANDBOXD_API_BIND: stack.api,
    SANDBOXD_API_TOKENS: "ci:0123456789abcdef0123456789abcdef",
    PREVIEW_DOMAIN: stack.domain,
    PREVIEW_TLS: "true",
    PREVIEW_ENTRYPOINT: "websecure",
    HTTP_PORT: String(stack.traefik.web),
    HTTPS_PORT: String(stack.httpsPort),
    EDGE_INTERNAL_BIND: `127.0.0.1:${stack.traefik.internal}`,
    SANDBOXD_GATEWAY_URL: `http://${stack.gatewayAddress}`,
    ...variables,
  };
  return async (): Promise<{ code: number; of(name: string): Finding[] }> => {
    const begin = performance.now();
    const { code, stdout } = await new Promise<{ code: number; stdout: string }>((resolve) => {
      execFile(process.execPath, [program, "doctor", "--json"], { env }, (error, stdout) =>
        resolve({ code: Number(error?.code ?? 0), stdout }),
      );
    });
    t.ok(performance.now() - begin < 5_000, `in ${Math.round(performance.now() - begin)} ms`);
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    return { code, of: (name) => findings.filter((each) => each.name === name) };
  };
}

t.test("sandboxd doctor of a stack that is well", { skip }, async (t) => {
  const stack = await startStack(t, { SANDBOXD_ENGINE: "process" });
  const { of } = await doctorOf(t, stack)();
  t.match(of("ports"), [
    { status: "ok", message: /sends visitors/ },
    { status: "ok", message: /leads to the gateway/ },
  ]);
  t.match(of("certificate")[0], { status: "warn", message: /only whoever trusts O=sandboxd, CN=sandboxd local CA/ });
  for (const name of ["traefik", "gateways", "control", "tokens", "binds"]) t.match(of(name), [{ status: "ok" }], name);
  t.match(of("configuration"), [{ status: "ok" }]);
  // There is no such domain: the one thing that is wrong.
  t.match(of("dns"), [{ status: "fail" }]);
});

t.test("sandboxd doctor of a stack without control", { skip }, async (t) => {
  const stack = await startStack(t, { SANDBOXD_ENGINE: "process" });
  const doctor = doctorOf(t, stack);
  // Every worker of the gateway has to have heard of it once.
  for (let well = 0; well < 5; ) well = (await doctor()).of("gateways")[0]!.status === "ok" ? well + 1 : 0;
  await stack.control.stop("SIGKILL");
  const { code, of } = await doctor();
  t.equal(code, 1);
  t.match(of("control"), [{ status: "fail", message: /ECONNREFUSED/, mend: /up -d control/ }]);
  t.match(of("certificate")[1], { status: "warn", message: /control does not answer/ });
  for (const name of ["traefik", "gateways"]) t.match(of(name), [{ status: "ok" }], name);
});

t.test("sandboxd doctor of a stack without its gateway", { skip }, async (t) => {
  const stack = await startStack(t, { SANDBOXD_ENGINE: "process" });
  await stack.gateway.stop();
  const { of } = await doctorOf(t, stack)();
  t.match(of("gateways"), [{ status: "fail", mend: /gateway/ }]);
  t.match(of("ports")[1], { status: "fail", message: /reaches no gateway/ });
  t.match(of("control"), [{ status: "ok" }]);
});

t.test("sandboxd doctor of a stack without Traefik", { skip }, async (t) => {
  const stack = await startStack(t, { SANDBOXD_ENGINE: "process" });
  await stack.traefik.stop();
  const { of } = await doctorOf(t, stack)();
  t.match(of("ports"), [
    { status: "fail", message: /nothing listens/ },
    { status: "fail", message: /nothing listens/ },
  ]);
  t.match(of("traefik"), [{ status: "fail", mend: "docker compose up -d traefik" }]);
  t.match(of("certificate")[0], { status: "fail", message: /no handshake/ });
  for (const name of ["gateways", "control"]) t.match(of(name), [{ status: "ok" }], name);
});

t.test("sandboxd doctor names the file that freezes Traefik, and what is frozen", { skip }, async (t) => {
  const stack = await startStack(t, { SANDBOXD_ENGINE: "process" });
  const dynamic = join(stack.directory, "data", "traefik", "dynamic");
  await writeFile(join(dynamic, "wake.yml"), "http: {routers: {");
  await rm(join(dynamic, "api.yml"));
  const doctor = doctorOf(t, stack);
  t.match((await doctor()).of("traefik"), [
    { status: "fail", message: /wake\.yml is not YAML/, mend: `rm ${join(dynamic, "wake.yml")}` },
  ]);
  const api = { rule: "Host(`x.test`)", entryPoints: ["websecure"], service: "gateway" };
  await writeFile(join(dynamic, "api.yml"), stringify({ http: { routers: { api } } }));
  t.match((await doctor()).of("traefik")[0], { status: "fail", message: /goes on with an older api\.yml/ });
  // Whole, or Traefik may read it while it is empty, and be free for a moment.
  await writeFile(join(stack.directory, "wake.yml"), "http: {routers: {}}\n");
  await rename(join(stack.directory, "wake.yml"), join(dynamic, "wake.yml"));
  const [frozen, why] = (await doctor()).of("traefik");
  t.match(frozen, { status: "fail", message: /goes on with an older api\.yml/ }, "Traefik does not take it either");
  t.match(why, { status: "fail", message: /wake\.yml has an empty http\.routers/ });
  await rm(join(dynamic, "wake.yml"));
  await eventually(async () => (await doctor()).of("traefik")[0]?.status === "ok");
});

t.test("sandboxd doctor compares Traefik's static file with the environment", { skip }, async (t) => {
  const stack = await startStack(t, { SANDBOXD_ENGINE: "process" });
  const doctor = doctorOf(t, stack, { TRUSTED_PROXIES: "192.0.2.0/24", PREVIEW_HTTP3: "true" });
  t.match((await doctor()).of("traefik"), [
    { status: "fail", message: "web trusts nobody instead of 192.0.2.0/24" },
    { status: "fail", message: /^websecure trusts/ },
    { status: "fail", message: /HTTP\/3/ },
  ]);
});

t.test("sandboxd doctor asks the real engine", { skip: missingPart("traefik", "docker", "images") }, async (t) => {
  const stack = await startStack(t, { SANDBOXD_ENGINE: "process" });
  const docker = { SANDBOXD_ENGINE: "docker", SANDBOXD_IMAGE: "node:24-bookworm-slim", SANDBOXD_NETWORK: "bridge" };
  const [answers, network] = (await doctorOf(t, stack, docker)()).of("engine");
  t.match(answers, { status: "ok", message: /^Docker \d/ });
  t.match(network, { status: "fail", message: /on the network bridge sandboxes reach each other/ });
  const missing = { ...docker, SANDBOXD_IMAGE: "no/such:image", SANDBOXD_RUNTIME: "no-such-runtime" };
  const found = (await doctorOf(t, stack, missing)()).of("engine").map(({ message }) => message);
  t.ok(found.some((message) => message.startsWith("it has no runtime no-such-runtime")));
  t.ok(found.some((message) => message.startsWith("the image no/such:image is not there")));
});
