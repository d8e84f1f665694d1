import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import t, { type Test } from "tap";
import { askRenewal, renewalId, renewalUrlOf } from "./renewal-information.ts";

const { signal } = new AbortController();

/** RFC 9773, appendix A. */
const example = `-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
`;
const exampleId = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";

/** Answers every path with this, and tells the paths. */
async function serve(t: Test, body: unknown, headers: Record<string, string> = {}, status = 200) {
  const paths: string[] = [];
  const server = createServer((request, response) => {
    paths.push(request.url!);
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, paths };
}

const suggestedWindow = { start: "2026-01-02T04:00:00Z", end: "2026-01-03T04:00:00Z" };
const window = { start: Date.parse(suggestedWindow.start), end: Date.parse(suggestedWindow.end) };
const hour = 3_600_000;

t.test("renewalId() is that of the standard's own example", async (t) => {
  t.equal(renewalId(example), exampleId);
});

t.test("askRenewal() reads the window, the reason and when to ask again", async (t) => {
  const explanationURL = "https://ca.example/why";
  const { url, paths } = await serve(t, { suggestedWindow, explanationURL }, { "retry-after": "7200" });
  const told = await askRenewal(`${url}/ari/`, example, signal);
  t.strictSame(told, { window, explanationUrl: explanationURL, askAgainMs: 2 * hour });
  t.strictSame(paths, [`/ari/${exampleId}`]);
});

for (const [retryAfter, askAgainMs] of [
  ["", 6 * hour],
  ["nonsense", 6 * hour],
  ["1", 60_000],
  ["8640000", 24 * hour],
] as const) {
  t.test(`askRenewal() asks again within bounds after ${JSON.stringify(retryAfter)}`, async (t) => {
    const { url } = await serve(t, { suggestedWindow }, { "retry-after": retryAfter });
    t.equal((await askRenewal(url, example, signal)).askAgainMs, askAgainMs);
  });
}

t.test("askRenewal() throws for what is not in the standard's form", async (t) => {
  for (const body of [{}, { suggestedWindow: { start: "soon", end: "later" } }, [], "text"]) {
    const { url } = await serve(t, body);
    await t.rejects(askRenewal(url, example, signal));
  }
  const { url } = await serve(t, { suggestedWindow }, {}, 404);
  await t.rejects(askRenewal(url, example, signal), { name: "AuthorityError" });
});

t.test("renewalUrlOf() is null for a CA that does not tell", async (t) => {
  t.equal(await renewalUrlOf((await serve(t, { newNonce: "https://ca.example/" })).url, signal), null);
  t.equal(
    await renewalUrlOf((await serve(t, { renewalInfo: "https://ca.example/ari" })).url, signal),
    "https://ca.example/ari",
  );
  await t.rejects(renewalUrlOf((await serve(t, "a page")).url, signal), { message: /is not the directory of a CA$/ });
});
