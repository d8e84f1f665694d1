import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { CliConfig } from "./config.ts";
import { codeOf } from "./http.ts";

/** How to trust control's local authority, or why there is none to trust. */
export async function trust(
  config: Pick<CliConfig, "dataDirectory" | "certSource" | "tls" | "domain">,
): Promise<{ readonly text: string } | { readonly problem: string }> {
  const { certSource, tls, dataDirectory } = config;
  if (certSource !== "self-signed") {
    return { problem: `SANDBOXD_CERT_SOURCE is ${certSource}: there is no local authority to trust` };
  }
  if (!tls) return { problem: "PREVIEW_TLS is false: there is no certificate to trust" };
  const path = join(dataDirectory, "certificates", "ca.pem");
  const pem = await readFile(path, "utf8").catch((error) => ({
    problem: `${path} cannot be read (${codeOf(error)}): start control first`,
  }));
  if (typeof pem !== "string") return pem;
  const { subject, fingerprint256, validTo } = new X509Certificate(pem);
  // As a shell's one word.
  const quoted = `'${path.replaceAll("'", "'\\''")}'`;
  return {
    text: `${subject.replaceAll("\n", ", ")}
good until ${validTo}
SHA-256 ${fingerprint256}

Trust it on the machines that look at previews, and on no other: its key is in ${join(dataDirectory, "certificates", "private")}.

One command at a time
  curl --cacert ${quoted} https://api.preview.${config.domain}/healthz
  NODE_EXTRA_CA_CERTS=${quoted} node …
Debian, Ubuntu
  sudo cp ${quoted} /usr/local/share/ca-certificates/sandboxd.crt && sudo update-ca-certificates
Fedora, RHEL, Arch
  sudo trust anchor ${quoted}
macOS
  sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${quoted}
Windows, as an administrator
  certutil -addstore -f ROOT ca.pem
Chromium on Linux (certutil of libnss3-tools)
  mkdir -p "$HOME/.pki/nssdb" && certutil -d sql:"$HOME/.pki/nssdb" -A -t C,, -n sandboxd -i ${quoted}
Firefox
  Settings, Privacy & Security, View Certificates, Authorities, Import: ${path}
`,
  };
}
