import { apiUrl, type PreviewOrigin } from "#contract/preview-host.ts";

/** A short description of the API for agents. */
export function llmText(origin: PreviewOrigin): string {
  return `# sandboxd

Sandboxes with a URL for each of their ports. They sleep when nobody uses them; the first request wakes them.

Base URL: ${apiUrl(origin)} (Authorization: Bearer <secret>), or the operator's loopback address without a token.
Everything is JSON. The full description is at /openapi.json.

- POST /v1/sandboxes {"ports":[3000],"cmd":["node","server.js"]} creates and starts one. The answer has "id" and
  "previews", one URL per port. ?wait=none answers at once; Idempotency-Key makes a retry safe.
- GET /v1/sandboxes?status=&label=k=v&limit=&cursor= lists them; GET /v1/sandboxes/{id} shows one (?wait=running).
- PATCH /v1/sandboxes/{id} changes its policy (merge patch). env, cmd, image and memory apply at its next start.
- POST /v1/sandboxes/{id}/stop, /wake, /restart, /keepalive {"until":"<RFC 3339>"}.
- GET /v1/sandboxes/{id}/logs?tail=100&follow=true; GET /v1/sandboxes/{id}/explain says why it is awake or asleep.
- POST /v1/sandboxes/{id}/exec {"cmd":["npm","test"]} (or a string for sh -c; "cwd","env","stdin","timeout_s") wakes it
  and answers {"stdout","stderr","exit_code",…}; "stream":true answers lines of JSON as the command goes. Leaving ends it.
- GET /v1/sandboxes/{id}/files?path=&recursive=true lists; GET and PUT …/files/content?path= read (Range beyond 2 MiB) and
  write (at most 25 MiB, If-Match) a file as it is; DELETE …/files?path=&recursive=true; POST …/files/move {"from","to"},
  …/files/mkdir {"path"}; GET …/files/watch?path= tells changes as server-sent events. A path is below workspace/app; /home/sandbox/… is the whole workspace. It need not be awake.
- GET /v1/sandboxes/{id}/export?format=zip|tar.zst&path=&whole=true is a directory as an archive (where not said the app,
  without node_modules, .git, dist and .vite).
- POST /v1/sandboxes/{id}/import?path= unpacks a tar, tar.gz, tar.zst or zip body; POST …/clone {"url","ref","path"} runs
  git clone inside.
- GET /v1/sandboxes/{id}/terminal?cols=80&rows=24 is a shell over WebSocket: binary is keys and what is shown, text is
  {"resize":{"cols","rows"}} to it and {"session"} from it (?session= comes back); the close says {"exit_code"}.
- "visibility":"private" shuts a preview to whoever has no token of yours and no share link: POST
  /v1/sandboxes/{id}/shares {"ttl_seconds":3600,"max_uses":1} answers with the link in "url"; DELETE …/shares/{share}.
  POST /v1/revocations {"jti"} or {"subject"} or {"sandbox_id"} takes tokens back. GET /v1/audit says who did what.
- "env":{"KEY":{"value":"...","secret":true}} reaches the app and is never shown again: an answer says {"secret":true}.
- POST /v1/sandboxes/{id}/snapshots {"name"} copies its workspace as it is at one moment; POST /v1/sandboxes/{id}/restore
  {"snapshot_id"} puts it back. "from_snapshot" or "template" in a create begins with one; PUT /v1/templates/{name}
  {"snapshot_id"} makes one a template. "snapshots":{"at":["0 3 * * *"],"keep":7} takes them by the clock.
- POST /v1/backups {"workspaces":true} copies the database, and workspaces; GET /v1/backups lists what there is.
- "external":{"user_id","project_id","workspace_id"} says whose it is. GET /v1/external-users/{id} tells what somebody has and
  may have; POST /v1/external-users/{id}/purge and /v1/external-projects/{id}/purge remove all of it.
- DELETE /v1/sandboxes/{id} removes it with its workspace (?keep_workspace=true keeps that).

Errors are {"error":{"code","message","retryable"}}; a 503 says in Retry-After when to try again.
`;
}
