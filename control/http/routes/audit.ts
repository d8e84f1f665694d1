import Type, { type Static } from "typebox";
import { ApiError } from "../../api-error.ts";
import type { AuditFilter, RecordedAudit } from "../../sqlite/audit-store.ts";
import type { Api } from "../api.ts";
import type { LiveStreams } from "../live-streams.ts";
import { toTime } from "../resource.ts";
import { versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const strict = { additionalProperties: false } as const;
const errors = { "4xx": versionedError, "5xx": versionedError };
const nullable = <const T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

const query = Type.Object(
  {
    actor: Type.Optional(Type.String()),
    action: Type.Optional(Type.String()),
    target: Type.Optional(Type.String()),
    ip: Type.Optional(Type.String()),
    outcome: Type.Optional(Type.Enum(["done", "refused", "failed"])),
    from: Type.Optional(Type.String({ description: "RFC 3339, included" })),
    to: Type.Optional(Type.String({ description: "RFC 3339, not included" })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
    cursor: Type.Optional(Type.String({ pattern: "^[0-9]{1,15}$" })),
    format: Type.Optional(Type.Enum(["json", "ndjson"])),
  },
  strict,
);

const entry = Type.Object({
  id: Type.Integer(),
  time: Type.String({ format: "date-time" }),
  actor: Type.Object({ kind: Type.String(), name: Type.String() }),
  ip: nullable(Type.String()),
  action: Type.String(),
  target: nullable(Type.String()),
  outcome: Type.String(),
  detail: Type.Record(Type.String(), Type.Unknown()),
});
const page = Type.Object({ items: Type.Array(entry), next_cursor: nullable(Type.String()) });

const exportPage = 1000;

/** The audit log: a page of it, or all of it as NDJSON. */
export function auditRoutes(server: ApiServer, api: Api, streams: LiveStreams): void {
  const summary = "Who did what, the newest first";
  server.get(
    "/v1/audit",
    { schema: { tags: ["audit"], summary, querystring: query, response: { 200: page, ...errors } } },
    async (request, reply) => {
      const { limit = 100, cursor, format, ...rest } = request.query;
      const filter = toFilter(rest);
      const wantsLines = format === "ndjson" || /application\/x-ndjson/i.test(request.headers.accept ?? "");
      if (wantsLines) return exportAll(api, filter, streams.open(reply, "application/x-ndjson"));
      const before = cursor === undefined ? undefined : Number(cursor);
      const found = api.access.audit.list({ ...filter, before, limit: limit + 1 });
      const items = found.slice(0, limit).map(show);
      return { items, next_cursor: found.length > limit ? String(items.at(-1)!.id) : null };
    },
  );
}

async function exportAll(
  { access: { audit } }: Api,
  filter: Omit<AuditFilter, "limit">,
  stream: ReturnType<LiveStreams["open"]>,
): Promise<void> {
  let before: number | undefined;
  while (!stream.signal.aborted) {
    const found = audit.list({ ...filter, before, limit: exportPage });
    if (found.length > 0) await stream.write(`${found.map((each) => JSON.stringify(show(each))).join("\n")}\n`);
    if (found.length < exportPage) break;
    before = found.at(-1)!.id;
  }
  stream.end();
}

function toFilter({ from, to, ...rest }: Omit<Static<typeof query>, "limit" | "cursor" | "format">) {
  return { ...rest, from: toMilliseconds("from", from), to: toMilliseconds("to", to) };
}

function toMilliseconds(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new ApiError("invalid_request", `query: ${name} must be a time`);
  return time;
}

function show({ actorKind, actorName, time, ...rest }: RecordedAudit): Static<typeof entry> {
  return { ...rest, time: toTime(time), actor: { kind: actorKind, name: actorName } };
}
