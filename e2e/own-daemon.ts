import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Test } from "tap";
import { openNamespace, run } from "../control/egress/testing/namespace.ts";
import { until } from "../control/engines/engine-under-test.ts";

/** What dockerd gives its containers and itself, and some more. */
const patienceMs = 40_000;
const path = `${process.env.PATH}:/usr/sbin:/sbin`;

/**
 * A Docker daemon of a test's own, in a network namespace of its own: its bridges and rules are nobody else's, and it may be
 * stopped. It needs root. Nothing of it is left when the test ends.
 */
export class OwnDaemon {
  readonly socketPath: string;
  /** What stands before a command that runs in its network, with this machine's file systems as they are. */
  readonly prefix: readonly string[];
  readonly #directory: string;
  #child: ChildProcess | undefined;
  #log = "";

  static async open(t: Test): Promise<OwnDaemon> {
    const { name } = await openNamespace(t);
    const directory = await mkdtemp("/tmp/own-");
    t.teardown(() => rm(directory, { recursive: true, force: true }));
    // `ip netns exec` has a /sys without the control groups that dockerd needs. All of it ends with whoever started it.
    const prefix = ["setpriv", "--pdeathsig", "TERM", "nsenter", `--net=/run/netns/${name}`];
    const daemon = new OwnDaemon(directory, prefix);
    t.teardown(() => daemon.#remove());
    await daemon.run("ip", "link", "set", "lo", "up");
    await daemon.start();
    return daemon;
  }

  private constructor(directory: string, prefix: readonly string[]) {
    this.#directory = directory;
    this.socketPath = join(directory, "docker.sock");
    this.prefix = prefix;
  }

  /** Runs a command in its network and answers its output. */
  run(...command: string[]): Promise<string> {
    const [program = "", ...args] = [...this.prefix, ...command];
    return run(program, ...args);
  }

  docker(...command: string[]): Promise<string> {
    return run("docker", "--host", `unix://${this.socketPath}`, ...command);
  }

  /**
   * Makes an image of this machine's Node, as /usr/local/bin/node, and its libraries at their own paths: it is copied faster
   * than a whole system. Node may lie below /tmp, which a sandbox has another one of.
   */
  async importNode(image: string): Promise<void> {
    const libraries = (await run("ldd", process.execPath)).match(/\/\S+/g) ?? [];
    const files = [process.execPath, ...libraries].map((file) => file.slice(1));
    const rename = "--transform=s,^.*/node$,usr/local/bin/node,";
    const pack = spawn("tar", ["--create", "--dereference", rename, "--directory", "/", ...files], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const take = spawn("docker", ["--host", `unix://${this.socketPath}`, "import", "-", image], {
      stdio: [pack.stdout, "ignore", "inherit"],
    });
    // It is the other one's now, who must see its end.
    pack.stdout.destroy();
    const codes = await Promise.all([pack, take].map(async (child) => (await once(child, "exit"))[0]));
    if (codes.some((code) => code !== 0)) throw new Error(`Cannot make ${image}: ${codes}`);
  }

  /** Resolves when it answers. */
  async start(): Promise<void> {
    const at = (name: string) => join(this.#directory, name);
    // They end with it.
    const ownMounts = ["unshare", "--mount", "--propagation", "slave"];
    const places = ["--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("pid")];
    const command = ["dockerd", ...places, "--host", `unix://${this.socketPath}`];
    const [program = "", ...args] = [...this.prefix, ...ownMounts, ...command];
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"], env: { PATH: path } });
    child.stderr.on("data", (said) => {
      this.#log += said;
    });
    this.#child = child;
    await until("the daemon", async () => {
      if (hasEnded(child)) throw new Error(`dockerd ended:\n${this.#log}`);
      return this.docker("version").catch(() => "");
    });
  }

  /** Ends it as an operator does; resolves when it is gone, with its containers. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || hasEnded(child)) return;
    child.kill("SIGTERM");
    await until("the end of the daemon", () => hasEnded(child), patienceMs);
  }

  async #remove(): Promise<void> {
    try {
      const left = (await this.docker("ps", "--all", "--quiet")).split("\n").filter((id) => id !== "");
      if (left.length > 0) await this.docker("rm", "--force", ...left);
      await this.stop();
    } catch {
      // It does not answer, or does not end: what is left of it is looked for below.
    }
    for (const pid of this.#processes()) process.kill(pid, "SIGKILL");
    await until("the end of its processes", () => this.#processes().length === 0);
  }

  /** The daemon, its containerd and the shims of containers: each has the directory among its arguments. */
  #processes(): number[] {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return pids.filter((pid) => argumentsOf(pid).includes(`${this.#directory}/`)).map(Number);
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function argumentsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
