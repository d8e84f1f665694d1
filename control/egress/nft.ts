import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

const patienceMs = 10_000;

/** One thing in a listing of nft, such as `{"rule": {…}}` (libnftables-json(5)). */
export type NftObject = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;

/** Thrown when nft cannot be run or refuses; the message is its first line, or the system's. */
export class NftError extends Error {
  override readonly name = "NftError";
}

/** The kernel's packet filter, by way of the `nft` program. */
export class Nft {
  readonly #command: readonly string[];
  readonly #path: string;

  /** The program with what stands before its own arguments, such as `ip netns exec <name> nft`, and where it is looked for. */
  constructor(command: readonly string[], path: string) {
    this.#command = command;
    // On Debian it is where not everybody's path leads.
    this.#path = `${path}:/usr/sbin:/sbin`;
  }

  /** Applies a batch whole or not at all. Throws NftError. */
  async apply(batch: string): Promise<void> {
    await this.#run(["-f", "-"], batch);
  }

  /** What is in a table; undefined when there is none of that name. Throws NftError. */
  async list(family: "inet" | "bridge", table: string): Promise<readonly NftObject[] | undefined> {
    try {
      const said = await this.#run(["-j", "list", "table", family, table], "");
      return (JSON.parse(said) as { nftables: NftObject[] }).nftables;
    } catch (error) {
      if (error instanceof NftError && /No such file or directory/.test(error.message)) return undefined;
      throw error;
    }
  }

  async #run(args: readonly string[], input: string): Promise<string> {
    const [program = "", ...before] = this.#command;
    const child = spawn(program, [...before, ...args], {
      env: { PATH: this.#path, LC_ALL: "C" },
      timeout: patienceMs,
      killSignal: "SIGKILL",
    });
    // It may end without having read all of its input: its own words say why.
    child.stdin.on("error", () => {}).end(input);
    const out = text(child.stdout);
    const err = text(child.stderr);
    try {
      const [code] = (await once(child, "close")) as [number | null];
      if (code === 0) return await out;
      throw new NftError(firstLine(await err) || `nft ended with ${code ?? "a signal"}`);
    } catch (error) {
      if (error instanceof NftError) throw error;
      const { code, message } = error as NodeJS.ErrnoException;
      throw new NftError(code === "ENOENT" ? `${program} is not installed` : message, { cause: error });
    }
  }
}

function firstLine(said: string): string {
  return said
    .trim()
    .split("\n", 1)[0]!
    .replace(/^.*?Error: /, "");
}
