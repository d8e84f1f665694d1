/** What kind a request is of, which decides whether it may wake a sandbox and keep it awake. */
export const requestClasses = [
  "navigation",
  "self-reload",
  "subresource",
  "api",
  "hmr-socket",
  "socket",
  "prefetch",
  "preflight",
  "monitor",
  "crawler",
  "unfurler",
] as const;
export type RequestClass = (typeof requestClasses)[number];
