import t from "tap";
import type { AccessKey, AccessMessage } from "./access.ts";
import { AccessState } from "./access-state.ts";
import { TokenVerifier } from "./token-verifier.ts";

const now = 1_700_000_000_000;
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
const claims = { aud: "sandbox-preview", sandbox_id: "01JB2Q8Z6X3V9K4M7N0P5R1S2T", sub: "ada", exp: now / 1000 + 60 };
const tokenOf = (kid: string) => `${encode({ alg: "ES256", kid })}.${encode(claims)}.c2ln`;
const keyOf = (kid: string): AccessKey => ({ alg: "ES256", kid, fingerprint: kid, jwk: {} });

function messageOf(kids: readonly string[], keysMayGrow = true): AccessMessage {
  const rest = { secure: true, sessionKey: "", redirectUrl: null, denyMode: "redirect" } as const;
  return { type: "access", settings: { ...rest, keys: kids.map(keyOf), keysMayGrow }, revocations: [] };
}

function newVerifier(checkSignature: (token: string, key: AccessKey) => Promise<boolean> = async () => true) {
  const state = new AccessState();
  const looked: string[] = [];
  const findKey = async (kid: string) => void looked.push(kid);
  const verifier = new TokenVerifier({ state, checkSignature, findKey, now: () => now });
  const tell = (message: AccessMessage) => {
    state.apply(message);
    verifier.forget();
  };
  return { verifier, tell, looked };
}

t.test("TokenVerifier.verify() checks a signature once for each token", async (t) => {
  let checked = 0;
  const { verifier, tell } = newVerifier(async () => ++checked > 0);
  tell(messageOf(["a"]));
  for (let index = 0; index < 3; index++) t.match(await verifier.verify(tokenOf("a"), false), { grant: { kid: "a" } });
  t.equal(checked, 1);
  t.match(verifier.known(tokenOf("a"), false), { grant: { kid: "a" } });
});

t.test("TokenVerifier.verify() looks for a key anew for each request that names an unknown one", async (t) => {
  const { verifier, tell, looked } = newVerifier();
  tell(messageOf([]));
  for (let index = 0; index < 2; index++) {
    t.same(await verifier.verify(tokenOf("a"), false), { reason: "bad_signature" });
  }
  t.same(looked, ["a", "a"], "whoever looks has a bound of its own; a token may be older than its key here");
  t.equal(verifier.known(tokenOf("a"), false), undefined);
  tell(messageOf([], false));
  for (let index = 0; index < 2; index++) await verifier.verify(tokenOf("a"), false);
  t.equal(looked.length, 2, "where no key can turn up nobody looks");
  t.same(verifier.known(tokenOf("a"), false), { reason: "bad_signature" });
});

t.test("TokenVerifier.verify() keeps no verdict of keys that changed meanwhile", async (t) => {
  const checks: PromiseWithResolvers<boolean>[] = [];
  const { verifier, tell } = newVerifier(() => {
    const check = Promise.withResolvers<boolean>();
    checks.push(check);
    return check.promise;
  });
  tell(messageOf(["a"]));
  const verdict = verifier.verify(tokenOf("a"), false);
  tell(messageOf(["a"]));
  checks[0]!.resolve(false);
  await checks[0]!.promise;
  await new Promise(setImmediate);
  t.equal(checks.length, 2, "it is checked by the new key as well");
  checks[1]!.resolve(true);
  t.match(await verdict, { grant: { kid: "a" } });
});
