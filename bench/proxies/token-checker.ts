/**
 * What forwardAuth of the compared edge asks: a program on plain node:http that verifies an HS256 token per request. It
 * takes the secret and prints its port.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";

const secret = process.argv[2]!;

function isAllowed({ "x-preview-token": token, "x-forwarded-host": host }: IncomingHttpHeaders): boolean {
  const [header, payload, signature] = String(token).split(".");
  if (header === undefined || payload === undefined || signature === undefined) return false;
  const made = createHmac("sha256", secret).update(`${header}.${payload}`).digest();
  const given = Buffer.from(signature, "base64url");
  if (given.length !== made.length || !timingSafeEqual(given, made) || parse(header).alg !== "HS256") return false;
  const { aud, exp, sandbox_id: id } = parse(payload);
  const isMeant = String(host).startsWith(`s-${String(id).toLowerCase()}-`);
  return aud === "sandbox-preview" && isMeant && typeof exp === "number" && exp * 1000 > Date.now();
}

function parse(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, "base64url").toString());
}

const server = createServer(({ headers }, response) => response.writeHead(isAllowed(headers) ? 200 : 401).end());
// No sooner than Traefik closes its idle connections.
server.keepAliveTimeout = 120_000;
server.listen(0, "127.0.0.1", () => console.log((server.address() as { port: number }).port));
