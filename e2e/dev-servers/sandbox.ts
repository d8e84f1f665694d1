import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ulid } from "ulid";
import { checkOut, type Project } from "./projects.ts";

/** The process engine's control, as far as a user's project is concerned. */
export type Control = {
  /** `host:port` of the API on loopback. */
  readonly api: string;
  /** SANDBOXD_DATA_DIR. */
  readonly data: string;
};

/** A sandbox with a checkout of a project in it, seen by the one who works on that project. */
export class Sandbox {
  readonly id: string;
  readonly url: URL;
  readonly #api: string;
  readonly #directory: string;

  private constructor(id: string, url: URL, control: Control, directory: string) {
    this.id = id;
    this.url = url;
    this.#api = `http://${control.api}/v1/sandboxes/${id}`;
    this.#directory = directory;
  }

  /** Resolves when the command runs; its port may take longer. The first visit is held until then. */
  static async create(control: Control, project: Project, command: string): Promise<Sandbox> {
    const id = ulid();
    const directory = join(control.data, "workspaces", id, "workspace", "app");
    await checkOut(project, directory);
    const sandbox = (await call(`http://${control.api}/v1/sandboxes`, "POST", {
      id,
      ports: [3000],
      cmd: ["sh", "-c", `exec ${command}`],
      // Nobody shall hear of a test.
      env: { NEXT_TELEMETRY_DISABLED: "1" },
    })) as { previews: [{ url: string }] };
    return new Sandbox(id, new URL(sandbox.previews[0].url), control, directory);
  }

  async read(file: string): Promise<string> {
    return await readFile(join(this.#directory, file), "utf8");
  }

  /** Saves a file in one step, so that no server sees half of it. */
  async write(file: string, text: string): Promise<void> {
    const unsaved = join(this.#directory, "..", "unsaved");
    await writeFile(unsaved, text);
    await rename(unsaved, join(this.#directory, file));
  }

  /** Saves a file with the one occurrence of `before` replaced. */
  async edit(file: string, before: string, after: string): Promise<void> {
    const text = await this.read(file);
    if (text.split(before).length !== 2) throw new Error(`${file} does not have exactly one ${JSON.stringify(before)}`);
    await this.write(
      file,
      text.replace(before, () => after),
    );
  }

  async setHostPolicy(policy: "localhost" | "preserve"): Promise<void> {
    await call(this.#api, "PATCH", { host_policy: policy });
  }

  async makePrivate(): Promise<void> {
    await call(this.#api, "PATCH", { visibility: "private" });
  }

  /** How long it stays awake without being used. */
  async setIdleSeconds(seconds: number): Promise<void> {
    await call(this.#api, "PATCH", { idle_seconds: seconds });
  }

  /** Resolves when it has gone to sleep. */
  async asleep(): Promise<void> {
    while (
      ((await call(`${this.#api}?wait=stopped&timeout_seconds=60`, "GET")) as { status: string }).status !== "stopped"
    );
  }

  /** What woke it and put it to sleep, the newest first. */
  async history(): Promise<{ kind: string; cause: string; class: string | null }[]> {
    return ((await call(`${this.#api}/explain`, "GET")) as { recent: [] }).recent;
  }

  async stop(): Promise<void> {
    await call(`${this.#api}/stop`, "POST", { drain_seconds: 0 });
  }

  async restart(): Promise<void> {
    await call(`${this.#api}/restart`, "POST", {});
  }

  /** Resolves when the port answers. */
  async wake(): Promise<void> {
    await call(`${this.#api}/wake?wait=port&port=3000`, "POST", {});
  }

  async status(): Promise<string> {
    return ((await call(this.#api, "GET")) as { status: string }).status;
  }

  async log(): Promise<string> {
    return await (await fetch(`${this.#api}/logs?tail=1000`)).text();
  }

  /** Where its server listens at present, by its own words. */
  async upstreamPort(): Promise<number> {
    const said = [...(await this.log()).matchAll(/http:\/\/127\.0\.0\.1:(\d+)/g)];
    return Number(said.at(-1)![1]);
  }

  async remove(): Promise<void> {
    await call(this.#api, "DELETE");
  }
}

async function call(url: string, method: string, body?: object): Promise<unknown> {
  const answer = await fetch(url, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}
