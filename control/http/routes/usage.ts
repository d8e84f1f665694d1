import Type from "typebox";
import { type Api, sandboxOf } from "../api.ts";
import { idParams, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const counted = (description: string) => Type.Union([Type.Number(), Type.Null()], { description });

const answer = Type.Object(
  {
    memory: Type.Object({
      used_bytes: counted("What its processes occupy, without file pages that can be dropped"),
      limit_bytes: counted("The hard limit"),
      refused: counted("How often it asked for more than there was"),
    }),
    processes: Type.Object({
      count: counted("Processes and threads"),
      limit: counted("How many there may be"),
      refused: counted("How many could not be started"),
    }),
    cpu: Type.Object({
      used_seconds: counted("Of all cores"),
      limit: counted("Cores"),
      throttled_seconds: counted("How long it was held back because its share was used up"),
    }),
  },
  { description: "Counts are those of the present run. null: it is not up, nobody counts, or nothing limits" },
);

/** What a sandbox takes of the machine, and which of its limits it comes to. Its disk has a route of its own. */
export function usageRoutes(server: ApiServer, api: Api): void {
  const response = { 200: answer, "4xx": versionedError, "5xx": versionedError };
  const summary = "Memory, processes and CPU of a sandbox, and how often it came to their limits";
  const schema = { tags: ["observe"], summary, params: idParams, response };
  server.get("/v1/sandboxes/:id/usage", { schema }, async ({ params }) => {
    const { memory, processes, cpu } = await api.use.engine.usage(sandboxOf(api, params).id);
    return {
      memory: { used_bytes: memory.usedBytes, limit_bytes: memory.limitBytes, refused: memory.refused },
      processes,
      cpu: { used_seconds: cpu.usedSeconds, limit: cpu.limit, throttled_seconds: cpu.throttledSeconds },
    };
  });
}
