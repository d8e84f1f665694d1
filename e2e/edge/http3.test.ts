/** A browser that speaks HTTP/3 with the real Traefik. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import t from "tap";
import { chromiumBinary, missingPart } from "../parts/parts.ts";
import { startEdge } from "./edge.ts";

const skip = missingPart("traefik", "chromium");
const execute = promisify(execFile);

t.test("Traefik speaks HTTP/3 with a browser, when it is told to", { skip }, async (t) => {
  const { traefik, host, caFile } = await startEdge(t, {
    entryPoint: "websecure",
    tls: true,
    settings: { http3: true },
  });
  const home = await mkdtemp(join(tmpdir(), "http3-"));
  t.teardown(() => rm(home, { recursive: true, force: true }));
  const database = join(home, ".pki", "nssdb");
  await mkdir(database, { recursive: true });
  await execute("certutil", ["-d", `sql:${database}`, "-N", "--empty-password"]);
  await execute("certutil", ["-d", `sql:${database}`, "-A", "-t", "C,,", "-n", "sandboxd", "-i", caFile]);
  const browser = await chromium.launch({
    executablePath: chromiumBinary,
    args: [
      "--no-sandbox",
      "--enable-quic",
      // Without it no authority but the public ones is good enough for QUIC.
      `--origin-to-force-quic-on=${host}:${traefik.websecure}`,
      `--host-resolver-rules=MAP ${host} 127.0.0.1`,
    ],
    env: { ...process.env, HOME: home },
  });
  t.teardown(() => browser.close());
  const page = await browser.newPage();
  const answer = await page.goto(`https://${host}:${traefik.websecure}/`);
  t.equal(answer?.status(), 200);
  t.equal(await page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol"), "h3");
  t.match(await page.textContent("body"), '"x-forwarded-proto":"https"');
});
