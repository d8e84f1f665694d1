/** What SPEC section 7 asks of a measurement. An aim is where it shall get to later: missing it is no failure yet. */
export type Target = { readonly most?: number; readonly least?: number; readonly aim?: number };

/** By the measurement's name; one without a target is there to be read beside the others. */
export const targets: Readonly<Record<string, Target>> = {
  "proxy: CPU per request ÷ http-proxy": { most: 0.6 },
  "proxy: CPU per request ÷ undici": { most: 1.15 },
  "proxy: CPU per request ÷ nginx": { aim: 1.3 },
  "bodies: 1 MB, throughput per CPU ÷ undici": { least: 0.9 },
  "bodies: 64 KB, throughput per CPU ÷ undici": { least: 0.9 },
  "bodies: 1 MB upload, throughput per CPU ÷ undici": { least: 0.9 },
  "echo: CPU per message ÷ http-proxy": { most: 1.1 },
  "edge: CPU per request ÷ Traefik alone, public": { most: 1.3, aim: 1 },
  "edge: CPU per request ÷ Traefik alone, private": { most: 0.55 },
  "private: CPU per request, token ÷ public": { most: 1.08 },
  "private: CPU per request, session cookie ÷ public": { most: 1.08 },
  "sockets: memory per idle socket": { most: 20 },
  "sockets: descriptors left after they closed": { most: 3 },
  "sockets: memory after the third close ÷ after the second": { most: 1.1 },
  "stampede: starts": { most: 1, least: 1 },
  "stampede: answers lost": { most: 0 },
  "wake: first byte − floor, p50": { most: 25 },
  "wake-docker: first byte − floor, p50": { most: 25 },
  "paused: first byte, p50": { most: 50 },
  "paused-docker: first byte, p50": { most: 50 },
  "networks: ports of one bridge, at most": { least: 1_000 },
  "cycles: failed requests": { most: 0 },
  "starts: the default ÷ the best": { most: 1.2 },
  "ten-thousand: list page": { most: 20 },
  "ten-thousand: full sync of a gateway": { most: 1_000 },
  "ten-thousand: boot with reconcile": { most: 10_000 },
  "activity: transactions per second": { most: 1 },
};

export type Verdict = "met" | "missed" | "aim met" | "aim" | "";

export function judge({ most, least, aim }: Target, value: number): Verdict {
  if (most !== undefined && !(value <= most)) return "missed";
  if (least !== undefined && !(value >= least)) return "missed";
  if (aim === undefined) return "met";
  if (value <= aim) return "aim met";
  return most === undefined && least === undefined ? "aim" : "met";
}

export function formatTarget({ most, least, aim }: Target): string {
  if (most !== undefined && most === least) return `= ${most}`;
  if (most !== undefined) return aim === undefined ? `≤ ${most}` : `≤ ${most}, aim ≤ ${aim}`;
  if (least !== undefined) return `≥ ${least}`;
  return `aim ≤ ${aim}`;
}
