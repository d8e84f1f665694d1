import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import type { Test } from "tap";

const execute = promisify(execFile);

/** A network namespace of a test's own, gone when it ends. */
export type Namespace = {
  readonly name: string;
  /** What stands before a command that runs in it. */
  readonly prefix: readonly string[];
  run(...command: string[]): Promise<string>;
};

export async function openNamespace(t: Test): Promise<Namespace> {
  const name = `walls-${randomBytes(4).toString("hex")}`;
  await run("ip", "netns", "add", name);
  t.teardown(() => run("ip", "netns", "del", name));
  const prefix = ["ip", "netns", "exec", name];
  return { name, prefix, run: (...command) => run("ip", "netns", "exec", name, ...command) };
}

/** Runs a command of this machine's and answers its output. */
export async function run(program: string, ...args: string[]): Promise<string> {
  return (await execute(program, args, { env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` } })).stdout;
}

const listener = `
  const [host, ...ports] = process.argv.slice(1);
  const all = ports.map((port) => new Promise((listening) => {
    const server = require("node:net").createServer((socket) => socket.on("error", () => {}).end("reached"));
    server.listen(Number(port), host, () => listening(server.address().port));
  }));
  Promise.all(all).then((bound) => console.log(JSON.stringify(bound)));`;

/** Listens on these ports of this address, behind a prefix such as a namespace's, until the test ends. Answers the ports. */
export async function listenIn(t: Test, prefix: readonly string[], host: string, ports: readonly number[]) {
  const [program = "", ...args] = [...prefix, process.execPath, "-e", listener, host, ...ports.map(String)];
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "inherit"],
    env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
  t.teardown(async () => {
    const ended = once(child, "exit");
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await ended;
  });
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  return JSON.parse(line) as number[];
}
