// Makes JavaScript of a directory's TypeScript, once when the image is built: at run time it would cost every sandbox 40 MB.
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";

const [directory] = process.argv.slice(2);
for (const name of readdirSync(directory).filter((each) => each.endsWith(".ts"))) {
  const stripped = stripTypeScriptTypes(readFileSync(join(directory, name), "utf8"));
  writeFileSync(
    join(directory, name.replace(/\.ts$/, ".js")),
    stripped.replaceAll(/(from "\.\/[a-z-]+)\.ts"/g, '$1.js"'),
  );
  rmSync(join(directory, name));
}
