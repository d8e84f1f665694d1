import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { readConfig as readControlConfig } from "../control/config.ts";
import { readConfig } from "./config.ts";

const none = { SANDBOXD_ENV_FILE: "/no/such/file" };
const read = (variables: Record<string, string>) =>
  readConfig({ dotEnvFile: "/no/such/file" }, { ...none, ...variables });

t.test("readConfig() knows the defaults that control has", async (t) => {
  const control = readControlConfig(none);
  const { tls, entryPoint, httpPort, httpsPort, apiBind, dataDirectory, engine, dockerSocket, image, network } =
    control;
  const same = { tls, entryPoint, httpPort, httpsPort, apiBind, dataDirectory, engine, dockerSocket, image, network };
  t.match(read({}), { ...same, domain: control.origin.domain, dynamicDirectory: control.traefikDynamicDirectory });
  t.strictSame(read({}).gatewayBinds, [control.gatewayBind]);
  t.strictSame(read({}).problems, []);
});

t.test("readConfig() goes on when a value is bad, and says so", async (t) => {
  const config = read({ PREVIEW_TLS: "yes", HTTP_PORT: "x", PREVIEW_DOMAIN: "example.com" });
  t.match(config, { tls: false, httpPort: 80, domain: "example.com" });
  t.match(config.problems, [/PREVIEW_TLS/, /HTTP_PORT/]);
});

t.test("readConfig() lays the process over .env, and that over the stack's file, in either spelling", async (t) => {
  const directory = t.testdir({});
  const [dotEnvFile, file] = [join(directory, ".env"), join(directory, "sandboxd.env")];
  writeFileSync(dotEnvFile, `SANDBOXD_ENV_FILE=${file}\nPREVIEW_DOMAIN=of.dotenv\nSANDBOXED_NETWORK=of-dotenv\n`);
  writeFileSync(file, "PREVIEW_DOMAIN=of.file\nSANDBOXD_NETWORK=of-file\nSANDBOXD_IMAGE=of-file\nHTTP_PORT=\n");
  const config = readConfig({ dotEnvFile }, { PREVIEW_DOMAIN: "of.process" });
  t.match(config, { domain: "of.process", network: "of-dotenv", image: "of-file", httpPort: 80 });
});

t.test("readConfig() tells the secrets from their names and scopes", async (t) => {
  const { apiSecrets } = read({ SANDBOXD_API_TOKENS: "a:one:read, b=two,c:three:of:it" });
  t.strictSame(apiSecrets, ["one", "two", "three:of:it"]);
});

t.test("readConfig() knows what control reads from elsewhere", async (t) => {
  t.strictSame(read({}).remoteUrls, []);
  t.strictSame(read({ SANDBOXD_PREVIEW_JWKS_URL: "https://keys.example/jwks" }).remoteUrls, [
    "https://keys.example/jwks",
  ]);
  const authority = { SANDBOXD_CERT_SOURCE: "acme" };
  t.match(read(authority).remoteUrls, [/^https:\/\/acme-v02\./]);
  const own = { ...authority, SANDBOXD_ACME_DIRECTORY_URL: "https://ca.example/dir" };
  t.strictSame(read(own).remoteUrls, ["https://ca.example/dir"]);
});

t.test("readConfig() finds every gateway", async (t) => {
  const { gatewayBinds } = read({ SANDBOXD_GATEWAY_URL: "http://127.0.0.1:8080, http://[::1]:8081" });
  t.strictSame(gatewayBinds, [
    { host: "127.0.0.1", port: 8080 },
    { host: "::1", port: 8081 },
  ]);
});
