import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { CliConfig } from "./config.ts";

/** How to trust control's local authority, or why there is none to trust. */
export async function trust(
  config: Pick<CliConfig, "dataDirectory" | "certSource" | "tls" | "domain">,
): Promise<{ readonly text: string } | { readonly problem: string }> {
  const { certSource, tls, dataDirectory } = config;
  if (certSource !== "self-signed") {
    return { problem: `SANDBOXD_CERT_SOURCE is ${certSource}: there is no local authority to trust` };
  }
  // The second is that of npm start.
  const directories = [dataDirectory, resolve(".data")];
  const found = await Promise.all(directories.map(readAuthority));
  const authority = found.find(({ pem }) => pem !== undefined);
  if (authority?.pem === undefined) {
    const looked = found.map(({ path }) => path).join(", ");
    return { problem: `no local authority in ${looked}: ${tls ? "start control first" : "PREVIEW_TLS is false"}` };
  }
  return { text: tell(authority.path, authority.pem, config.domain) };
}

async function readAuthority(directory: string): Promise<{ path: string; pem: string | undefined }> {
  const path = join(directory, "certificates", "ca.pem");
  return { path, pem: await readFile(path, "utf8").catch(() => undefined) };
}

function tell(path: string, pem: string, domain: string): string {
  const { subject, fingerprint256, validTo } = new X509Certificate(pem);
  // As a shell's one word.
  const quoted = `'${path.replaceAll("'", "'\\''")}'`;
  return `${subject.replaceAll("\n", ", ")}
good until ${validTo}
SHA-256 ${fingerprint256}

Trust it on the machines that look at previews, and on no other: whoever has its key, in ${join(dirname(path), "private")},
can show them any site.

One command at a time
  curl --cacert ${quoted} https://api.preview.${domain}/healthz
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
`;
}
