import Type from "typebox";
import type { Api } from "../api.ts";
import { versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const answer = Type.Object({
  engine: Type.String(),
  pause: Type.Boolean(),
  reclaim: Type.Boolean({ description: "Whether memory of paused sandboxes can be taken back" }),
  runtimes: Type.Array(Type.String(), { description: "What a sandbox may ask for as its runtime" }),
  details: Type.Record(Type.String(), Type.String(), { description: "What it can do on this machine, in words" }),
});

/** What runs sandboxes, and how well it holds them. */
export function engineRoutes(server: ApiServer, { use }: Api): void {
  const response = { 200: answer, "4xx": versionedError, "5xx": versionedError };
  const schema = { tags: ["service"], summary: "The engine, and what it can do on this machine", response };
  server.get("/v1/engine", { schema }, async () => {
    const { pause, reclaim, runtimes, details } = await use.engine.capabilities();
    return { engine: use.engine.kind, pause, reclaim, runtimes: [...runtimes], details: { ...details } };
  });
}
