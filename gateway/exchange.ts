import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { CredentialPlace, Grant } from "#contract/access.ts";
import type { RequestClass, Route } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Client } from "./forwarded-headers.ts";
import type { RequestHead } from "./request-head.ts";

/**
 * One request on its way through the chain. Whoever learns something writes it here for the ones behind; what is
 * optional is absent until its middleware ran.
 */
export type Exchange = {
  readonly request: IncomingMessage;
  /** Answers the client. On an upgrade it is attached to the bare socket and serves refusals. */
  readonly response: ServerResponse;
  /** Without its credential once access let it pass. */
  head: RequestHead;
  readonly client: Client;
  /** Present on an upgrade to WebSocket. */
  readonly upgrade?: Upgrade;
  /** Which sandbox and declared port; set by identify. */
  target?: Target;
  /** Set by classify. */
  class?: RequestClass;
  /** What let it into a private preview; set by access. */
  grant?: Grant;
  /** Where the credential was that let it in; set by access, and absent for public previews. */
  credential?: CredentialPlace;
  /** What every answer says to pages of other origins, name and value in turn; absent: the app's own words stand. */
  cors?: readonly string[];
  /** The client waits for `100 Continue` before it sends its body (RFC 9110 §10.1.1). */
  readonly expectsContinue?: boolean;
  /**
   * Called by the forwarder when the dial was refused before a byte went upstream: holds the exchange and tries again. One
   * function for all of them: a closure of each one's own keeps its whole request alive past the next collection.
   */
  redial?: Handler;
  /** Epoch milliseconds at which it was held for the first time. */
  heldSince?: number;
  /** Open in the activity ledger; set around the chain. */
  activity?: ExchangeActivity;
};

/** A client's socket that may leave HTTP, and the bytes that came with the head. */
export type Upgrade = {
  readonly socket: Duplex;
  readonly bytes: Buffer;
  /** Takes the socket away from `response`: from here on somebody else speaks on it, and listens. */
  readonly release: () => void;
};

export type Target = { readonly id: SandboxId; readonly port: number; route: Route };

/** What is left of an exchange whose socket was joined to an app's, for however long both are open. */
export type JoinedExchange = Pick<Exchange, "target" | "grant" | "activity"> & {
  readonly upgrade: Pick<Upgrade, "socket">;
};

/** What the activity ledger sees of one exchange. */
export type ExchangeActivity = {
  exchange: Exchange | JoinedExchange;
  readonly socket: boolean;
  extends: boolean;
  /** Epoch milliseconds of the last data in either direction. */
  lastDataAt: number;
  bytesIn: number;
  bytesOut: number;
  /** On its way to the app or from it, past every hold: what a fence waits for. */
  forwarded: boolean;
  /** Its place among the open ones of its sandbox, once it has one. */
  place?: number;
  /** Ends a socket, politely. */
  end?: () => void;
  /** Told now and then, with the milliseconds since the last data: ends a request that stands still for longer than it may. */
  standsStill?: (ms: number) => void;
};

export type Handler = (exchange: Exchange) => void;

/** A step of the chain, shaped as a Traefik plugin is: configured once, then given what comes next. */
export type Middleware = (next: Handler) => Handler;

/** The chain in reading order: the first middleware sees a request first. */
export function chain(middlewares: readonly Middleware[], last: Handler): Handler {
  return middlewares.reduceRight((next, middleware) => middleware(next), last);
}
