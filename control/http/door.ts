import { BlockList } from "node:net";
import type { FastifyRequest } from "fastify";
import { gatewayApiHost } from "#contract/gateway-api.ts";
import type { ApiToken } from "../access/api-token.ts";
import { ApiError, notFound } from "../api-error.ts";
import type { EdgeAccess } from "./edge-access.ts";

/** Who calls. The name of a token goes into the record. */
export type Caller =
  | { readonly kind: "operator"; readonly name: "operator" }
  | { readonly kind: "token"; readonly name: string; readonly token: ApiToken }
  /** At the edge with authentication switched off, or on a path that needs none. */
  | { readonly kind: "anonymous"; readonly name: "anonymous" }
  | { readonly kind: "gateway"; readonly name: "gateway" };

/** Where calls come in, and who may make them. */
export interface Door {
  readonly name: "loopback" | "socket";
  /** Whether the gateway's own calls are served here. */
  readonly servesGateway: boolean;
  /** Who makes this call. Throws ApiError `unauthorized`, `forbidden`, `not_found` or `too_many_requests`. */
  admit(request: FastifyRequest): Caller | Promise<Caller>;
}

const operator: Caller = { kind: "operator", name: "operator" };

/**
 * The TCP listener. A caller on this machine is the operator, unless a proxy stands between. It is within a browser's
 * reach too, so a page that the operator visits must not get through: neither under a name that resolves to us (the
 * Host), nor across origins.
 */
export function loopbackDoor(access: EdgeAccess): Door {
  return {
    name: "loopback",
    servesGateway: false,
    admit(request) {
      const { headers, socket } = request.raw;
      if (headers["x-forwarded-for"] !== undefined || !isOwnAddress(socket.remoteAddress)) return access.admit(request);
      refuseForeignPages(request);
      return operator;
    },
  };
}

/** The unix socket: the gateway, for itself under its own host, and for callers of the API host under theirs. */
export function socketDoor(access: EdgeAccess): Door {
  return {
    name: "socket",
    servesGateway: true,
    admit(request) {
      const { host, "x-forwarded-for": forwarded } = request.raw.headers;
      if (host !== gatewayApiHost) return access.admit(request);
      if (forwarded !== undefined || !request.routeOptions.config.gateway) throw notFound("Not found");
      return { kind: "gateway", name: "gateway" };
    },
  };
}

function refuseForeignPages({ raw }: FastifyRequest): void {
  const { host, origin, "sec-fetch-site": site } = raw.headers;
  if (host === undefined || !isOwnName(host)) throw new ApiError("forbidden", "The Host is not a loopback name");
  if (origin !== undefined && origin !== `http://${host}`)
    throw new ApiError("forbidden", "Another origin may not call here");
  if (site !== undefined && site !== "same-origin" && site !== "none") {
    throw new ApiError("forbidden", "Another site may not call here");
  }
}

const ownAddresses = new BlockList();
ownAddresses.addSubnet("127.0.0.0", 8, "ipv4");
ownAddresses.addAddress("::1", "ipv6");

function isOwnAddress(address: string | undefined): boolean {
  if (address === undefined) return false;
  return ownAddresses.check(address, address.includes(":") ? "ipv6" : "ipv4");
}

/** `localhost`, any of 127.0.0.0/8 or `[::1]`, with or without a port. */
function isOwnName(host: string): boolean {
  const match = /^(localhost|127(?:\.(?:[0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])){3}|\[::1\])(?::[0-9]{1,5})?$/i;
  return match.test(host);
}
