const verbs: Readonly<Record<string, string>> = { POST: "create", PATCH: "change", PUT: "write", DELETE: "remove" };
const nouns: Readonly<Record<string, string>> = {
  sandboxes: "sandbox",
  sandbox: "sandbox",
  shares: "share",
  content: "file",
};

/**
 * What a call does, by its method and its route: `sandbox.stop` for `POST /v1/sandboxes/:id/stop`, `share.remove` for
 * `DELETE /v1/sandboxes/:id/shares/:share`. Reading is `read`, and a call of no route `unknown`.
 */
export function actionOf(method: string, route: string | undefined): string {
  if (route === undefined) return "unknown";
  const [first = "", ...rest] = route
    .replace(/^\/v1\//, "/")
    .split("/")
    .filter((part) => part !== "" && !part.startsWith(":"));
  if (method === "GET" || method === "HEAD" || method === "OPTIONS") return `${[noun(first), ...rest].join(".")}.read`;
  const last = rest.at(-1);
  if (first === "wake") return "sandbox.wake";
  if (last === undefined) return `${noun(first)}.${verbs[method] ?? method.toLowerCase()}`;
  if (rest.at(-2) === "files" && method === "POST") return `file.${last}`;
  const isCollection = last.endsWith("s") && method === "POST";
  if (isCollection || method !== "POST") return `${noun(last)}.${verbs[method] ?? method.toLowerCase()}`;
  return `${noun(first)}.${last}`;
}

function noun(part: string): string {
  return nouns[part] ?? (part.endsWith("s") ? part.slice(0, -1) : part);
}
