import type { IncomingMessage } from "node:http";
import { BlockList, isIPv6, type Socket } from "node:net";

/** Who is at the other end, as far as somebody trustworthy told. */
export type Client = {
  /** The address nearest to the client that is believed. */
  readonly address: string;
  /** The whole believed chain, the client first, as X-Forwarded-For carries it. */
  readonly chain: string;
  readonly scheme: "http" | "https";
  /** Host and port as the client addressed them. */
  readonly host: string;
  readonly port: string;
};

/** Names of headers that tell where a request came from: taken from trusted proxies, never passed on as they came. */
export const forwardingHeaders: ReadonlySet<string> = new Set([
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-forwarded-scheme",
  "x-forwarded-ssl",
  "x-forwarded-server",
  "x-forwarded-prefix",
  "x-forwarded-by",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "true-client-ip",
  "x-original-url",
  "x-original-host",
  "x-rewrite-url",
]);

/** Reads who the client is: a function of the proxies that are believed (addresses and CIDR blocks). */
export function clientReader(trustedProxies: readonly string[]): (request: IncomingMessage, host: string) => Client {
  const trusted = new BlockList();
  for (const network of trustedProxies) {
    const [address = "", prefix] = network.split("/");
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    if (prefix === undefined) trusted.addAddress(address, family);
    else trusted.addSubnet(address, Number(prefix), family);
  }
  const verdicts = new WeakMap<Socket, Peer>();
  const peerOf = (socket: Socket): Peer => {
    const known = verdicts.get(socket);
    if (known !== undefined) return known;
    const address = plainAddress(socket.remoteAddress ?? "");
    const peer = { address, trusted: address !== "" && trusted.check(address, isIPv6(address) ? "ipv6" : "ipv4") };
    verdicts.set(socket, peer);
    return peer;
  };
  return (request, host) => {
    const peer = peerOf(request.socket);
    return peer.trusted ? believed(request, host, peer.address) : unforwarded(host, peer.address);
  };
}

type Peer = { readonly address: string; readonly trusted: boolean };

function unforwarded(host: string, address: string): Client {
  return { address, chain: address, scheme: "http", host, port: portOf(host, "http") };
}

/** Only the dashed spellings count: Node keeps `X_Forwarded_For` under its own name, and it is dropped with the rest. */
function believed(request: IncomingMessage, host: string, peer: string): Client {
  const { headers } = request;
  const chain = single(headers["x-forwarded-for"]) ?? peer;
  const proto = single(headers["x-forwarded-proto"])?.toLowerCase();
  // Traefik says wss and ws on upgrades; an app compares with https.
  const scheme = proto === "https" || proto === "wss" ? "https" : "http";
  const publicHost = single(headers["x-forwarded-host"]) ?? host;
  return {
    address: single(headers["x-real-ip"]) ?? chain.split(",", 1)[0]!.trim(),
    chain,
    scheme,
    host: publicHost,
    port: single(headers["x-forwarded-port"]) ?? portOf(publicHost, scheme),
  };
}

function single(value: string | string[] | undefined): string | undefined {
  return (Array.isArray(value) ? value.join(", ") : value) || undefined;
}

function portOf(host: string, scheme: "http" | "https"): string {
  return /:([0-9]{1,5})$/.exec(host)?.[1] ?? (scheme === "https" ? "443" : "80");
}

/** `::ffff:10.0.0.1` is 10.0.0.1: a dual-stack listener spells IPv4 peers so. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

/** Appends what an app may know of the client, as name and value in turn. */
export function pushForwardedHeaders(client: Client, headers: string[]): void {
  headers.push(
    "X-Forwarded-For",
    client.chain,
    "X-Forwarded-Proto",
    client.scheme,
    "X-Forwarded-Host",
    client.host,
    "X-Forwarded-Port",
    client.port,
    "X-Real-Ip",
    client.address,
  );
}
