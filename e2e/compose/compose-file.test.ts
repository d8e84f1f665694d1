import { readFileSync } from "node:fs";
import t from "tap";
import { parse } from "yaml";
import { staticVariables } from "../../control/certificates/static-file.ts";
import { controlVariables } from "../../control/config.ts";
import { gatewayVariables } from "../../gateway/config.ts";

type Service = {
  environment?: string[];
  volumes?: (string | object)[];
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  restart?: string;
  logging?: object;
  ports?: string[];
  privileged?: boolean;
};

const text = readFileSync(new URL("../../docker-compose.yml", import.meta.url), "utf8");
const services: Record<string, Service> = parse(text, { merge: true }).services;
const namesOf = (service: string) => (services[service]?.environment ?? []).map((entry) => entry.replace(/=.*/s, ""));

const passed: Record<string, readonly string[]> = {
  control: controlVariables,
  gateway: gatewayVariables,
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

t.test("docker-compose.yml starts what goes on for ever again, and bounds its log", async (t) => {
  for (const name of ["traefik", "gateway", "control"]) {
    t.match(services[name], { restart: "unless-stopped", logging: { options: { "max-size": String } } }, name);
  }
});
