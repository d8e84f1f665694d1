import { type Cidr, formatCidr, parseCidr } from "./cidr.ts";
import { type Opening, withoutOverlaps } from "./destination.ts";
import { mailPorts, metadataNetworks, privateNetworks, type Reason, reasons } from "./forbidden.ts";

/** All that the table says. Times are epoch milliseconds. */
export type EgressRules = {
  readonly table: string;
  /** To observe is to count what would be dropped. */
  readonly mode: "enforce" | "observe";
  /** The interface that packets of sandboxes come from. */
  readonly bridge: string;
  readonly subnets: readonly Cidr[];
  /** Siblings on the bridge are told by its name, or by the subnets where the kernel cannot (NFT_BRIDGE_META). */
  readonly siblingsBy: "name" | "subnet";
  readonly nameServers: readonly Cidr[];
  /** Of one sandbox, open at the same time. */
  readonly connections: number;
  readonly abuse: readonly Cidr[];
  /** Open to every sandbox. */
  readonly openToAll: readonly Opening[];
  /** By an address of the sandbox that may. */
  readonly openTo: ReadonlyMap<string, readonly Opening[]>;
  readonly now: number;
};

const families = [4, 6] as const;
type Family = (typeof families)[number];

/**
 * One batch for `nft -f`, which the kernel takes whole or not at all, whether the tables are there or not. What was
 * counted stays. A packet that this accepts goes on to the chains of others; one that it drops does not.
 */
export function renderRules(rules: EgressRules): string {
  const { table } = rules;
  const lines = [
    `add table inet ${table}`,
    `add table bridge ${table}`,
    ...reasons.flatMap((reason) => renderReason("inet", reason, rules)),
    ...renderReason("bridge", "sandbox", rules),
    ...families.map(
      (family) => `add set inet ${table} open_connections${family} { ${type(family)}; size 65535; flags dynamic; }`,
    ),
    ...families.flatMap((family) => renderSets(family, rules)),
    ...chain(`inet ${table} egress`, "", forwarded(rules)),
    ...chain(`inet ${table} local`, "", toThisMachine(rules)),
    ...chain(`inet ${table} forward`, "forward", [`iifname "${rules.bridge}" jump egress`]),
    ...chain(`inet ${table} input`, "input", [`iifname "${rules.bridge}" jump local`]),
    ...chain(`bridge ${table} forward`, "forward", betweenSiblings(rules)),
  ];
  return `${lines.join("\n")}\n`;
}

/** Takes all of it away; absent is fine. */
export function renderRemoval(table: string): string {
  return ["inet", "bridge"].map((family) => `add table ${family} ${table}\ndelete table ${family} ${table}\n`).join("");
}

/** Counts by source: sets that the kernel fills itself. */
export function seenSet(reason: Reason, family: Family): string {
  return `seen_${reason}${family}`;
}

function renderReason(where: "inet" | "bridge", reason: Reason, { table, mode }: EgressRules): string[] {
  const sets = families.map(
    (family) => `add set ${where} ${table} ${seenSet(reason, family)} { ${type(family)}; size 65535; flags dynamic; }`,
  );
  // Between siblings the bridge counts: where it also asks the inet family, a packet would count twice.
  const isCounted = where === "bridge" || reason !== "sandbox" || mode === "enforce";
  const counting = families.map((family) => `update @${seenSet(reason, family)} { ${ip(family)} saddr counter }`);
  const verdict = mode === "enforce" ? "drop" : "accept";
  const rules = isCounted ? [...counting, `counter name ${reason} ${verdict}`] : [verdict];
  return [`add counter ${where} ${table} ${reason}`, ...sets, ...chain(`${where} ${table} to_${reason}`, "", rules)];
}

