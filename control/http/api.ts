import { parseSandboxId, type SandboxId } from "#contract/sandbox-id.ts";
import type { Access } from "../access/open-access.ts";
import { ApiError, notFound } from "../api-error.ts";
import type { Backups } from "../backups/backups.ts";
import type { Edge } from "../certificates/edge.ts";
import type { SandboxEngine } from "../engines/sandbox-engine.ts";
import type { RouteFeed } from "../routes/route-feed.ts";
import type { Collaborators } from "../sandboxes/collaborators.ts";
import type { Sandbox } from "../sandboxes/sandbox.ts";
import type { SecretBox } from "../secrets/secret-box.ts";
import type { EventStore } from "../sqlite/event-store.ts";
import type { Terminals } from "../terminals/terminals.ts";
import type { Workspaces } from "../workspaces/workspaces.ts";
import type { Seal } from "./env-field.ts";
import type { Idempotency } from "./idempotency.ts";
import { type ResourceSettings, toResource } from "./resource.ts";
import type { PatchBody, Resource } from "./schemas.ts";

/** What the routes work with. */
export type Api = {
  readonly use: Collaborators;
  readonly access: Access;
  readonly edge: Pick<Edge, "status">;
  readonly feed: RouteFeed;
  readonly events: EventStore;
  readonly idempotency: Idempotency;
  readonly secrets: SecretBox;
  readonly workspaces: Workspaces;
  readonly terminals: Terminals;
  readonly backups: Backups;
  readonly resources: ResourceSettings;
  /** Resolves when the rows were compared with the engine for the first time: before that no route is told. */
  readonly synced: Promise<void>;
  /** Aborts when control stops: nobody waits any longer. */
  readonly closing: AbortController;
  /** Rejects while SQLite or the engine does not answer, or the rows were not yet compared with the engine. */
  readonly checkReady: () => Promise<void>;
};

/** The id in a path, in either case. Throws ApiError `not_found` for what is not an id: there can be no such sandbox. */
export function idOf({ id: text }: { id: string }): SandboxId {
  const id = parseSandboxId(text);
  if (id === undefined) throw notFound();
  return id;
}

/** The sandbox of a path. Throws ApiError `not_found`. */
export function sandboxOf(api: Api, params: { id: string }): Sandbox {
  const sandbox = api.use.records.get(idOf(params));
  if (sandbox === undefined) throw notFound();
  return sandbox;
}

/** Seals what is for this sandbox. */
export function sealFor({ secrets }: Api, id: SandboxId): Seal {
  return (variable, value) => secrets.seal(id, variable, value);
}

export function show(api: Api, sandbox: Sandbox): Resource {
  return toResource(sandbox, api.resources);
}

/** Refuses what this engine cannot do. Throws ApiError `invalid_request`, and EngineError while it is away. */
export async function checkPossible(
  { use: { engine } }: Api,
  body: PatchBody,
  cmd: readonly string[] | null | undefined,
): Promise<void> {
  if (cmd === null && engine.kind === "process") {
    throw new ApiError("invalid_request", "body: cmd is required on the process engine");
  }
  if (body.sleep_mode === "pause") await checkPause(engine, "sleep_mode");
  if (body.runtime != null) await checkRuntime(engine, body.runtime);
}

async function checkRuntime(engine: SandboxEngine, runtime: string): Promise<void> {
  const { runtimes } = await engine.capabilities();
  if (runtimes.includes(runtime)) return;
  const others = runtimes.length > 0 ? `, only ${runtimes.join(", ")}` : "";
  throw new ApiError("invalid_request", `body: runtime ${runtime} is not to be had here${others}`);
}

/** Refuses to pause where that is not possible. Throws as `checkPossible`. */
export async function checkPause(engine: SandboxEngine, field: string): Promise<void> {
  const { pause } = await engine.capabilities();
  if (!pause) throw new ApiError("invalid_request", `body: ${field} pause is not possible on this engine`);
}
