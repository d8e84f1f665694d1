import t from "tap";
import { createAuthority, issueLeaf } from "../../control/certificates/certificate-authority.ts";
import type { Answer, Silence } from "../http.ts";
import { type CertificateFacts, judgeCertificate } from "./certificate.ts";
import type { Shown } from "./tls.ts";

const now = new Date("2026-06-01T00:00:00Z");
const days = (count: number) => new Date(now.getTime() + count * 86_400_000);
const authority = await createAuthority(now);
const leaf = await issueLeaf(authority, ["*.preview.example.com"], now);
const other = await createAuthority(now);

const shown: Shown = {
  subject: "CN=*.preview.example.com",
  issuer: "CN=R13",
  names: ["*.preview.example.com"],
  notBefore: days(-30),
  notAfter: days(60),
  chainLength: 2,
  distrust: undefined,
  chain: [leaf.chain],
};
const told = (body: object): Answer => ({ status: 200, headers: {}, body: JSON.stringify(body) });
const unknown: Answer = { status: 404, headers: {}, body: "{}" };
const gone: Silence = { silence: "ECONNREFUSED" };
const config = { domain: "example.com", scheme: "https", certSource: "acme" } as const;

const local: Partial<CertificateFacts> = {
  shown: { ...shown, distrust: "UNABLE_TO_VERIFY_LEAF_SIGNATURE", chainLength: 1 },
  localAuthority: authority.chain,
};
const silent: object = { status: "ok", message: /does not tell/ };

const table: [name: string, changes: Partial<CertificateFacts>, expected: object[]][] = [
  ["a good one", {}, [{ status: "ok", message: /by CN=R13, for 60 days/ }, silent]],
  ["nobody's handshake", { shown: gone }, [{ status: "fail", message: /handshake.*ECONNREFUSED/ }, silent]],
  [
    "Traefik's own",
    { shown: { ...shown, subject: "CN=TRAEFIK DEFAULT CERT", names: ["x.traefik.default"] } },
    [{ status: "fail", message: /own certificate/ }, silent],
  ],
  [
    "another domain",
    { shown: { ...shown, names: ["*.example.com"] } },
    [{ status: "fail", message: /for \*\.example\.com, not for \*\.preview\.example\.com/ }, silent],
  ],
  ["one of tomorrow", { shown: { ...shown, notBefore: days(1) } }, [{ status: "fail", mend: "timedatectl" }, silent]],
  ["an expired one", { shown: { ...shown, notAfter: days(-1) } }, [{ status: "fail", message: /has expired/ }, silent]],
  [
    "one that nobody renewed",
    { shown: { ...shown, notBefore: days(-80), notAfter: days(10) } },
    [{ status: "warn", message: /10 days/ }, silent],
  ],
  ["one at its end", { shown: { ...shown, notAfter: days(2) } }, [{ status: "fail", message: /2 days/ }, silent]],
  [
    "a short-lived one in its prime",
    { shown: { ...shown, notBefore: days(-1), notAfter: days(5) } },
    [{ status: "ok", message: /5 days/ }, silent],
  ],
  [
    "one without its chain",
    { shown: { ...shown, distrust: "UNABLE_TO_VERIFY_LEAF_SIGNATURE", chainLength: 1 } },
    [{ status: "fail", message: /chain ends/, mend: /fullchain/ }, silent],
  ],
  [
    "one of an unknown authority",
    { shown: { ...shown, distrust: "SELF_SIGNED_CERT_IN_CHAIN" } },
    [{ status: "fail", message: /refuse.*SELF_SIGNED/ }, silent],
  ],
  ["our own authority's", local, [{ status: "warn", message: /only whoever trusts/, mend: /sandboxd trust/ }, silent]],
  ["one of another local authority", { ...local, localAuthority: other.chain }, [{ status: "fail" }, silent]],
  [
    "a control that is away",
    { told: gone },
    [{ status: "ok" }, { status: "warn", message: /control does not answer/ }],
  ],
  ["a control that knows nothing of it", { told: unknown }, [{ status: "ok" }, silent]],
  [
    "a control that renews it",
    { told: told({ not_after: days(60), next_renewal_at: days(30), last_error: null }) },
    [{ status: "ok" }, { status: "ok", message: /renews it at 2026-07-01/ }],
  ],
  [
    "a renewal that failed",
    { told: told({ not_after: days(60), next_renewal_at: days(30), last_error: { message: "rate limited" } }) },
    [{ status: "ok" }, { status: "warn", message: /failed: rate limited/ }],
  ],
  [
    "one that did not get through",
    { told: told({ not_after: days(90), next_renewal_at: null, last_error: null }) },
    [{ status: "ok" }, { status: "fail", message: /Traefik serves one until/ }],
  ],
];

for (const [name, changes, expected] of table) {
  t.test(`judgeCertificate() of ${name}`, async (t) => {
    const facts = { shown, told: unknown, localAuthority: undefined, now, ...changes };
    const verdicts = judgeCertificate(facts, config);
    t.equal(verdicts.length, expected.length);
    t.match(verdicts, expected);
  });
}

t.test("judgeCertificate() takes the local authority as good enough on this machine's own domain", async (t) => {
  const names = ["*.preview.localhost"];
  const facts = {
    ...local,
    shown: { ...shown, ...local.shown, names },
    told: unknown,
    localAuthority: authority.chain,
    now,
  };
  t.match(judgeCertificate(facts, { ...config, domain: "localhost" })[0], { status: "ok" });
});

t.test("judgeCertificate() without TLS is about who may listen", async (t) => {
  const judge = (domain: string, scheme: "http" | "https") =>
    judgeCertificate(undefined, { ...config, domain, scheme })[0]!.status;
  t.equal(judge("localhost", "http"), "ok");
  t.equal(judge("example.com", "https"), "ok", "a tunnel ends it");
  t.equal(judge("example.com", "http"), "warn");
});
