import Type from "typebox";
import { ApiError } from "../../api-error.ts";
import { appDirectory, parseRequestPath } from "../../workspaces/request-path.ts";
import { walk } from "../../workspaces/walk.ts";
import { watchFiles } from "../../workspaces/watch-files.ts";
import { type Api, sandboxOf } from "../api.ts";
import type { LiveStreams } from "../live-streams.ts";
import { idParams, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const mostWatches = 32;
const keepAliveMs = 15_000;
const watchQuery = Type.Object(
  { path: Type.Optional(Type.String({ maxLength: 4096 })) },
  { additionalProperties: false },
);

/** What changes in a workspace, live. */
export function watchRoutes(server: ApiServer, api: Api, streams: LiveStreams): void {
  let open = 0;
  const watched = {
    tags: ["inside"],
    summary: "Follow what changes in a directory and below it",
    description:
      "Server-sent events: ready; change {path, kind: created|changed|removed}; incomplete, when there may be more: list anew. What a new " +
      "directory has in it already is told by a list. " +
      "node_modules, .git, dist and .vite are left out.",
    params: idParams,
    querystring: watchQuery,
  };
  const response = { 200: Type.String(), "4xx": versionedError, "5xx": versionedError };
  server.get("/v1/sandboxes/:id/files/watch", { schema: { ...watched, response } }, async (request, reply) => {
    const { id } = sandboxOf(api, request.params);
    const workspace = api.workspaces.of(id);
    const parts = parseRequestPath(request.query.path ?? "", appDirectory);
    if (open >= mostWatches) throw new ApiError("too_many_requests", "Too many directories are being watched");
    // Before the head goes out, so that a path that is not there is told as such.
    await (await walk(workspace, parts, { follow: true }))[Symbol.asyncDispose]();
    open++;
    const stream = streams.open(reply, "text/event-stream; charset=utf-8");
    const beats = setInterval(() => stream.push(": alive\n\n"), keepAliveMs);
    const onChange = (changed: string, sandbox: unknown) => changed === id && sandbox === undefined && stream.end();
    api.use.records.on("change", onChange);
    stream.signal.addEventListener("abort", () => {
      open--;
      clearInterval(beats);
      api.use.records.off("change", onChange);
    });
    const push = (event: string, value: object) => stream.push(`event: ${event}\ndata: ${JSON.stringify(value)}\n\n`);
    const events = {
      changes: (changes: readonly object[]) => {
        for (const change of changes) push("change", change);
      },
      incomplete: () => push("incomplete", {}),
    };
    try {
      await watchFiles(workspace, parts, events, stream.signal);
      push("ready", {});
    } catch (error) {
      request.log.warn({ sandbox: id, err: error }, "a workspace cannot be watched");
      stream.cut();
    }
  });
}
