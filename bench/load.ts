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
export async function load({ port, host, path, connections, seconds, bodyBytes }: Load): Promise<Loaded> {
  const url = `http://127.0.0.1:${port}${path}`;
  const shape = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s"];
  const { stdout } = await run(wrkBinary, [...shape, "-s", script, "-H", `Host: ${host}`, url]);
  const counted = JSON.parse(stdout.slice(stdout.lastIndexOf("\n{") + 1));
  const { requests, bytes, microseconds, errors, badStatus, p50, p99 } = counted;
  if (errors + badStatus > 0 || requests === 0 || bytes < requests * bodyBytes) {
    throw new WrongAnswerError(`${url} as ${host} under load: ${JSON.stringify(counted)}`);
  }
  return { requests, seconds: microseconds / 1e6, p50, p99 };
}
