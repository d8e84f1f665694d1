import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { eventually } from "../../certificates/testing/traefik.ts";
import { startControl } from "../../testing/control.ts";

const tls = { PREVIEW_TLS: "true", PREVIEW_ENTRYPOINT: "websecure", PREVIEW_DOMAIN: "example.com", HTTPS_PORT: "1" };
const path = "/v1/certificate";

t.test("GET /v1/certificate tells the operator all but the key", async (t) => {
  const control = await startControl(t, tls);
  const { status, body, text } = await control.call("GET", path);
  t.equal(status, 200);
  t.match(body, {
    ...{ tls: true, source: "self-signed", from: "self-signed" },
    names: ["*.preview.example.com", "preview.example.com"],
    issuer: /sandboxd local CA/,
    fingerprint: /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/,
    not_before: /^\d{4}-.*Z$/,
    not_after: /^\d{4}-.*Z$/,
    next_renewal_at: /^\d{4}-.*Z$/,
    ...{ last_error: null, trust_anchor: join(control.directory, "certificates", "ca.pem"), files: [] },
  });
  t.ok(body.not_before < body.next_renewal_at && body.next_renewal_at < body.not_after);
  t.notMatch(text, "PRIVATE KEY");
});

t.test("GET /v1/certificate says that there is none without TLS", async (t) => {
  const control = await startControl(t);
  const { body } = await control.call("GET", path);
  t.match(body, { tls: false, source: null, names: [], issuer: null, not_after: null, served: null, files: [] });
});

t.test("GET /v1/certificate names a file that is in the way, and so does the metric", async (t) => {
  const control = await startControl(t);
  await writeFile(join(control.directory, "traefik", "dynamic", "foreign.yml"), "http: [");
  await eventually(async () => (await control.call("GET", path)).body.files.length > 0);
  const { files } = (await control.call("GET", path)).body;
  t.match(files, [{ file: "foreign.yml", problem: /^does not parse/ }]);
  t.match((await control.call("GET", "/metrics")).text, '\nsandboxd_traefik_bad_file{file="foreign.yml"} 1\n');
});

t.test("GET /v1/certificate says what failed while nothing could be had, and so do the metrics", async (t) => {
  const acme = {
    SANDBOXD_CERT_SOURCE: "acme",
    SANDBOXD_ACME_DIRECTORY_URL: "http://127.0.0.1:1/dir",
    SANDBOXD_ACME_DNS: "exec",
    SANDBOXD_ACME_EXEC: "/bin/false",
  };
  const control = await startControl(t, { ...tls, ...acme });
  await eventually(async () => (await control.call("GET", path)).body.last_error !== null);
  const { body } = await control.call("GET", path);
  t.match(body, {
    ...{ tls: true, source: "acme", from: null, names: [], not_after: null },
    last_error: { at: /Z$/, message: /^the CA does not answer: ECONNREFUSED/ },
  });
  t.ok(new Date(body.next_renewal_at) > new Date());
  const { text } = await control.call("GET", "/metrics");
  t.match(text, "\nsandboxd_certificate_failed 1\n");
  t.match(text, /\nsandboxd_certificate_next_renewal_seconds \d+/);
  t.notMatch(text, /\nsandboxd_certificate_not_after_seconds \d/);
});

t.test("GET /v1/certificate is for administrators at the edge", async (t) => {
  const control = await startControl(t, { SANDBOXD_API_TOKENS: "ada:ada-secret,eve:eve-secret:sandboxes" });
  const host = "api.preview.localhost";
  const as = (secret: string) => ({ headers: { host, authorization: `Bearer ${secret}` } });
  t.equal((await control.callSocket("GET", path, as("ada-secret"))).status, 200);
  t.equal((await control.callSocket("GET", path, as("eve-secret"))).status, 403);
  t.equal((await control.callSocket("GET", path, { headers: { host } })).status, 401);
});

t.test("GET /metrics tells when the certificate ends", async (t) => {
  const control = await startControl(t, tls);
  const { body } = await control.call("GET", path);
  const { text } = await control.call("GET", "/metrics");
  t.match(text, `\nsandboxd_certificate_not_after_seconds ${Date.parse(body.not_after) / 1000}\n`);
  t.match(text, "\nsandboxd_certificate_failed 0\n");
});
