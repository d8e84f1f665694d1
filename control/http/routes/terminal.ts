import type { FastifyRequest } from "fastify";
import Type, { type Static } from "typebox";
import { Compile } from "typebox/compile";
import type { WebSocket } from "ws";
import { ApiError } from "../../api-error.ts";
import { toExitCode } from "../../sandboxes/exec-in-sandbox.ts";
import type { Terminal, TerminalEnd, Viewer } from "../../terminals/terminal.ts";
import { type Api, idOf } from "../api.ts";
import type { Caller } from "../door.ts";
import { addressOf } from "../edge-access.ts";
import { idParams, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

declare module "fastify" {
  interface FastifyRequest {
    terminal: Terminal | null;
  }
}

const strict = { additionalProperties: false } as const;
const beatMs = 30_000;
/** RFC 6455 §7.4.1, and 1013 of the IANA registry. */
const closeCodes = { exit: 1000, stop: 1001, idle: 1001, unwelcome: 1008, slow: 1013 } as const;

const side = (otherwise: number) => Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: otherwise }));
const terminalQuery = Type.Object(
  { cols: side(80), rows: side(24), session: Type.Optional(Type.String({ maxLength: 26 })) },
  strict,
);
const control = Compile(
  Type.Object(
    {
      resize: Type.Object(
        {
          cols: Type.Integer({ minimum: 1, maximum: 1000 }),
          rows: Type.Integer({ minimum: 1, maximum: 1000 }),
        },
        strict,
      ),
    },
    strict,
  ),
);

/** A shell in a sandbox, over WebSocket. */
export function terminalRoutes(server: ApiServer, api: Api): void {
  const sockets = new Map<WebSocket, Caller>();
  const { tokens } = api.access;
  tokens.onReplace(() => {
    for (const [socket, caller] of sockets) {
      if (caller.kind === "token" && !tokens.has(caller.token)) socket.close(closeCodes.unwelcome);
    }
  });
  server.decorateRequest("terminal", null);
  const schema = {
    tags: ["inside"],
    summary: "A shell on a terminal, over WebSocket",
    params: idParams,
    querystring: terminalQuery,
    response: { "4xx": versionedError, "5xx": versionedError },
  };
  type Call = FastifyRequest<{ Params: { id: string }; Querystring: Static<typeof terminalQuery> }>;
  const preHandler = async (request: Call) => {
    if (!request.ws) throw new ApiError("invalid_request", "A terminal needs an upgrade to WebSocket");
    refuseForeignOrigin(request);
    const id = idOf(request.params);
    const { session, cols = 80, rows = 24 } = request.query;
    const size = { columns: cols, rows };
    request.terminal = session === undefined ? await api.terminals.open(id, size) : api.terminals.find(id, session);
    if (session !== undefined) await request.terminal.resize(size);
    recordOpening(api, request, id);
  };
  server.get<{ Params: { id: string }; Querystring: Static<typeof terminalQuery> }>(
    "/v1/sandboxes/:id/terminal",
    { schema, preHandler, websocket: true },
    (socket, request) => {
      sockets.set(socket, request.caller);
      socket.once("close", () => sockets.delete(socket));
      join(socket, request.terminal!);
    },
  );
}

/** A page of another origin has nothing to seek here, whatever lets it in. */
function refuseForeignOrigin({ raw }: FastifyRequest): void {
  const { origin, host } = raw.headers;
  if (origin !== undefined && URL.parse(origin)?.host !== host?.toLowerCase())
    throw new ApiError("forbidden", "Another origin may not call here");
}

/** An upgrade has no answer whose sending would record it. */
function recordOpening({ access }: Api, request: FastifyRequest, target: string): void {
  const { caller } = request;
  const actor = { actorKind: caller.kind, actorName: caller.name, ip: addressOf(request) };
  access.audit.record({ ...actor, action: "terminal.open", target, outcome: "done", detail: { method: "GET" } });
}

function join(socket: WebSocket, terminal: Terminal): void {
  socket.send(JSON.stringify({ session: terminal.id }));
  const detach = terminal.attach(viewerOf(socket));
  const beats = setInterval(() => socket.ping(), beatMs);
  socket.once("close", () => {
    clearInterval(beats);
    detach();
  });
  socket.on("message", async (message: Buffer, isBinary) => {
    if (!isBinary) return void resize(terminal, message);
    // What is typed faster than it is read waits in the connection.
    socket.pause();
    await terminal.type(message);
    socket.resume();
  });
}

/** What is no message of ours is passed over, as ever. */
function resize(terminal: Terminal, message: Buffer): void {
  try {
    const said: unknown = JSON.parse(message.toString());
    if (control.Check(said)) void terminal.resize({ columns: said.resize.cols, rows: said.resize.rows });
  } catch {}
}

function viewerOf(socket: WebSocket): Viewer {
  return {
    show: (bytes) =>
      new Promise((resolve, reject) => {
        socket.send(bytes, (error) => (error ? reject(error) : resolve()));
      }),
    end: (end) => socket.close(closeCodes[end.because], reasonOf(end)),
    drop: () => socket.close(closeCodes.slow, "it takes too little"),
  };
}

function reasonOf({ because, exit }: TerminalEnd): string {
  return JSON.stringify({ ended_by: because, exit_code: toExitCode(exit), signal: exit.signal });
}
