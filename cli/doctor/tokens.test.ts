import t from "tap";
import { judgeTokens } from "./tokens.ts";

const strong = "0123456789abcdef0123456789abcdef";
const facts = { apiAuthDisabled: false, apiSecrets: [strong], previewSecrets: [] as string[] };

const table: [name: string, changes: Partial<typeof facts>, domain: string, expected: object[]][] = [
  ["one token", {}, "example.com", [{ status: "ok", message: /^1 token may/ }]],
  ["an open API in public", { apiAuthDisabled: true }, "example.com", [{ status: "fail", mend: /openssl rand/ }]],
  ["an open API at home", { apiAuthDisabled: true }, "localhost", [{ status: "ok" }]],
  ["no token", { apiSecrets: [] }, "example.com", [{ status: "warn", message: /no token/ }]],
  ["a short token", { apiSecrets: [strong, "hunter2"] }, "example.com", [{ status: "fail", message: /1 of 2/ }]],
  ["a guide's token", { apiSecrets: ["<secret-of-the-builder>"] }, "example.com", [{ status: "fail" }]],
  ["the same letter again and again", { apiSecrets: ["a".repeat(40)] }, "example.com", [{ status: "fail" }]],
  ["preview secrets", { previewSecrets: [strong] }, "example.com", [{}, { status: "ok" }]],
  ["a preview secret of 20 bytes", { previewSecrets: [strong.slice(0, 20)] }, "example.com", [{}, { status: "warn" }]],
  ["a short preview secret", { previewSecrets: ["short"] }, "example.com", [{}, { status: "fail" }]],
];

for (const [name, changes, domain, expected] of table) {
  t.test(`judgeTokens() of ${name}`, async (t) => {
    const verdicts = judgeTokens({ ...facts, ...changes }, { domain });
    t.equal(verdicts.length, expected.length);
    t.match(verdicts, expected);
    const secrets = [...(changes.apiSecrets ?? []), ...(changes.previewSecrets ?? [])];
    for (const secret of secrets) t.notMatch(JSON.stringify(verdicts), secret, "no secret is told");
  });
}
