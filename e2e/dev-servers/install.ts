/**
 * Installs the packages of every project, exactly those of its lock file, where tests find them. What is there already is
 * left alone.
 *
 *     node e2e/dev-servers/install.ts
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { type InstalledProject, installationOf, installedProjects, isInstalled, sourceOf } from "./projects.ts";

for (const project of installedProjects) if (!isInstalled(project)) install(project);

/** What appears in its place is complete: an installation that is interrupted leaves none. */
function install(project: InstalledProject): void {
  const place = installationOf(project);
  mkdirSync(dirname(place), { recursive: true });
  const work = mkdtempSync(`${place}-`);
  try {
    for (const file of ["package.json", "package-lock.json"]) cpSync(join(sourceOf(project), file), join(work, file));
    execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: work, stdio: "inherit" });
    rmSync(place, { recursive: true, force: true });
    renameSync(work, place);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
