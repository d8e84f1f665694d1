import type { IncomingMessage } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import Type from "typebox";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError } from "../../api-error.ts";
import { type FileEntry, listFiles } from "../../workspaces/list-files.ts";
import { makeDirectory, moveFile } from "../../workspaces/move-file.ts";
import { openFile } from "../../workspaces/read-file.ts";
import { removeFiles } from "../../workspaces/remove-files.ts";
import { appDirectory, parseRequestPath } from "../../workspaces/request-path.ts";
import { mostFileBytes, tooLarge, writeFile } from "../../workspaces/write-file.ts";
import { type Api, sandboxOf } from "../api.ts";
import { sendFile } from "../file-answer.ts";
import { idParams, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const strict = { additionalProperties: false } as const;
const tags = ["inside"];
const errors = { "4xx": versionedError, "5xx": versionedError };
const description =
  "A path is below workspace/app; one that begins with /home/sandbox is what the sandbox sees there. It works while the sandbox sleeps.";
const common = { tags, description, params: idParams };
const root = "";

const path = Type.String({ minLength: 1, maxLength: 4096 });
const pathQuery = Type.Object({ path }, strict);
const listQuery = Type.Object(
  { path: Type.Optional(Type.String({ maxLength: 4096 })), recursive: Type.Optional(Type.Boolean()) },
  strict,
);
const removeQuery = Type.Object({ path, recursive: Type.Optional(Type.Boolean()) }, strict);
const moveBody = Type.Object({ from: path, to: path, overwrite: Type.Optional(Type.Boolean()) }, strict);

const entry = Type.Object({
  path: Type.String(),
  name: Type.String(),
  name_base64: Type.Optional(Type.String({ description: "Of a name that is no UTF-8" })),
  type: Type.Enum(["file", "dir", "symlink", "other"]),
  size: Type.Integer(),
  mode: Type.String({ description: "Octal" }),
  mtime: Type.String({ format: "date-time" }),
  target: Type.Optional(Type.String({ description: "What a symbolic link says" })),
});
const listing = Type.Object({
  path: Type.String(),
  recursive: Type.Boolean(),
  entries: Type.Array(entry),
  truncated: Type.Boolean({ description: "There is more than was listed" }),
});
const written = Type.Object({ path: Type.String(), size: Type.Integer(), etag: Type.String() });
const named = Type.Object({ path: Type.String() });

/** The files of a workspace. They are on this machine's disk, so a sandbox sleeps on while they are read and written. */
export function fileRoutes(server: ApiServer, api: Api): void {
  const at = "/v1/sandboxes/:id/files";
  const workspaceOf = (params: { id: string }) => api.workspaces.of(sandboxOf(api, params).id);

  const listed = { ...common, summary: "What is in a directory", querystring: listQuery };
  server.get(at, { schema: { ...listed, response: { 200: listing, ...errors } } }, async ({ params, query }) => {
    const { path = "", recursive = false } = query;
    const { entries, truncated } = await listFiles(workspaceOf(params), parseRequestPath(path, appDirectory), {
      recursive,
    });
    const prefix = path === "" ? "" : `${path.replace(/\/+$/, "")}/`;
    return { path, recursive, entries: entries.map((each) => toEntry(each, prefix)), truncated };
  });

  const content = `${at}/content`;
  const read = { ...common, summary: "A file's bytes, or a range of them", querystring: pathQuery };
  server.get(
    content,
    { schema: { ...read, response: { 200: Type.String(), 206: Type.String(), ...errors } } },
    async (request, reply) => {
      const parts = parseRequestPath(request.query.path, appDirectory);
      return sendFile(await openFile(workspaceOf(request.params), parts), request, reply);
    },
  );

  const removed = { ...common, summary: "Remove a file or directory", querystring: removeQuery };
  server.delete(
    at,
    { schema: { ...removed, response: { 204: Type.Null(), ...errors } } },
    async ({ params, query }, reply) => {
      const { id } = sandboxOf(api, params);
      const { path, recursive = false } = query;
      const parts = parseRequestPath(path, appDirectory);
      await api.workspaces.changes.run(id, () => removeFiles(api.workspaces.of(id), parts, { recursive }));
      return reply.code(204).send(null);
    },
  );

  const moved = { ...common, summary: "Move or rename a file or directory", body: moveBody };
  server.post(
    `${at}/move`,
    { schema: { ...moved, response: { 200: named, ...errors } } },
    async ({ params, body: { from, to, overwrite = false } }) => {
      const { id } = sandboxOf(api, params);
      const [source, target] = [parseRequestPath(from, appDirectory), parseRequestPath(to, appDirectory)];
      await api.workspaces.changes.run(id, () => moveFile(api.workspaces.of(id), source, target, { overwrite }));
      return { path: to };
    },
  );

  const made = { ...common, summary: "Make a directory, with those above it", body: Type.Object({ path }, strict) };
  server.post(
    `${at}/mkdir`,
    { schema: { ...made, response: { 200: named, 201: named, ...errors } } },
    async ({ params, body }, reply) => {
      const isNew = await makeDirectory(workspaceOf(params), parseRequestPath(body.path, appDirectory));
      return reply.code(isNew ? 201 : 200).send({ path: body.path });
    },
  );

  server.register(async (scope) => {
    const bytes = acceptBytes(scope as unknown as ApiServer);
    const put = { ...common, summary: "Put a file in place, whole", querystring: pathQuery };
    const options = { schema: { ...put, response: { 200: written, ...errors } }, preValidation: refuseLarge };
    bytes.put(content, options, (request, reply) => write(api, request, reply, appDirectory));
    const early = { ...put, description: `${description} What begins with workspace/ is below /home/sandbox.` };
    const earlyOptions = { ...options, schema: { ...options.schema, ...early } };
    bytes.put(at, earlyOptions, (request, reply) => {
      // Earlier clients read below the app, and write below the root of the workspace: what they write begins so.
      const from = request.query.path.startsWith("workspace/") ? root : appDirectory;
      return write(api, request, reply, from);
    });
  });
}

/** A scope whose calls take a body of any type, as it comes. */
export function acceptBytes(scope: ApiServer): ApiServer {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser("*", (_request, body, done) => done(null, body));
  return scope;
}

/** What its length tells to be too large is not read at all. */
async function refuseLarge({ headers }: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (Number(headers["content-length"] ?? 0) <= mostFileBytes) return;
  reply.header("connection", "close");
  throw tooLarge();
}

type WriteCall = FastifyRequest<{ Params: { id: string }; Querystring: { path: string } }>;

async function write(api: Api, request: WriteCall, reply: FastifyReply, from: string) {
  const { params, query, headers, raw } = request;
  const id: SandboxId = sandboxOf(api, params).id;
  const conditions = { ifMatch: headers["if-match"], ifNoneMatch: headers["if-none-match"] };
  const alone = <T>(change: () => Promise<T>) => api.workspaces.changes.run(id, change);
  try {
    if (query.path.endsWith("/")) throw new ApiError("invalid_request", "query: path must name a file");
    const parts = parseRequestPath(query.path, from);
    const body = (request.body ?? []) as AsyncIterable<Buffer>;
    const { size, etag } = await writeFile(api.workspaces.of(id), parts, body, { conditions, alone });
    return await reply.header("etag", etag).send({ path: query.path, size, etag });
  } catch (error) {
    if (!(raw as IncomingMessage).complete) reply.header("connection", "close");
    throw error;
  }
}

function toEntry({ path, type, stats, target }: FileEntry, prefix: string) {
  const name = path.subarray(path.lastIndexOf(0x2f) + 1);
  const isText = Buffer.from(name.toString()).equals(name);
  return {
    path: `${prefix}${path}`,
    name: name.toString(),
    ...(!isText && { name_base64: name.toString("base64") }),
    type,
    size: Number(stats.size),
    mode: (stats.mode & 0o7777n).toString(8).padStart(4, "0"),
    mtime: stats.mtime.toISOString(),
    ...(target !== undefined && { target: target.toString() }),
  };
}
