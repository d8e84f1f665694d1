import type { FastifyRequest } from "fastify";
import Type from "typebox";
import { ApiError } from "../../api-error.ts";
import { execInSandbox } from "../../sandboxes/exec-in-sandbox.ts";
import { importArchive } from "../../workspaces/import-archive.ts";
import { appDirectory, parseRequestPath } from "../../workspaces/request-path.ts";
import { home } from "../../workspaces/workspace.ts";
import { type Api, idOf, sandboxOf } from "../api.ts";
import { collect } from "../exec-output.ts";
import { gone } from "../gone.ts";
import { idParams, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";
import { acceptBytes } from "./files.ts";

const strict = { additionalProperties: false } as const;
const tags = ["inside"];
const errors = { "4xx": versionedError, "5xx": versionedError };
const mostImports = 4;
const cloneSeconds = 1800;
const mostSaid = 4096;

const importQuery = Type.Object({ path: Type.Optional(Type.String({ maxLength: 4096 })) }, strict);
const imported = Type.Object({ entries: Type.Integer(), bytes: Type.Integer() });
const cloneBody = Type.Object(
  {
    url: Type.String({ pattern: "^(?:https?|git|ssh|file)://[^\\s\\u0000]+$", maxLength: 2048 }),
    ref: Type.Optional(Type.String({ pattern: "^[^-\\s\\u0000][^\\s\\u0000]*$", maxLength: 255 })),
    path: Type.Optional(Type.String({ maxLength: 4096, description: "Where not said the app; it has to be empty" })),
  },
  strict,
);
const cloned = Type.Object({ path: Type.String(), commit: Type.String() });

/** Whole trees that come into a workspace: archives, and repositories. */
export function importRoutes(server: ApiServer, api: Api): void {
  let underWay = 0;
  server.register(async (scope) => {
    const bytes = acceptBytes(scope as unknown as ApiServer);
    const schema = {
      tags,
      summary: "Unpack a tar, tar.gz, tar.zst or zip archive into a workspace",
      params: idParams,
      querystring: importQuery,
      body: Type.Any({ description: "The archive, of any content type" }),
      response: { 200: imported, ...errors },
    };
    bytes.post("/v1/sandboxes/:id/import", { schema }, async (request, reply) => {
      const { id } = sandboxOf(api, request.params);
      try {
        const parts = parseRequestPath(request.query.path ?? "", appDirectory);
        if (underWay >= mostImports) {
          throw new ApiError("too_many_requests", "Too many archives are being unpacked", { retryAfterSeconds: 10 });
        }
        underWay++;
        const spool = api.workspaces.spool;
        return await importArchive(api.workspaces.of(id), parts, bodyOf(request), { spool }).finally(() => underWay--);
      } catch (error) {
        if (!request.raw.complete) reply.header("connection", "close");
        throw error;
      }
    });
  });

  const made = { tags, summary: "Clone a repository inside a sandbox", params: idParams, body: cloneBody };
  server.post(
    "/v1/sandboxes/:id/clone",
    { schema: { ...made, response: { 200: cloned, ...errors } } },
    async (request) => {
      const { url, ref = "", path = "" } = request.body;
      const below = Buffer.concat(
        parseRequestPath(path, appDirectory).flatMap((part) => [part, Buffer.from("/")]),
      ).toString();
      const command = {
        cmd: ["sh", "-c", clone, "sh", url, ref, below],
        cwd: "",
        env: { GIT_TERMINAL_PROMPT: "0", LC_ALL: "C" },
        stdin: "",
        timeoutSeconds: cloneSeconds,
      };
      const signal = gone(request, api.closing.signal);
      const said = await collect(await execInSandbox(api.use, idOf(request.params), command, signal));
      if (said.exit_code === 0) return { path: `${home}/${below}`.replace(/\/$/, ""), commit: said.stdout.trim() };
      const stderr = said.stderr.slice(-mostSaid);
      const message = `git ended with ${said.exit_code}: ${stderr.trim().split("\n").at(-1) ?? ""}`;
      throw new ApiError("exited", message, { detail: { exit_code: said.exit_code, stderr } });
    },
  );
}

/** A branch, a tag or a commit; the commit that is checked out is all that it says. */
const clone = `
set -e
git clone --quiet -- "$1" "$3"
[ -z "$2" ] || git -C "$3" checkout --quiet "$2" --
git -C "$3" rev-parse HEAD
`;

function bodyOf({ body }: FastifyRequest): AsyncIterable<Buffer> {
  return (body ?? []) as AsyncIterable<Buffer>;
}
