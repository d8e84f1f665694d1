import t from "tap";
import { decodeKeyAnswer, decodeRefusalReport, decodeShareOutcome, decodeShareRequest } from "./access.ts";
import { decodeRouteMessage } from "./gateway-api.ts";

const id = "01JB2Q8Z6X3V9K4M7N0P5R1S2T";
const settings = {
  ...{ secure: true, sessionKey: "k", keysMayGrow: false, redirectUrl: null, denyMode: "redirect" },
  keys: [
    { alg: "HS256", kid: "a", fingerprint: "f", secret: "s" },
    { alg: "EdDSA", kid: "b", fingerprint: "g", jwk: { kty: "OKP", crv: "Ed25519", x: "x" } },
  ],
};
const revocations = [
  { kind: "share", share: "s", until: 1 },
  { kind: "jti", jti: "j", until: 1 },
  { kind: "kid", kid: "k", until: null },
  { kind: "subject", subject: "u", sandboxId: null, at: 1, until: 2 },
  { kind: "sandbox", sandboxId: id, at: 1, until: 2 },
];
const access = { type: "access", settings, revocations };

function roundTrips(name: string, decode: (text: string) => unknown, values: readonly object[]): void {
  t.test(`${name}() takes what the contract says about access and no field more`, async (t) => {
    for (const value of values) {
      t.same(decode(JSON.stringify(value)), value);
      t.throws(() => decode(JSON.stringify({ ...value, more: 1 })), { name: "DecodeError" });
    }
    for (const bad of ["", "null", "[]", "{}"]) t.throws(() => decode(bad), { name: "DecodeError" }, bad);
  });
}

roundTrips("decodeRouteMessage", decodeRouteMessage, [
  access,
  ...revocations.map((revocation) => ({ type: "revocation", revocation })),
]);
roundTrips("decodeShareRequest", decodeShareRequest, [{ token: "t", id, port: 3000, spend: true }]);
roundTrips("decodeShareOutcome", decodeShareOutcome, [
  { outcome: "granted", share: "s", port: null, expiresAt: 2, issuedAt: 1, limited: true },
  { outcome: "refused", reason: "expired" },
]);
roundTrips("decodeKeyAnswer", decodeKeyAnswer, [{ access, retryAfterMs: 1 }]);
roundTrips("decodeRefusalReport", decodeRefusalReport, [
  { worker: "w", refusals: [{ id, reason: "no_token", place: null, class: "api", address: "a", count: 1 }] },
]);

t.test("decodeRouteMessage() refuses a key without its algorithm, and a secret for a public one", async (t) => {
  for (const key of [
    { kid: "a", fingerprint: "f", secret: "s" },
    { alg: "none", kid: "a", fingerprint: "f", secret: "s" },
    { alg: "RS256", kid: "a", fingerprint: "f", secret: "s" },
    { alg: "HS256", kid: "a", fingerprint: "f", jwk: {} },
  ]) {
    const message = { ...access, settings: { ...settings, keys: [key] } };
    t.throws(() => decodeRouteMessage(JSON.stringify(message)), { name: "DecodeError" }, JSON.stringify(key));
  }
});
