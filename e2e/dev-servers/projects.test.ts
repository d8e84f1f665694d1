import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { installedProjects, sourceOf } from "./projects.ts";

for (const project of installedProjects) {
  const read = (name: string) => readFileSync(join(sourceOf(project), name), "utf8");

  t.test(`${project} names exact versions of packages, and no registry`, async (t) => {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(read("package.json"));
    for (const [name, version] of Object.entries<string>({ ...dependencies, ...devDependencies })) {
      t.match(version, /^\d+\.\d+\.\d+$/, name);
    }
    t.notMatch(read("package-lock.json"), '"resolved"');
  });
}
