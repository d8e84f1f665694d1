import { existsSync, readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { EnvironmentError, type Variables } from "./environment.ts";

const defaultPath = "/etc/sandboxed/sandboxd.env";

/** Where these variables say that the environment file is. */
export function environmentFileOf(variables: Variables): string {
  return variables.SANDBOXD_ENV_FILE || variables.SANDBOXED_ENV_FILE || defaultPath;
}

/**
 * The variables of a `.env` file; none when there is no such file. Throws EnvironmentError naming the line that is
 * neither `NAME=value`, a comment nor blank: node's own parser would pass over it in silence.
 */
export function readEnvironmentFile(path: string): Variables {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return {};
    throw new EnvironmentError([`Cannot read SANDBOXD_ENV_FILE: ${message}`]);
  }
  const line = firstBadLine(text);
  if (line !== undefined) {
    throw new EnvironmentError([`Cannot parse SANDBOXD_ENV_FILE: ${path}, line ${line}: expected NAME=value`]);
  }
  return parseEnv(text);
}

const assignment = /^\s*(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=\s*(.*)$/;

function firstBadLine(text: string): number | undefined {
  const lines = text.split("\n");
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]!.trim();
    if (line === "" || line.startsWith("#")) continue;
    const value = assignment.exec(line)?.[1];
    if (value === undefined) return index + 1;
    const quote = value[0];
    if (quote !== '"' && quote !== "'" && quote !== "`") continue;
    const end = closingLine(lines, index, value.slice(1), quote);
    if (end === undefined) return index + 1;
    index = end;
  }
  return undefined;
}

/** A quoted value may go on over several lines. */
function closingLine(lines: readonly string[], start: number, rest: string, quote: string): number | undefined {
  if (rest.includes(quote)) return start;
  for (let index = start + 1; index < lines.length; index++) if (lines[index]!.includes(quote)) return index;
  return undefined;
}

/** As above, but there must be such a file: one that is gone says nothing about what it said. */
export function readRequiredFile(path: string): Variables {
  if (existsSync(path)) return readEnvironmentFile(path);
  throw new EnvironmentError([`Cannot read SANDBOXD_ENV_FILE: there is no file ${path}`]);
}

/**
 * Lays the process's variables over those of the file. An empty value is an unset one, and `SANDBOXED_X` is
 * `SANDBOXD_X` in both, so that the process wins whichever way either of them spells a name.
 */
export function overlay(file: Variables, process: Variables): Variables;
/** Lays these variables of a file over the process's, as they are written there: an empty one is unset again. */
export function overlay(process: Variables, file: Variables, names: readonly string[]): Variables;
export function overlay(below: Variables, above: Variables, names?: readonly string[]): Variables {
  const merged = canonical(below);
  if (names === undefined) return Object.assign(merged, canonical(above));
  for (const [name, value] of Object.entries(above)) {
    const proper = name.replace(/^SANDBOXED_/, "SANDBOXD_");
    if (!names.includes(proper) || (proper !== name && above[proper] !== undefined)) continue;
    merged[proper] = value ?? "";
  }
  return merged;
}

function canonical(variables: Variables): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(variables)) {
    if (!value) continue;
    const proper = name.replace(/^SANDBOXED_/, "SANDBOXD_");
    if (proper !== name && variables[proper]) continue;
    result[proper] = value;
  }
  return result;
}
