import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import t from "tap";
import { staticVariables } from "./control/certificates/static-file.ts";
import { controlVariables, readConfig as readControlConfig } from "./control/config.ts";
import { gatewayVariables, readConfig as readGatewayConfig } from "./gateway/config.ts";

const text = readFileSync(join(import.meta.dirname, ".env.example"), "utf8");
const active = parseEnv(text);
/** With every default written out. */
const whole = parseEnv(text.replace(/^# (?=[A-Z0-9_]+=)/gm, ""));
const noFile = { SANDBOXD_ENV_FILE: "/no/such/file" };
/** For docker compose itself. */
const composeVariables = [
  "SANDBOXD_ENV_DIR",
  "GATEWAY_2_BIND",
  "TRAEFIK_IMAGE",
  "NODE_IMAGE",
  "SANDBOXD_CONTROL_IMAGE",
  "SANDBOXD_CONTROL_PID",
  "SANDBOXD_GATEWAY_IMAGE",
];

t.test(".env.example names every variable that is read, and no other", async (t) => {
  const known = new Set([...controlVariables, ...gatewayVariables, ...staticVariables, ...composeVariables]);
  t.same(Object.keys(whole).sort(), [...known].sort());
});

t.test(".env.example names each default as the code has it", async (t) => {
  t.same(readControlConfig({ ...whole, ...noFile, SANDBOXD_API_AUTH_DISABLED: "" }), readControlConfig(noFile));
  t.same(readGatewayConfig({ ...whole, ...noFile }), readGatewayConfig(noFile));
});

t.test(".env.example sets nothing but what a first start needs", async (t) => {
  t.same({ ...active }, { SANDBOXD_API_AUTH_DISABLED: "true" });
});
