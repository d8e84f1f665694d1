import type { FastifyReply, FastifyRequest } from "fastify";
import Type, { type Static } from "typebox";
import { ApiError } from "../../api-error.ts";
import { type ExecRequest, execInSandbox } from "../../sandboxes/exec-in-sandbox.ts";
import { type Api, idOf } from "../api.ts";
import { collect, toLines, toPlainText, toStream } from "../exec-output.ts";
import { gone } from "../gone.ts";
import { idParams, shortError, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const strict = { additionalProperties: false } as const;
const appDirectory = "workspace/app";
const defaultTimeoutSeconds = 600;
const longestTimeoutSeconds = 24 * 3600;
const mostStdin = 1024 * 1024;

const text = (maxLength: number) => Type.String({ maxLength, pattern: "^[^\\u0000]*$" });
const execBody = Type.Object(
  {
    cmd: Type.Union([Type.Array(text(65_536), { maxItems: 1024 }), text(65_536)], {
      description: "A program and its arguments, or a line for sh -c",
    }),
    cwd: Type.Optional(
      Type.String({
        ...text(4096),
        description:
          "Below workspace/app, or an absolute path below /home/sandbox; where nothing is said workspace/app",
      }),
    ),
    env: Type.Optional(
      Type.Record(Type.String({ pattern: "^[A-Za-z_][A-Za-z0-9_]*$" }), text(65_536), {
        ...strict,
        description: "Over the sandbox's own",
      }),
    ),
    timeout_s: Type.Optional(
      Type.Integer({ minimum: 1, maximum: longestTimeoutSeconds, default: defaultTimeoutSeconds }),
    ),
    stdin: Type.Optional(
      Type.String({ maxLength: mostStdin, description: "All of its standard input; more belongs in a file" }),
    ),
    stream: Type.Optional(Type.Boolean({ description: "Lines of JSON as the command says something" })),
  },
  strict,
);

const answer = Type.Object({
  stdout: Type.String({ description: "UTF-8; the first MiB" }),
  stderr: Type.String(),
  exit_code: Type.Integer({ description: "128 and the signal's number where a signal ended it" }),
  signal: Type.Union([Type.String(), Type.Null()]),
  ended_by: Type.Enum(["itself", "timeout", "stop"]),
  stdout_truncated: Type.Boolean(),
  stderr_truncated: Type.Boolean(),
  duration_ms: Type.Integer(),
});

/** Commands in a sandbox, in one answer or as they go. */
export function execRoutes(server: ApiServer, api: Api): void {
  const tags = ["inside"];
  const summary = "Run a command in a sandbox, which is woken for it";
  const description =
    "With stream, lines of JSON: {stream, data} as the command says something, then {exit_code, signal, ended_by, duration_ms}. " +
    "A caller who leaves ends the command.";
  const common = { tags, summary, description, params: idParams, body: execBody };

  const errors = { "4xx": versionedError, "5xx": versionedError };
  server.post(
    "/v1/sandboxes/:id/exec",
    { schema: { ...common, response: { 200: answer, ...errors } } },
    async (request, reply) => {
      const messages = await run(api, request);
      if (!request.body.stream) return collect(messages);
      return live(reply, "application/x-ndjson").send(toStream(toLines(messages)));
    },
  );

  const shortErrors = { "4xx": shortError, "5xx": shortError };
  server.post(
    "/sandbox/:id/exec",
    { schema: { ...common, tags: ["short forms"], response: { 200: answer, ...shortErrors } } },
    async (request, reply) => {
      const messages = await run(api, request);
      if (!request.body.stream) return collect(messages);
      return live(reply, "text/plain; charset=utf-8").send(toStream(toPlainText(messages)));
    },
  );
}

type ExecCall = FastifyRequest<{ Params: { id: string }; Body: Static<typeof execBody> }>;

function run(api: Api, request: ExecCall) {
  return execInSandbox(api.use, idOf(request.params), toExec(request.body), gone(request, api.closing.signal));
}

// biome-ignore lint/suspicious/noExplicitAny: what a stream of text is to a route whose schema tells the other answer.
function live(reply: FastifyReply<any>, type: string) {
  // The head goes out before the command says anything.
  reply.raw.once("pipe", () => reply.raw.flushHeaders());
  return reply.type(type).header("cache-control", "no-store").header("x-accel-buffering", "no") as FastifyReply;
}

function toExec({ cmd, cwd, env = {}, timeout_s, stdin = "" }: Static<typeof execBody>): ExecRequest {
  if (cmd.length === 0 || cmd[0] === "") throw new ApiError("invalid_request", "cmd required");
  return {
    cmd: typeof cmd === "string" ? ["sh", "-c", cmd] : cmd,
    cwd: toCwd(cwd),
    env,
    stdin,
    timeoutSeconds: timeout_s ?? defaultTimeoutSeconds,
  };
}

function toCwd(cwd: string | undefined): string {
  if (cwd === undefined || cwd === "") return appDirectory;
  const inHome = /^\/home\/sandbox(?:\/|$)(.*)/s.exec(cwd)?.[1];
  if (inHome === undefined && cwd.startsWith("/"))
    throw new ApiError("invalid_request", "body: cwd must be relative, or below /home/sandbox");
  const below = inHome ?? `${appDirectory}/${cwd}`;
  if (below.split("/").includes("..")) throw new ApiError("invalid_request", "body: cwd must not lead up by ..");
  return below;
}
