import type { Api } from "../api.ts";
import { llmText } from "../llm-text.ts";
import type { ApiServer } from "../server.ts";

/** Whether control is up and ready, what it counts, and how to use it. */
export function healthRoutes(server: ApiServer, api: Api): void {
  const plain = "text/plain; charset=utf-8";
  const schema = { tags: ["service"] };
  server.get("/healthz", { schema: { ...schema, summary: "`ok` while control runs" } }, async (_, reply) =>
    reply.type(plain).send("ok"),
  );
  server.get(
    "/readyz",
    { schema: { ...schema, summary: "`ready` when SQLite and the engine answer" } },
    async (_, reply) => {
      try {
        await api.checkReady();
      } catch (error) {
        return reply
          .code(503)
          .header("retry-after", "1")
          .type(plain)
          .send(`not ready: ${(error as Error).message}`);
      }
      return reply.type(plain).send("ready");
    },
  );
  server.get(
    "/metrics",
    { schema: { ...schema, summary: "Prometheus metrics, on loopback alone" } },
    async (_, reply) => {
      const { registry } = api.use.metrics;
      return reply.type(registry.contentType).send(await registry.metrics());
    },
  );
  server.get("/llm.txt", { schema: { ...schema, summary: "This API for agents" } }, async (_, reply) =>
    reply.type(plain).send(llmText(api.resources.origin)),
  );
  server.get("/openapi.json", { schema: { hide: true } }, async () => server.swagger());
}
