import { readFileSync } from "node:fs";
import t from "tap";
import { parse } from "yaml";
import { staticVariables } from "../../control/certificates/static-file.ts";
import { controlVariables } from "../../control/config.ts";
import { gatewayVariables } from "../../gateway/config.ts";

type Service = {
  environment?: Record<string, string | null>;
  volumes?: (string | object)[];
  read_only?: boolean;
  cap_drop?: string[];
  cap_add?: string[];
  image?: string;
  user?: string;
  security_opt?: string[];
  restart?: string;
  logging?: object;
  ports?: string[];
  privileged?: boolean;
};

const text = readFileSync(new URL("../../docker-compose.yml", import.meta.url), "utf8");
const services: Record<string, Service> = parse(text, { merge: true }).services;
const namesOf = (service: string) => Object.keys(services[service]?.environment ?? {});

const passed: Record<string, readonly string[]> = {
  control: controlVariables,
  gateway: gatewayVariables,
  "gateway-2": gatewayVariables,
  traefik: staticVariables,
  "traefik-config": staticVariables,
};
for (const [service, variables] of Object.entries(passed)) {
  t.test(`docker-compose.yml passes every variable to ${service}`, async (t) => {
    t.strictSame(
      variables.filter((name) => !namesOf(service).includes(name)),
      [],
    );
  });
}

t.test("docker-compose.yml gives Traefik no variable that would replace its file", async (t) => {
  t.strictSame(
    namesOf("traefik").filter((name) => name.startsWith("TRAEFIK_")),
    [],
  );
});

t.test("docker-compose.yml gives the engine's socket to control alone", async (t) => {
  const holders = Object.entries(services).filter(([, { volumes = [] }]) =>
    JSON.stringify(volumes).includes("docker.sock"),
  );
  t.strictSame(
    holders.map(([name]) => name),
    ["control"],
  );
});

t.test("docker-compose.yml gives no service more than it needs", async (t) => {
  for (const [name, service] of Object.entries(services)) {
    t.match(service, { read_only: true, cap_drop: ["ALL"], security_opt: ["no-new-privileges:true"] }, name);
    t.notOk(service.privileged, name);
  }
});

t.test("docker-compose.yml and what it builds name no image that cannot be pinned from outside", async (t) => {
  for (const [name, { image }] of Object.entries(services))
    t.match(image, /^\$\{\w+_IMAGE:-|^sandboxd\/sandbox:/, name);
  for (const folder of ["control", "gateway", "sandbox"]) {
    const dockerfile = readFileSync(new URL(`../../${folder}/Dockerfile`, import.meta.url), "utf8");
    t.match(dockerfile.match(/^FROM .*$/gm), [/^FROM \$\{NODE_IMAGE\}$/], folder);
  }
});

t.test("docker-compose.yml runs as root what has to be, and nothing else", async (t) => {
  t.match(readFileSync(new URL("../../gateway/Dockerfile", import.meta.url), "utf8"), /^USER 10001:10001$/m);
  for (const name of ["gateway", "gateway-2"]) t.equal(services[name]?.user, undefined, "the image's own");
  t.strictSame(services.traefik?.cap_add, ["NET_BIND_SERVICE"]);
  t.strictSame(services.control?.cap_add, ["CHOWN", "DAC_OVERRIDE", "FOWNER", "NET_ADMIN"]);
  const others = Object.entries(services).filter(([name]) => !["traefik", "control"].includes(name));
  for (const [name, service] of others) t.equal(service.cap_add, undefined, name);
});

t.test("docker-compose.yml starts what goes on for ever again, and bounds its log", async (t) => {
  for (const name of ["traefik", "gateway", "gateway-2", "control"]) {
    t.match(services[name], { restart: "unless-stopped", logging: { options: { "max-size": String } } }, name);
  }
});
