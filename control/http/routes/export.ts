import Type from "typebox";
import { ApiError } from "../../api-error.ts";
import { exportWorkspace } from "../../workspaces/export-workspace.ts";
import { appDirectory, parseRequestPath } from "../../workspaces/request-path.ts";
import { type Api, sandboxOf } from "../api.ts";
import { idParams, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const strict = { additionalProperties: false } as const;
const tags = ["inside"];
const errors = { "4xx": versionedError, "5xx": versionedError };
/** Each packs with a core of this machine. */
const mostExports = 4;
const types = { zip: "application/zip", "tar.zst": "application/zstd" } as const;

const exportQuery = Type.Object(
  {
    format: Type.Optional(Type.Enum(["zip", "tar.zst"])),
    path: Type.Optional(Type.String({ maxLength: 4096, description: "Where not said workspace/app" })),
    whole: Type.Optional(
      Type.Boolean({ description: "With node_modules, .git, dist and .vite, which are left out otherwise" }),
    ),
  },
  strict,
);

/** A workspace as one archive. */
export function exportRoutes(server: ApiServer, api: Api): void {
  let underWay = 0;
  const exported = {
    tags,
    summary: "A workspace as an archive",
    description: "The app, or the directory of the path; /home/sandbox with whole is all there is. Links stay links.",
    params: idParams,
    querystring: exportQuery,
  };
  server.get(
    "/v1/sandboxes/:id/export",
    { schema: { ...exported, response: { 200: Type.String(), ...errors } } },
    async ({ params, query }, reply) => {
      const { id } = sandboxOf(api, params);
      const { format = "zip", path = "", whole = false } = query;
      if (underWay >= mostExports) {
        throw new ApiError("too_many_requests", "Too many archives are being made", { retryAfterSeconds: 10 });
      }
      const parts = parseRequestPath(path, appDirectory);
      underWay++;
      try {
        const archive = await exportWorkspace(api.workspaces.of(id), parts, { format, whole });
        archive.once("close", () => underWay--);
        reply.header("content-disposition", `attachment; filename="${id}.${format}"`);
        reply.header("cache-control", "no-store");
        return reply.type(types[format]).send(archive as never);
      } catch (error) {
        underWay--;
        throw error;
      }
    },
  );
}
