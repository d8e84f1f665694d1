import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Browser, chromium } from "playwright-core";
import type { Test } from "tap";
import { carry } from "./door.ts";
import { chromiumBinary } from "./parts/parts.ts";

const execute = promisify(execFile);

const quiet = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export type BrowserOptions = {
  /** A directory of the test's own. */
  readonly directory: string;
  /** Hosts `*.preview.<domain>` are those of this machine. */
  readonly domain: string;
  /** The one port of this machine's loopback that the browser reaches. */
  readonly port: number;
  /** PEM file of the authority that the browser trusts, as a user's browser would: certificate checks stay on. */
  readonly caFile?: string;
};

/**
 * Chromium with a profile of its own; it ends with the test. It lives in a network namespace of its own as well, as a
 * visitor's browser lives on another machine: it breaks connections off when an interface of its machine comes or goes,
 * which every start of a container does.
 */
export async function startBrowser(t: Test, options: BrowserOptions): Promise<Browser> {
  const { directory, domain, port, caFile } = options;
  const home = join(directory, "home");
  const database = join(home, ".pki", "nssdb");
  await mkdir(database, { recursive: true });
  await execute("certutil", ["-d", `sql:${database}`, "-N", "--empty-password"]);
  if (caFile !== undefined) {
    await execute("certutil", ["-d", `sql:${database}`, "-A", "-t", "C,,", "-n", "sandboxd", "-i", caFile]);
  }
  const path = join(directory, "door.sock");
  const door = carry(createServer(), () => connect(port, "127.0.0.1")).listen(path);
  await once(door, "listening");
  const launcher = join(directory, "chromium");
  await writeFile(launcher, inNamespace(port, path), { mode: 0o755 });
  const browser = await chromium.launch({
    executablePath: launcher,
    args: [
      ...quiet,
      `--host-resolver-rules=MAP *.preview.${domain} 127.0.0.1`,
      // What stands for a server out there is no device of the visitor's own, which pages elsewhere may not reach.
      `--ip-address-space-overrides=127.0.0.1:${port}=public`,
    ],
    env: { ...process.env, HOME: home },
  });
  t.teardown(async () => {
    await browser.close();
    door.close();
  });
  return browser;
}

/** A program that starts Chromium in a new namespace, whose loopback has the one port. It ends with Chromium. */
function inNamespace(port: number, path: string): string {
  const inner = join(import.meta.dirname, "door.ts");
  return `#!/bin/sh
exec unshare --net --pid --fork --kill-child sh -c '
  ip link set lo up
  ${process.execPath} ${inner} ${port} ${path} &
  exec ${chromiumBinary} "$@"' -- "$@"
`;
}

/** Whether Traefik has taken up its files, which control wrote a moment ago: before that it knows no certificate or no host. */
export async function isServed(browser: Browser, url: URL): Promise<boolean> {
  const page = await browser.newPage();
  try {
    const answer = await page.goto(url.href, { waitUntil: "commit" });
    return answer !== null && answer.status() !== 404;
  } finally {
    await page.close();
  }
}
