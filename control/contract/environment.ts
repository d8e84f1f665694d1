import { isIPv4, isIPv6 } from "node:net";

/** Thrown once for all bad variables of a process; one line each. */
export class EnvironmentError extends Error {
  override readonly name = "EnvironmentError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

export type Address = { readonly host: string; readonly port: number };
export type Variables = Readonly<Record<string, string | undefined>>;

/**
 * The grammar of the environment that both processes read. Every method notes a bad value and goes on, so that all of
 * them are named at once; `end()` throws them. An empty value is an unset one, and `SANDBOXED_X` stands in for `SANDBOXD_X`.
 */
export class EnvironmentReader {
  readonly #variables: Variables;
  readonly #problems: string[] = [];

  constructor(variables: Variables) {
    this.#variables = variables;
  }

  /** The value as written, or undefined when it is unset or empty. */
  raw(name: string): string | undefined {
    const value = this.#variables[name];
    if (value !== undefined && value !== "") return value;
    if (!name.startsWith("SANDBOXD_")) return undefined;
    return this.#variables[name.replace("SANDBOXD_", "SANDBOXED_")] || undefined;
  }

  text(name: string, otherwise: string): string {
    return this.raw(name) ?? otherwise;
  }

  /** `true`, `false`, `1` or `0`. */
  boolean(name: string, otherwise: boolean): boolean {
    const value = this.raw(name);
    if (value === undefined) return otherwise;
    if (value === "true" || value === "1") return true;
    if (value === "false" || value === "0") return false;
    this.problem(name, "true, false, 1 or 0", value);
    return otherwise;
  }

  /** A plain decimal whole number between two bounds, in the unit that the variable's name states. */
  integer(name: string, otherwise: number, { least = 0, most = Number.MAX_SAFE_INTEGER } = {}): number {
    const value = this.raw(name);
    if (value === undefined) return otherwise;
    const number = Number(value);
    if (/^(0|[1-9][0-9]*)$/.test(value) && number >= least && number <= most) return number;
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    this.problem(name, `a whole number ${range}`, value);
    return otherwise;
  }

  choice<const T extends string>(name: string, otherwise: T, allowed: readonly T[]): T {
    const value = this.raw(name);
    if (value === undefined) return otherwise;
    if (allowed.includes(value as T)) return value as T;
    this.problem(name, allowed.join(" or "), value);
    return otherwise;
  }

  /** `host:port` with an address or a name, `[v6]:port`; port 0 asks for any free one. */
  address(name: string, otherwise: Address): Address {
    const value = this.raw(name);
    if (value === undefined) return otherwise;
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+)):(0|[1-9][0-9]{0,4})$/.exec(value);
    const host = match?.[1] ?? match?.[2];
    const port = Number(match?.[3]);
    if (host !== undefined && port <= 65_535 && (match?.[1] === undefined || isIPv6(host))) return { host, port };
    this.problem(name, "host:port", value);
    return otherwise;
  }

  /** The domain suffix of every host, in lower case. */
  domain(name: string, otherwise: string): string {
    const value = (this.raw(name) ?? otherwise).toLowerCase();
    if (/^(?=.{1,190}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/.test(value))
      return value;
    this.problem(name, "a domain name", value);
    return otherwise;
  }

  /** IP addresses and CIDR blocks, separated by commas. */
  networks(name: string, otherwise: readonly string[]): readonly string[] {
    const value = this.raw(name);
    if (value === undefined) return otherwise;
    const networks = value.split(",").map((part) => part.trim());
    if (networks.every(isNetwork)) return networks;
    this.problem(name, "addresses or CIDR blocks separated by commas", value);
    return otherwise;
  }

  problem(name: string, expected: string, value: string): void {
    this.#problems.push(`Cannot parse ${name}: expected ${expected}, got ${JSON.stringify(value)}`);
  }

  /** A rule that no single value breaks, such as a bind address without authentication. */
  conflict(message: string): void {
    this.#problems.push(message);
  }

  /** Throws EnvironmentError when any value was bad. */
  end(): void {
    if (this.#problems.length > 0) throw new EnvironmentError(this.#problems);
  }
}

function isNetwork(text: string): boolean {
  const [address = "", prefix, ...rest] = text.split("/");
  const bits = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1;
  if (bits < 0 || rest.length > 0) return false;
  return prefix === undefined || (/^(0|[1-9][0-9]{0,2})$/.test(prefix) && Number(prefix) <= bits);
}

/** Whether binding to this host keeps a listener on this machine. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

/** `127.0.0.1:9090`, `[::1]:9090`. */
export function formatAddress({ host, port }: Address): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
