import t from "tap";
import { EnvironmentError, EnvironmentReader, type Variables } from "#contract/environment.ts";
import { readAcme } from "./acme-config.ts";

const environment = { HOME: "/root" };

function read(variables: Variables) {
  const reader = new EnvironmentReader(variables);
  const config = readAcme(reader, environment);
  reader.end();
  return config;
}
const exec = { SANDBOXD_ACME_DNS: "exec", SANDBOXD_ACME_EXEC: "/hook" };

t.test("readAcme() is null as long as no way to answer challenges is named", async (t) => {
  t.equal(read({}), null);
});

t.test("readAcme() asks Let's Encrypt unless said otherwise", async (t) => {
  t.strictSame(read(exec), {
    directoryUrl: "https://acme-v02.api.letsencrypt.org/directory",
    ...{ email: null, externalAccount: null, profile: null, resolvers: [], dnsWaitSeconds: 300 },
    dns: { method: "exec", program: "/hook", environment },
  });
});

t.test("readAcme() reads every setting", async (t) => {
  const config = read({
    SANDBOXD_ACME_DIRECTORY_URL: "https://ca.example/dir",
    SANDBOXD_ACME_EMAIL: "ada@example.com",
    SANDBOXD_ACME_EAB_KID: "kid",
    SANDBOXD_ACME_EAB_KEY: "c2VjcmV0",
    SANDBOXD_ACME_PROFILE: "shortlived",
    SANDBOXD_ACME_DNS_RESOLVERS: "192.0.2.1, [2001:db8::1]:5353",
    SANDBOXD_ACME_DNS_WAIT_SECONDS: "60",
    SANDBOXD_ACME_DNS: "rfc2136",
    SANDBOXD_ACME_RFC2136_SERVER: "ns.example.com",
    SANDBOXD_ACME_RFC2136_KEY: "hmac-sha512:update:c2VjcmV0",
  });
  t.strictSame(config, {
    directoryUrl: "https://ca.example/dir",
    ...{ email: "ada@example.com", externalAccount: { kid: "kid", hmacKey: "c2VjcmV0" }, profile: "shortlived" },
    ...{ resolvers: ["192.0.2.1:53", "[2001:db8::1]:5353"], dnsWaitSeconds: 60 },
    dns: {
      method: "rfc2136",
      server: { host: "ns.example.com", port: 53 },
      key: { name: "update", algorithm: "hmac-sha512", secret: Buffer.from("secret") },
    },
  });
});

t.test("readAcme() reads an account of acme-dns as it was answered", async (t) => {
  const account = { username: "u", password: "p", subdomain: "s", fulldomain: "s.auth.example.com" };
  const variables = { SANDBOXD_ACME_DNS: "acme-dns", SANDBOXD_ACME_ACMEDNS_URL: "https://auth.example.com" };
  const text = JSON.stringify({ ...account, allowfrom: [] });
  t.match(read(variables), { dns: { method: "acme-dns", account: null } });
  t.strictSame(read({ ...variables, SANDBOXD_ACME_ACMEDNS_ACCOUNT: text })?.dns, {
    method: "acme-dns",
    url: "https://auth.example.com",
    account,
  });
});

t.test("readAcme() names every bad variable, and repeats no secret", async (t) => {
  const variables = {
    SANDBOXD_ACME_DIRECTORY_URL: "http://ca.example/dir",
    SANDBOXD_ACME_EMAIL: "ada",
    SANDBOXD_ACME_EAB_KID: "kid",
    SANDBOXD_ACME_EAB_KEY: "not base64!",
    SANDBOXD_ACME_DNS_RESOLVERS: "ns.example.com",
    SANDBOXD_ACME_DNS: "manual",
    SANDBOXD_ACME_RFC2136_SERVER: "a:b:c",
    SANDBOXD_ACME_RFC2136_KEY: "md5:update:geheim",
    SANDBOXD_ACME_ACMEDNS_URL: "ftp://a",
    SANDBOXD_ACME_ACMEDNS_ACCOUNT: '{"password":"geheim"}',
  };
  try {
    read(variables);
    t.fail("it was taken");
  } catch (error) {
    t.ok(error instanceof EnvironmentError);
    const names = Object.keys(variables).filter((name) => name !== "SANDBOXD_ACME_EAB_KID");
    for (const name of names) t.match((error as Error).message, `Cannot parse ${name}: `);
    t.notMatch((error as Error).message, /geheim|not base64!/);
  }
});

t.test("readAcme() says what a way to answer challenges is missing", async (t) => {
  for (const [method, message] of [
    ["exec", "SANDBOXD_ACME_EXEC must name"],
    ["rfc2136", "SANDBOXD_ACME_RFC2136_SERVER and SANDBOXD_ACME_RFC2136_KEY must name"],
    ["acme-dns", "SANDBOXD_ACME_ACMEDNS_URL must name"],
  ]) {
    t.throws(() => read({ SANDBOXD_ACME_DNS: method }), {
      message: `Cannot use SANDBOXD_ACME_DNS=${method}: ${message}`,
    });
  }
  t.throws(() => read({ ...exec, SANDBOXD_ACME_EAB_KID: "kid" }), { message: /without the other/ });
});
