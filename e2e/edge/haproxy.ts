import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { freePorts } from "../../control/certificates/testing/free-ports.ts";
import { eventually } from "../../control/certificates/testing/traefik.ts";
import { haproxyBinary } from "../parts/parts.ts";

export type HaproxyOptions = {
  /** `tcp` passes connections on as they are; `http` says in `X-Forwarded-For` who the client is. */
  readonly mode: "tcp" | "http";
  /** Such as `send-proxy-v2`. */
  readonly speaks?: string;
  /** The address that it dials from. */
  readonly from: string;
  readonly to: number;
};

/** HAProxy before a port of this machine. It ends with the test. Answers its own port. */
export async function startHaproxy(t: Test, { mode, speaks = "", from, to }: HaproxyOptions): Promise<number> {
  const [port] = await freePorts(1);
  const directory = await mkdtemp(join(tmpdir(), "haproxy-"));
  t.teardown(() => rm(directory, { recursive: true }));
  const file = join(directory, "haproxy.cfg");
  await writeFile(
    file,
    `
defaults
  mode ${mode}
  ${mode === "http" ? "option forwardfor" : ""}
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen edge
  bind 127.0.0.1:${port}
  source ${from}
  server traefik 127.0.0.1:${to} ${speaks}
`,
  );
  const child = spawn(haproxyBinary, ["-f", file, "-db"], { stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(child, "exit");
  let said = "";
  child.stderr.on("data", (chunk) => (said += chunk));
  t.teardown(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  await eventually(() => {
    if (child.exitCode !== null) throw new Error(`HAProxy ended: ${said}`);
    return isListening(port);
  });
  return port;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = connect(port, "127.0.0.1", () => answer(true));
    socket.once("error", () => answer(false)).once("connect", () => socket.destroy());
  });
}