function renderSets(family: Family, { table, nameServers, abuse, openToAll, openTo, now }: EgressRules): string[] {
  const of = (blocks: readonly Cidr[]) => blocks.filter((block) => block.family === family).map(formatCidr);
  const parsed = (texts: readonly string[]) => of(texts.map((text) => parseCidr(text)!));
  const address = type(family).replace("type ", "");
  const interval = "flags interval; auto-merge;";
  const timed = "flags interval, timeout;";
  const set = (name: string, definition: string, elements: readonly string[]) => [
    `add set inet ${table} ${name}${family} { ${definition} }`,
    `flush set inet ${table} ${name}${family}`,
    ...(elements.length > 0 ? [`add element inet ${table} ${name}${family} { ${elements.join(", ")} }`] : []),
  ];
  const sourced = [...openTo].flatMap(([source, openings]) => {
    const own = parseCidr(source);
    return own?.family === family ? withoutOverlaps(openings).map((each) => ({ ...each, source: `${source} . ` })) : [];
  });
  const elements = (openings: readonly (Opening & { source?: string })[], withPort: boolean) =>
    openings
      .filter(({ to, port, until }) => to.family === family && (port !== null) === withPort && !(until && until <= now))
      .map(({ source = "", to, port, until }) => {
        const target = port === null ? formatCidr(to) : `${formatCidr(to)} . ${port}`;
        return source + target + (until === null ? "" : ` timeout ${Math.ceil((until - now) / 1000)}s`);
      });
  const common = withoutOverlaps(openToAll);
  return [
    ...set("names", `type ${address}; ${interval}`, of(nameServers)),
    ...set("metadata", `type ${address}; ${interval}`, parsed(metadataNetworks)),
    ...set("private", `type ${address}; ${interval}`, parsed(privateNetworks)),
    ...set("abuse", `type ${address}; ${interval}`, of(abuse)),
    ...set("open", `type ${address}; ${timed}`, elements(common, false)),
    ...set("open_ports", `type ${address} . inet_service; ${timed}`, elements(common, true)),
    ...set("allowed", `type ${address} . ${address}; ${timed}`, elements(sourced, false)),
    ...set("allowed_ports", `type ${address} . ${address} . inet_service; ${timed}`, elements(sourced, true)),
  ];
}

/** Packets that leave this machine, or go to another network or sandbox on it. */
function forwarded({ bridge, connections }: EgressRules): string[] {
  const tooMany = (family: Family) =>
    `ct state new add @open_connections${family} { ${ip(family)} saddr ct count over ${connections} } goto to_flood`;
  return [
    answers,
    ...each(tooMany),
    ...always(),
    ...each((family) => `${ip(family)} daddr @metadata${family} goto to_metadata`),
    `oifname "${bridge}" goto to_sandbox`,
    ...each((family) => `${ip(family)} saddr . ${ip(family)} daddr @allowed${family} accept`),
    ...each((family) => `${ports} ${ip(family)} saddr . ${ip(family)} daddr . th dport @allowed_ports${family} accept`),
    ...each((family) => `${ip(family)} daddr @abuse${family} goto to_abuse`),
    ...each((family) => `${ip(family)} daddr @private${family} goto to_private`),
    `tcp dport { ${mailPorts.join(", ")} } goto to_smtp`,
  ];
}

/** Packets to listeners of this machine, at whatever address. */
function toThisMachine(_: EgressRules): string[] {
  return [
    // IPv6 finds no router and no neighbour without these (RFC 4890 §4.4.1).
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld2-listener-report } accept",
    answers,
    ...always(),
    ...each((family) => `${ip(family)} daddr @metadata${family} goto to_metadata`),
    "goto to_host",
  ];
}

/**
 * To whoever connected to the sandbox. What the sandbox began is judged with each packet, so that a rule that comes later
 * holds for open connections too.
 */
const answers = "ct direction reply accept";

/** What passes before anything is forbidden. */
function always(): string[] {
  return [
    ...each((family) => `${ports} ${ip(family)} daddr @names${family} th dport 53 accept`),
    ...each((family) => `${ip(family)} daddr @open${family} accept`),
    ...each((family) => `${ports} ${ip(family)} daddr . th dport @open_ports${family} accept`),
  ];
}

/** Two ports of one bridge meet below IP, where the inet family sees them only with br_netfilter. */
function betweenSiblings({ bridge, subnets, siblingsBy }: EgressRules): string[] {
  if (siblingsBy === "name") return [`meta ibrname "${bridge}" goto to_sandbox`];
  return subnets.map((subnet) => {
    const field = ip(subnet.family);
    return `${field} saddr ${formatCidr(subnet)} ${field} daddr ${formatCidr(subnet)} goto to_sandbox`;
  });
}

function chain(name: string, hook: "" | "forward" | "input", rules: readonly string[]): string[] {
  // Before the chains of Docker and of other firewalls, which are at 0.
  const definition = hook === "" ? "" : ` { type filter hook ${hook} priority -10; policy accept; }`;
  return [`add chain ${name}${definition}`, `flush chain ${name}`, ...rules.map((rule) => `add rule ${name} ${rule}`)];
}

const ports = "meta l4proto { tcp, udp }";
const each = (render: (family: Family) => string) => families.map(render);
const ip = (family: Family) => (family === 4 ? "ip" : "ip6");
const type = (family: Family) => `type ipv${family}_addr`;
