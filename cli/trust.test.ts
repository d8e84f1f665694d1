import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { createAuthority } from "../control/certificates/certificate-authority.ts";
import { missingPart } from "../e2e/parts/parts.ts";
import { trust } from "./trust.ts";

const config = { certSource: "self-signed", tls: true, domain: "example.com" };

t.test("trust() says whom, where it is, and how", async (t) => {
  const dataDirectory = t.testdir({ certificates: {} });
  const directory = join(dataDirectory, "certificates");
  await writeFile(join(directory, "ca.pem"), (await createAuthority(new Date())).chain);
  const told = await trust({ ...config, dataDirectory });
  if (!("text" in told)) return void t.fail(told.problem);
  const path = join(directory, "ca.pem");
  t.match(told.text, new X509Certificate(await readFile(path)).fingerprint256);
  t.match(told.text, `curl --cacert '${path}' https://api.preview.example.com/healthz`);
  t.match(told.text, "update-ca-certificates");
});

t.test("trust() tells a command that makes Chromium's store trust it", { skip: missingPart("chromium") }, async (t) => {
  const root = t.testdir({ "it's data": { certificates: {} }, home: {} });
  const dataDirectory = join(root, "it's data");
  const directory = join(dataDirectory, "certificates");
  await writeFile(join(directory, "ca.pem"), (await createAuthority(new Date())).chain);
  const told = await trust({ ...config, dataDirectory });
  const command = /^ {2}(mkdir .* certutil -d sql.*)$/m.exec("text" in told ? told.text : "")?.[1];
  const env = { ...process.env, HOME: join(root, "home") };
  const run = promisify(execFile);
  // A store that is new asks for a password: an empty one.
  await run("sh", ["-c", `printf '\\n\\n' | (${command})`], { env });
  const { stdout } = await run("sh", ["-c", 'certutil -d "sql:$HOME/.pki/nssdb" -L -n sandboxd -a'], { env });
  t.equal(
    new X509Certificate(stdout).fingerprint256,
    new X509Certificate(await readFile(join(directory, "ca.pem"))).fingerprint256,
  );
});

t.test("trust() says why there is nobody to trust", async (t) => {
  const dataDirectory = join(t.testdir({}), "none");
  await mkdir(dataDirectory);
  t.match(await trust({ ...config, dataDirectory, certSource: "file" }), { problem: /SANDBOXD_CERT_SOURCE is file/ });
  t.match(await trust({ ...config, dataDirectory, tls: false }), { problem: /PREVIEW_TLS/ });
  t.match(await trust({ ...config, dataDirectory }), {
    problem: /no local authority in .*ca\.pem.*start control first/,
  });
});
