import Type, { type Static } from "typebox";
import { parseSandboxId } from "#contract/sandbox-id.ts";
import { notFound } from "../../api-error.ts";
import type { Template } from "../../snapshots/snapshot.ts";
import type { Api } from "../api.ts";
import { toTime } from "../resource.ts";
import { snapshotReference, templateName, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const tags = ["snapshots"];
const errors = { "4xx": versionedError, "5xx": versionedError };
const nameParams = Type.Object({ id: templateName });
const putBody = Type.Object({ snapshot_id: snapshotReference }, { additionalProperties: false });
const time = Type.String({ format: "date-time" });
const template = Type.Object(
  { name: Type.String(), snapshot_id: Type.String(), created_at: time, updated_at: time },
  { title: "Template" },
);
const list = Type.Object({ items: Type.Array(template), next_cursor: Type.Null() });

/** Snapshots by a name, to make sandboxes of. */
export function templateRoutes(server: ApiServer, api: Api): void {
  const { store } = api.use.snapshots;
  const path = "/v1/templates/:id";
  const written = { tags, summary: "Give a snapshot a name to make sandboxes of", params: nameParams, body: putBody };
  server.put(path, { schema: { ...written, response: { 200: template, ...errors } } }, async ({ params, body }) => {
    const { id } = api.use.snapshots.find(parseSandboxId(body.snapshot_id));
    store.putTemplate(params.id, id, api.use.now());
    return toWire(find(params.id));
  });
  const read = { tags, summary: "Show a template", params: nameParams };
  server.get(path, { schema: { ...read, response: { 200: template, ...errors } } }, async ({ params }) =>
    toWire(find(params.id)),
  );
  const listed = { tags, summary: "List templates by name" };
  server.get("/v1/templates", { schema: { ...listed, response: { 200: list, ...errors } } }, async () => ({
    items: store.templates().map(toWire),
    next_cursor: null,
  }));
  const removed = { tags, summary: "Remove a template; its snapshot stays", params: nameParams };
  server.delete(
    path,
    { schema: { ...removed, response: { 204: Type.Null(), ...errors } } },
    async ({ params }, reply) => {
      if (!store.deleteTemplate(params.id)) throw noTemplate();
      return reply.code(204).send(null);
    },
  );

  function find(name: string): Template {
    const found = store.template(name);
    if (found === undefined) throw noTemplate();
    return found;
  }
}

function noTemplate() {
  return notFound("There is no such template");
}

function toWire({ name, snapshotId, createdAt, updatedAt }: Template): Static<typeof template> {
  return { name, snapshot_id: snapshotId, created_at: toTime(createdAt), updated_at: toTime(updatedAt) };
}
