import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const execute = promisify(execFile);
const context = fileURLToPath(new URL("../../../sandbox/", import.meta.url));
const sourceLabel = "sandboxd.source";

export const sandboxImage = "sandboxd/sandbox:latest";

/**
 * Builds the sandbox image for a test unless it is there and made of the present files. Returns its name. It needs the
 * docker command, and the base image on this machine.
 */
export async function buildSandboxImage(socketPath = "/var/run/docker.sock"): Promise<string> {
  const host = ["--host", `unix://${socketPath}`];
  const source = await hashOf(context);
  const format = `{{index .Config.Labels "${sourceLabel}"}}`;
  const present = await execute("docker", [...host, "image", "inspect", "--format", format, sandboxImage]).catch(
    () => ({ stdout: "" }),
  );
  if (present.stdout.trim() === source) return sandboxImage;
  const build = ["build", "--quiet", "--label", `${sourceLabel}=${source}`, "--tag", sandboxImage, context];
  // The classic builder takes what a Dockerfile builds on from this machine and asks no registry.
  await execute("docker", [...host, ...build], { env: { ...process.env, DOCKER_BUILDKIT: "0" } });
  return sandboxImage;
}

async function hashOf(directory: string): Promise<string> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const hash = createHash("sha256");
  for (const file of files.sort()) {
    const { mode } = await stat(file);
    hash.update(`${relative(directory, file)}\0${mode}\0`).update(await readFile(file));
  }
  return hash.digest("hex");
}
