import Type, { type Static } from "typebox";
import type { EgressStatus } from "../../egress/egress.ts";
import { egressModes } from "../../egress/egress-config.ts";
import { reasons } from "../../egress/forbidden.ts";
import { type Api, sandboxOf } from "../api.ts";
import { toTime } from "../resource.ts";
import { idParams, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const nullable = <const T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const time = Type.String({ format: "date-time" });
const errors = { "4xx": versionedError, "5xx": versionedError };
const mode = Type.Enum([...egressModes], { description: "With observe nothing is dropped, only counted" });
const blocked = Type.Object(
  Object.fromEntries(reasons.map((reason) => [reason, Type.Integer()])) as Record<
    (typeof reasons)[number],
    Type.TInteger
  >,
  { description: "Packets by reason, since control runs" },
);

const status = Type.Object({
  mode,
  installed: Type.Boolean({ description: "Whether the rules are in force" }),
  problem: nullable(Type.String({ description: "Why not" })),
  table: nullable(Type.String({ description: "The name of the tables, in the families inet and bridge" })),
  bridge: nullable(Type.String()),
  subnets: Type.Array(Type.String()),
  name_servers: Type.Array(Type.String()),
  reinstalls: Type.Integer({ description: "How often somebody else took rules away or changed them" }),
  last_reinstall_at: nullable(time),
  blocked,
});

const ofSandbox = Type.Object({
  mode,
  allow: Type.Array(Type.String()),
  names: Type.Array(
    Type.Object({ name: Type.String(), addresses: Type.Array(Type.Object({ address: Type.String(), until: time })) }),
    { description: "Where the names on the list lead, while the sandbox is up" },
  ),
  blocked,
});

/** What holds sandboxes back, and what it held back. */
export function egressRoutes(server: ApiServer, api: Api): void {
  const { egress } = api.use;
  const all = { tags: ["service"], summary: "The rules for connections of sandboxes, and what they blocked" };
  server.get("/v1/egress", { schema: { ...all, response: { 200: status, ...errors } } }, async () =>
    show(egress.status()),
  );

  const one = { tags: ["observe"], summary: "What a sandbox may connect to, and what was blocked", params: idParams };
  server.get(
    "/v1/sandboxes/:id/egress",
    { schema: { ...one, response: { 200: ofSandbox, ...errors } } },
    async (request) => {
      const { id, egressAllow } = sandboxOf(api, request.params);
      const { names, blocked } = egress.of(id);
      return {
        mode: egress.status().mode,
        allow: [...egressAllow],
        names: names.map(({ name, addresses }) => ({
          name,
          addresses: addresses.map(({ address, until }) => ({ address, until: toTime(until) })),
        })),
        blocked,
      };
    },
  );
}

function show({ nameServers, lastReinstallAt, subnets, ...rest }: EgressStatus): Static<typeof status> {
  return {
    ...rest,
    subnets: [...subnets],
    name_servers: [...nameServers],
    last_reinstall_at: lastReinstallAt === null ? null : toTime(lastReinstallAt),
  };
}
