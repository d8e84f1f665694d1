import Type from "typebox";
import { type Api, sandboxOf } from "../api.ts";
import { idParams, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const bytes = (description: string) => Type.Union([Type.Integer(), Type.Null()], { description });

const answer = Type.Object({
  disk: Type.Union([Type.String(), Type.Null()], { description: "The limit that was asked for" }),
  driver: Type.String({ description: "How disks are limited here: loop, btrfs, xfs or none" }),
  limit_bytes: bytes("The limit that is in force; null: none"),
  used_bytes: bytes("null: nobody counts"),
  enforced: Type.Boolean({ description: "Whether a limit is in force" }),
});

/** How much of the disk a workspace takes, and may take. */
export function diskRoutes(server: ApiServer, api: Api): void {
  const response = { 200: answer, "4xx": versionedError, "5xx": versionedError };
  const schema = { tags: ["observe"], summary: "The disk of a sandbox's workspace", params: idParams, response };
  server.get("/v1/sandboxes/:id/disk", { schema }, async ({ params }) => {
    const { id, disk } = sandboxOf(api, params);
    const { driver, limitBytes, usedBytes } = await api.use.engine.disk(id);
    return { disk, driver, limit_bytes: limitBytes, used_bytes: usedBytes, enforced: limitBytes !== null };
  });
}
