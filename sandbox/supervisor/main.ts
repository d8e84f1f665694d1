/** The command of a sandbox that was created without one. */
import { homedir } from "node:os";
import { join } from "node:path";
import { supervise } from "./supervisor.ts";

const end = new AbortController();
for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => end.abort());

await supervise({
  directory: process.cwd(),
  stateDirectory: join(homedir(), ".local", "state", "sandbox"),
  port: Number(process.env.PORT ?? 3000),
  host: process.env.HOST ?? "0.0.0.0",
  signal: end.signal,
});
