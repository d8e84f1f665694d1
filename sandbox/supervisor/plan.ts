import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What to do with the files of an app's directory. */
export type Plan =
  | {
      readonly kind: "command";
      /** For `sh -c`, in the directory, with the project's own programs in PATH. */
      readonly command: string;
      /** The file that says so. */
      readonly because: string;
      /** To run before, since what the project depends on is not there yet. */
      readonly install?: string;
    }
  | { readonly kind: "files" }
  | { readonly kind: "nothing"; readonly problem?: string };

/** Development servers that heed neither PORT nor HOST, and take both as options. */
const takesOptions = /^(?:vite|astro|ng serve|webpack serve|webpack-dev-server)(?:\s|$)/;

/** The plan for a directory whose app shall listen on `port`: its `dev` script, its `start` script, `server.js`, `index.html`. */
export function planFor(directory: string, port: number): Plan {
  const has = (name: string) => existsSync(join(directory, name));
  if (has("package.json")) {
    let project: Project;
    try {
      project = readProject(directory);
    } catch (error) {
      return { kind: "nothing", problem: `package.json cannot be read: ${(error as Error).message}` };
    }
    const name = ["dev", "start"].find((each) => project.scripts[each] !== undefined);
    const command = name === undefined ? undefined : scriptCommand(project, name, port);
    const install = installCommand(project, has);
    if (command !== undefined)
      return { kind: "command", command, because: "package.json", ...(install && { install }) };
    if (has("server.js")) {
      return { kind: "command", command: "node server.js", because: "server.js", ...(install && { install }) };
    }
  } else if (has("server.js")) return { kind: "command", command: "node server.js", because: "server.js" };
  return has("index.html") ? { kind: "files" } : { kind: "nothing" };
}

type Project = { readonly scripts: Readonly<Record<string, string>>; readonly hasDependencies: boolean };

function readProject(directory: string): Project {
  const read: unknown = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
  if (typeof read !== "object" || read === null) throw new Error("it is not an object");
  const { scripts, dependencies, devDependencies } = read as Record<string, unknown>;
  const texts = Object.entries(scripts ?? {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  const count = [dependencies, devDependencies].flatMap((each) => Object.keys(each ?? {})).length;
  return { scripts: Object.fromEntries(texts), hasDependencies: count > 0 };
}

/** The script itself, which starts sooner than a package manager that runs it; with more scripts around it npm knows how. */
function scriptCommand({ scripts }: Project, name: string, port: number): string {
  const script = scripts[name]!.trim();
  const isSurrounded = scripts[`pre${name}`] !== undefined || scripts[`post${name}`] !== undefined;
  const options = takesOptions.test(script) ? addedOptions(script, port) : "";
  if (isSurrounded) return `npm run ${name}${options && ` --${options}`}`;
  return `${script}${options}`;
}

function addedOptions(script: string, port: number): string {
  const host = /\s--host\b/.test(script) ? "" : " --host 0.0.0.0";
  return /\s(?:--port|-p)\b/.test(script) ? host : `${host} --port ${port}`;
}

function installCommand({ hasDependencies }: Project, has: (name: string) => boolean): string | undefined {
  if (!hasDependencies || has("node_modules")) return undefined;
  if (has("pnpm-lock.yaml")) return "pnpm install --frozen-lockfile";
  if (has("yarn.lock")) return "yarn install --frozen-lockfile";
  return `npm ${has("package-lock.json") ? "ci" : "install"} --no-audit --no-fund`;
}
