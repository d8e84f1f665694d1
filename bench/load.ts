import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { wrkBinary } from "../e2e/parts/parts.ts";
import { WrongAnswerError } from "./scenario.ts";

export type Load = {
  readonly port: number;
  readonly host: string;
  readonly path: string;
  readonly connections: number;
  readonly seconds: number;
  /** Bytes of each answer's body. */
  readonly bodyBytes: number;
  /** Bytes of each request's body; without them it is a GET. */
  readonly uploadBytes?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Given, it is loaded over TLS. wrk trusts anybody: whoever checks the answers before does not. */
  readonly authority?: string;
};

/** What wrk counted; latencies in microseconds. */
export type Loaded = {
  readonly requests: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
};

const run = promisify(execFile);
const script = fileURLToPath(new URL("wrk-summary.lua", import.meta.url));

/**
 * Asks for one path as often as it is answered, over connections that are kept alive. Throws {@link WrongAnswerError}
 * when an answer failed, was no 2xx or 3xx, or the answers were too short for their bodies.
 */
export async function load(options: Load): Promise<Loaded> {
  const { port, host, path, connections, seconds, bodyBytes, uploadBytes = 0, authority } = options;
  const url = `${authority === undefined ? "http" : "https"}://127.0.0.1:${port}${path}`;
  const shape = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s"];
  const headers = Object.entries({ ...options.headers, Host: host }).flatMap(([name, value]) => [
    "-H",
    `${name}: ${value}`,
  ]);
  const { stdout } = await run(wrkBinary, [...shape, "-s", script, ...headers, url, "--", String(uploadBytes)]);
  const counted = JSON.parse(stdout.slice(stdout.lastIndexOf("\n{") + 1));
  const { requests, bytes, microseconds, errors, badStatus, p50, p99 } = counted;
  if (errors + badStatus > 0 || requests === 0 || bytes < requests * bodyBytes) {
    throw new WrongAnswerError(`${url} as ${host} under load: ${JSON.stringify(counted)}`);
  }
  return { requests, seconds: microseconds / 1e6, p50, p99 };
}
