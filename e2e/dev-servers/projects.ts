import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** The projects that need packages; `install.ts` installs them. */
export const installedProjects = ["vite", "next", "webpack"] as const;
export type InstalledProject = (typeof installedProjects)[number];
export type Project = InstalledProject | "event-stream";

const installations = join(import.meta.dirname, "..", "..", ".parts", "dev-servers");

/** A project as its user checked it out. */
export function sourceOf(project: Project): string {
  return join(import.meta.dirname, "projects", project);
}

/** Where a project's packages are installed, once for all tests. */
export function installationOf(project: InstalledProject): string {
  return join(installations, project);
}

/** Whether the packages of the project's present lock file are installed. */
export function isInstalled(project: InstalledProject): boolean {
  const wanted = readFileSync(join(sourceOf(project), "package-lock.json"), "utf8");
  try {
    return readFileSync(join(installationOf(project), "package-lock.json"), "utf8") === wanted;
  } catch {
    return false;
  }
}

/**
 * False when all these projects are installed, else one line that says which is not and how to get it, for tap's `skip`.
 *
 * @throws {Error} with that line instead, when `CI` is `true` or `1`: there a missing project is a failure.
 */
export function missingProject(...projects: InstalledProject[]): string | false {
  const missing = projects.filter((project) => !isInstalled(project));
  if (missing.length === 0) return false;
  const reason = `${missing.join(", ")} not installed: run \`npm run parts\` or \`node e2e/dev-servers/install.ts\``;
  if (process.env.CI === "true" || process.env.CI === "1") throw new Error(reason);
  return reason;
}

/** Makes `directory` a checkout of the project with its packages. */
export async function checkOut(project: Project, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await cp(sourceOf(project), directory, { recursive: true });
  if (project === "event-stream") return;
  const modules = join(installationOf(project), "node_modules");
  // Links to the files take a tenth of the time, but reach no other file system.
  const copied = execute("cp", ["--archive", "--link", modules, directory]);
  await copied.catch(() => execute("cp", ["--archive", "--force", modules, directory]));
}
