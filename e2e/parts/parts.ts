/**
 * The parts of the machine that tests use beside Node. A test that needs one names it:
 *
 *     t.test("a preview through Traefik", { skip: missingPart("docker", "traefik") }, async (t) => …)
 */
import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

export type Part =
  | "docker"
  | "dockerd"
  | "images"
  | "compose"
  | "traefik"
  | "chromium"
  | "pebble"
  | "knot"
  | "wrk"
  | "nginx"
  | "haproxy"
  | "nftables"
  | "btrfs"
  | "python"
  | "root";

const built = fileURLToPath(new URL("../../.parts/bin/", import.meta.url));

export const traefikBinary = `${built}traefik`;
export const pebbleBinary = `${built}pebble`;
export const challtestsrvBinary = `${built}pebble-challtestsrv`;
export const knotBinary = "/usr/sbin/knotd";
export const knsupdateBinary = "/usr/bin/knsupdate";
export const chromiumBinary = "/usr/bin/chromium";
export const certutilBinary = "/usr/bin/certutil";
export const wrkBinary = "/usr/bin/wrk";
export const nginxBinary = "/usr/sbin/nginx";
export const haproxyBinary = "/usr/sbin/haproxy";
export const mkfsBtrfsBinary = "/usr/sbin/mkfs.btrfs";
export const nftBinary = "/usr/sbin/nft";

export const dockerSocket = "/var/run/docker.sock";

/** The images that Dockerfiles and compose files may build on: no others are there, and none can be pulled. */
export const images = ["debian:bookworm-slim", "node:24-bookworm-slim", "traefik:v3.7"] as const;

/**
 * False when all parts are there, else one line that says what is missing and how to get it, for tap's `skip`.
 * Each part is looked for once per process.
 *
 * @throws {Error} with that line instead, when `CI` is `true` or `1`: there a missing part is a failure.
 */
export function missingPart(...parts: Part[]): string | false {
  const reasons = parts.map(reasonOf).filter((reason) => reason !== "");
  return reasons.length === 0 ? false : skipBecause(reasons.join("; "));
}

/** The reason, for tap's `skip`. @throws {Error} with it when `CI` is `true` or `1`. */
export function skipBecause(reason: string): string {
  if (process.env.CI === "true" || process.env.CI === "1") throw new Error(reason);
  return reason;
}

/** Whether `engine.sh` started the engine that answers, and gave it what is built here. */
export function engineIsOurs(): boolean {
  return existsSync(fileURLToPath(new URL("../../.parts/run/dockerd.pid", import.meta.url)));
}

const found = new Map<Part, string>();

function reasonOf(part: Part): string {
  const known = found.get(part);
  if (known !== undefined) return known;
  const reason = look(part);
  found.set(part, reason);
  return reason;
}

/** Why a part cannot be used, or "". */
function look(part: Part): string {
  switch (part) {
    case "docker":
      return answers(["version"]) ? "" : `Docker engine does not answer on ${dockerSocket}: run ${engineCommands()}`;
    case "dockerd":
      return missingProgram("dockerd") || reasonOf("root");
    case "images":
      return (
        reasonOf("docker") ||
        (answers(["image", "inspect", ...images])
          ? ""
          : `one of ${images.join(", ")} is missing: run \`npm run parts\``)
      );
    case "compose":
      return answers(["compose", "version"]) ? "" : "Docker Compose is not installed: run `npm run parts`";
    case "traefik":
      return missingFile(traefikBinary);
    case "chromium":
      return missingFile(chromiumBinary) || missingFile(certutilBinary);
    case "pebble":
      return missingFile(pebbleBinary) || missingFile(challtestsrvBinary);
    case "knot":
      return missingFile(knotBinary) || missingFile(knsupdateBinary);
    case "wrk":
      return missingFile(wrkBinary);
    case "nginx":
      return missingFile(nginxBinary);
    case "haproxy":
      return missingFile(haproxyBinary);
    case "nftables":
      return missingFile(nftBinary) || reasonOf("root");
    case "btrfs":
      return missingFile(mkfsBtrfsBinary) || reasonOf("root");
    case "python":
      return missingProgram("python3");
    case "root":
      return process.getuid?.() === 0 ? "" : "needs root";
    default: {
      const never: never = part;
      throw new Error(`Unknown part ${JSON.stringify(never)}`);
    }
  }
}

function missingFile(path: string): string {
  try {
    accessSync(path, constants.X_OK);
    return "";
  } catch {
    return `${path} is missing: run \`npm run parts\``;
  }
}

/** Of PATH, or where Debian keeps what is root's. */
function missingProgram(name: string): string {
  const places = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`.split(":").map((directory) => `${directory}/${name}`);
  return places.some((path) => missingFile(path) === "") ? "" : `${name} is missing: run \`npm run parts\``;
}

/** Whether the docker command succeeds; an engine that hangs counts as absent. */
function answers(command: string[]): boolean {
  try {
    execFileSync("docker", ["--host", `unix://${dockerSocket}`, ...command], {
      stdio: "ignore",
      timeout: 10_000,
      killSignal: "SIGKILL",
    });
    return true;
  } catch {
    return false;
  }
}

/** `npm run parts` leaves no engine running, so starting it is a step of its own. */
function engineCommands(): string {
  const start = "`bash e2e/parts/engine.sh start`";
  return missingFile("/usr/sbin/dockerd") === "" ? start : `\`npm run parts\`, then ${start}`;
}
