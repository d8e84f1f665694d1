import Type, { type Static } from "typebox";
import type { Backup } from "../../backups/backup.ts";
import type { Api } from "../api.ts";
import { toTime } from "../resource.ts";
import { versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const tags = ["service"];
const errors = { "4xx": versionedError, "5xx": versionedError };
const nullable = <const T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const time = Type.String({ format: "date-time" });

const takeBody = Type.Object({ workspaces: Type.Optional(Type.Boolean()) }, { additionalProperties: false });
const backup = Type.Object(
  {
    id: Type.String(),
    created_at: time,
    took_ms: Type.Integer(),
    size_bytes: Type.Integer(),
    database_bytes: Type.Integer(),
    sandboxes: Type.Integer(),
    workspaces: nullable(Type.Integer({ description: "How many; null: it was made without them" })),
    failed_workspaces: Type.Array(Type.Object({ id: Type.String(), message: Type.String() })),
  },
  { title: "Backup" },
);
const list = Type.Object({
  items: Type.Array(backup),
  next_cursor: Type.Null(),
  next_at: nullable(time),
  last_error: nullable(Type.Object({ time, message: Type.String() })),
});

/** Copies of the database and of workspaces. A restore is no call: control is stopped for it. */
export function backupRoutes(server: ApiServer, { backups }: Api): void {
  const taken = { tags, summary: "Make a backup", body: takeBody };
  server.post(
    "/v1/backups",
    { schema: { ...taken, response: { 201: backup, ...errors } } },
    async ({ body }, reply) => {
      const { workspaces = backups.rules.workspaces } = body;
      return reply.code(201).send(toWire(await backups.take({ workspaces })));
    },
  );
  const listed = { tags, summary: "List backups, newest first" };
  server.get("/v1/backups", { schema: { ...listed, response: { 200: list, ...errors } } }, async () => {
    const { nextAt, lastError } = backups.status();
    return {
      ...{ items: (await backups.list()).map(toWire), next_cursor: null },
      next_at: nextAt === null ? null : toTime(nextAt),
      last_error: lastError === null ? null : { time: toTime(lastError.time), message: lastError.message },
    };
  });
}

function toWire(each: Backup): Static<typeof backup> {
  const { id, createdAt, tookMs, sizeBytes, databaseBytes, sandboxes, workspaces, failed } = each;
  return {
    ...{ id, created_at: toTime(createdAt), took_ms: tookMs, size_bytes: sizeBytes, database_bytes: databaseBytes },
    ...{ sandboxes, workspaces: workspaces?.length ?? null, failed_workspaces: [...failed] },
  };
}
