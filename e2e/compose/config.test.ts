/** What docker compose itself makes of the file. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import t from "tap";
import { staticVariables } from "../../control/certificates/static-file.ts";
import { gatewayVariables } from "../../gateway/config.ts";
import { missingPart } from "../parts/parts.ts";

const skip = missingPart("compose");
const cwd = fileURLToPath(new URL("../../", import.meta.url));

type Service = {
  readonly image: string;
  readonly build?: { readonly args: Record<string, string> };
  readonly environment: Record<string, string | null>;
  readonly volumes: readonly { readonly source: string; readonly target: string }[];
};

async function services(variables: Record<string, string> = {}): Promise<Record<string, Service>> {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...variables };
  const command = ["compose", "--env-file", "/dev/null", "config", "--format", "json"];
  const { stdout, stderr } = await promisify(execFile)("docker", command, { cwd, env });
  if (stderr !== "") throw new Error(stderr);
  return JSON.parse(stdout).services;
}

const sources = ({ volumes }: Service) => volumes.map(({ source }) => source);

t.test("docker compose takes the file without a warning, with an empty environment", { skip }, async (t) => {
  const found = await services();
  const names = ["control", "gateway", "gateway-2", "sandbox-image", "traefik", "traefik-config"];
  t.strictSame(Object.keys(found).sort(), names);
  t.equal(found.control!.environment.SANDBOXD_GATEWAY_URL, "http://127.0.0.1:8080,http://127.0.0.1:8081");
  t.equal(found.gateway!.environment.GATEWAY_BIND, "127.0.0.1:8080");
  t.equal(found["gateway-2"]!.environment.GATEWAY_BIND, "127.0.0.1:8081");
});

t.test("docker compose pins every image that comes from elsewhere by a digest", { skip }, async (t) => {
  const digest = `sha256:${"0123456789abcdef".repeat(4)}`;
  const images = { TRAEFIK_IMAGE: `traefik:v3.7@${digest}`, NODE_IMAGE: `node:24-bookworm-slim@${digest}` };
  const { traefik, ...built } = await services(images);
  t.equal(traefik!.image, images.TRAEFIK_IMAGE);
  for (const name of ["control", "gateway", "sandbox-image"])
    t.equal(built[name]!.build!.args.NODE_IMAGE, images.NODE_IMAGE);
});

t.test("docker compose hands the gateways what is written SANDBOXED_X", { skip }, async (t) => {
  // Where they find control, and what else follows from the data directory, is not to be chosen here.
  const fixed = new Set(["SANDBOXD_CONTROL_SOCKET", "SANDBOXD_ENV_FILE", "SANDBOXD_PAGES_DIR"]);
  const names = gatewayVariables.filter((name) => name.startsWith("SANDBOXD_") && !fixed.has(name));
  t.ok(names.length > 10);
  const old = names.map((name) => [name.replace("SANDBOXD_", "SANDBOXED_"), `/value/of/${name}`] as const);
  const { gateway, "gateway-2": second } = await services(Object.fromEntries(old));
  for (const service of [gateway!, second!]) {
    for (const name of names) t.equal(service.environment[name], `/value/of/${name}`, name);
  }
});

t.test("docker compose finds directories by either spelling", { skip }, async (t) => {
  const directories = {
    DATA_DIR: "/srv/data",
    PAGES_DIR: "/srv/pages",
    CERT_DIR: "/srv/certs",
    ENV_DIR: "/srv/etc",
    DOCKER_SOCKET: "/run/user/1000/docker.sock",
  };
  for (const prefix of ["SANDBOXD_", "SANDBOXED_"]) {
    const variables = Object.entries(directories).map(([name, value]) => [`${prefix}${name}`, value]);
    const { control, gateway, traefik, "traefik-config": step } = await services(Object.fromEntries(variables));
    const { DATA_DIR, PAGES_DIR, CERT_DIR, ENV_DIR, DOCKER_SOCKET } = directories;
    for (const source of [DATA_DIR, CERT_DIR, ENV_DIR, DOCKER_SOCKET]) t.ok(sources(control!).includes(source), source);
    for (const source of [`${DATA_DIR}/run`, PAGES_DIR]) t.ok(sources(gateway!).includes(source), source);
    for (const source of [`${DATA_DIR}/traefik`, `${DATA_DIR}/traefik/dynamic`])
      t.ok(sources(traefik!).includes(source));
    t.ok(sources(step!).includes(`${DATA_DIR}/traefik`));
    t.equal(gateway!.environment[`${prefix}PAGES_DIR`], "/pages");
  }
});

t.test("docker compose starts Traefik anew when its static file changes, and only then", { skip }, async (t) => {
  const { traefik, "traefik-config": step } = await services();
  for (const service of [traefik!, step!])
    t.strictSame(Object.keys(service.environment).sort(), [...staticVariables].sort());
});
