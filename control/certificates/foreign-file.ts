import { basename, extname } from "node:path";
import { parse as parseToml } from "smol-toml";
import { parseAllDocuments } from "yaml";
import { dynamicFiles } from "./dynamic-files.ts";

/** A file in Traefik's dynamic directory that stands in the way, by its path in there. */
export type FileProblem = { readonly file: string; readonly problem: string };

/** Whether Traefik reads it: dotfiles count. */
export function isConfiguration(path: string): boolean {
  return extensions.has(extname(basename(path)));
}

const extensions = new Set([".yml", ".yaml", ".toml"]);

/** What Traefik's file provider knows below each section, whatever the case; other sections it passes over. */
const sections: Record<string, readonly string[]> = {
  http: ["routers", "services", "middlewares", "models", "serversTransports"],
  tcp: ["routers", "services", "middlewares", "models", "serversTransports"],
  udp: ["routers", "services"],
  tls: ["certificates", "options", "stores"],
};
/** What it knows of a router of `http`, the part that is written by hand most often. */
const routerFields = [
  ...["entryPoints", "middlewares", "service", "rule", "parentRefs", "ruleSyntax", "priority", "tls"],
  "observability",
];

/**
 * Why Traefik would take no change of the whole directory because of this file, or why it gets in the way of ours;
 * undefined for one that is fine as far as it can be told. Inside services and middlewares nothing is looked at.
 */
export function problemOf(path: string, text: string): string | undefined {
  // Traefik fills in Go templates before it parses: what comes out of one is unknown here.
  if (text.includes("{{")) return undefined;
  let content: unknown;
  try {
    content = extname(path) === ".toml" ? parseToml(text) : parseYaml(text);
  } catch (error) {
    return `does not parse: ${(error as Error).message.split("\n")[0]!.replace(/:$/, "")}`;
  }
  if (content === null || content === undefined) return undefined;
  if (!isMapping(content)) return "is no mapping";
  return problemOfSections(content) ?? problemOfRouters(content) ?? problemOfStores(path, content);
}

function problemOfSections(content: Mapping): string | undefined {
  for (const [name, section] of Object.entries(content)) {
    const known = find(sections, name);
    if (known === undefined || section === null) continue;
    if (!isMapping(section)) return `${name} is no mapping`;
    if (Object.keys(section).length === 0) return `${name} is empty`;
    for (const [part, value] of Object.entries(section)) {
      if (!known.some((each) => isSame(each, part))) return `has the unknown field "${name}.${part}"`;
      if (isMapping(value) && Object.keys(value).length === 0) return `${name}.${part} is empty`;
    }
    if (Object.values(section).every((value) => value === null)) return `${name} has nothing but empty fields`;
  }
  return undefined;
}

function problemOfRouters(content: Mapping): string | undefined {
  const routers = find(find(content, "http") as Mapping | undefined, "routers");
  for (const [name, router] of Object.entries(isMapping(routers) ? routers : {})) {
    if (!isMapping(router)) return `http.routers.${name} is no mapping`;
    const unknown = Object.keys(router).find((field) => !routerFields.some((each) => isSame(each, field)));
    if (unknown !== undefined) return `has the unknown field "http.routers.${name}.${unknown}"`;
  }
  return undefined;
}

function problemOfStores(path: string, content: Mapping): string | undefined {
  if (path === dynamicFiles.certificate) return undefined;
  const stores = find(find(content, "tls") as Mapping | undefined, "stores");
  if (!isMapping(stores) || find(stores, "default") === undefined) return undefined;
  return `sets the default TLS store as ${dynamicFiles.certificate} does: Traefik takes the one whose file comes first`;
}

type Mapping = { readonly [key: string]: unknown };

/** The first of several documents, as Traefik does. */
function parseYaml(text: string): unknown {
  const [document] = parseAllDocuments(text);
  if (document === undefined) return undefined;
  const [error] = document.errors;
  if (error !== undefined) throw error;
  return document.toJS();
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function find<T>(mapping: { readonly [key: string]: T } | null | undefined, name: string): T | undefined {
  return Object.entries(mapping ?? {}).find(([key]) => isSame(key, name))?.[1];
}

function isSame(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
