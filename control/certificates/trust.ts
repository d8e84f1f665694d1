/**
 * npm run trust [-- DATA_DIRECTORY]
 *
 * Says how to trust the local authority of the source self-signed: it changes nothing itself. Exits with 1 when there is
 * no authority yet.
 */
import { X509Certificate } from "node:crypto";
import { join, resolve } from "node:path";
import type { Variables } from "#contract/environment.ts";
import { overlay, readEnvironmentFile } from "#contract/environment-file.ts";
import { readIfThere } from "./write-whole.ts";

async function main(argument: string | undefined): Promise<number> {
  const directories = argument === undefined ? dataDirectories() : [resolve(argument)];
  const paths = directories.map((directory) => join(directory, "certificates", "ca.pem"));
  for (const path of paths) {
    const text = await readIfThere(path);
    if (text === undefined) continue;
    console.log(instructions(path, new X509Certificate(text)));
    return 0;
  }
  console.error(`There is no local authority yet: looked for ${paths.join(", ")}.`);
  console.error("Control makes one when it starts with PREVIEW_TLS=true and SANDBOXD_CERT_SOURCE=self-signed.");
  return 1;
}

/** The one that is named, else that of `npm start`, else that of compose. */
function dataDirectories(): string[] {
  const variables: Variables = overlay(readEnvironmentFile(".env"), process.env);
  const named = variables.SANDBOXD_DATA_DIR;
  return named === undefined ? [resolve(".data"), "/var/lib/sandboxed"] : [resolve(named)];
}

function instructions(path: string, { subject, fingerprint256, validToDate }: X509Certificate): string {
  const quoted = `'${path.replaceAll("'", "'\\''")}'`;
  return `The local authority ${subject.replaceAll("\n", ", ")}
  ${path}
  SHA-256 ${fingerprint256}
  until ${validToDate.toISOString().slice(0, 10)}

Whoever trusts it trusts every certificate that its key signs: trust it on machines of your own alone.

One command at a time
  curl --cacert ${quoted} https://…
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
  Settings, Privacy & Security, View Certificates, Authorities, Import: ${path}`;
}

process.exitCode = await main(process.argv[2]);
