import { Agent } from "node:http";
import Docker from "dockerode";
import { EngineError, type EngineErrorCode } from "../sandbox-engine.ts";

/** The newest API version whose shapes this program knows. An older daemon is spoken to in its own. */
const newestApiVersion = "1.51";
const answerMs = 1_900;
/** A daemon that says nothing for so long in a call that should be quick hangs. */
const silenceMs = 60_000;

/** What the daemon is, as it says itself. */
export type Daemon = { readonly apiVersion: string; readonly version: string };

/**
 * The connection to a Docker daemon on its socket. The API version is negotiated at the first use, and again by
 * `connect()` when the daemon may be another one than before. All it throws are EngineErrors.
 */
export class DockerClient {
  readonly #agent = new Agent({ keepAlive: true });
  readonly #unversioned: Docker;
  readonly #quick: Docker;
  readonly #patient: Docker;
  #daemon: Promise<Daemon> | undefined;

  constructor(socketPath: string) {
    // An explicit host keeps DOCKER_HOST from winning over the socket.
    const options = { socketPath, host: undefined, agent: this.#agent };
    this.#unversioned = new Docker(options);
    this.#quick = new Docker({ ...options, timeout: silenceMs });
    this.#patient = new Docker(options);
  }

  /** Calls the daemon. With `patient` it may be silent for any time, as streams and waits are. */
  async use<T>(act: (docker: Docker) => Promise<T>, { patient = false } = {}): Promise<T> {
    try {
      await (this.#daemon ?? this.connect());
      return await act(patient ? this.#patient : this.#quick);
    } catch (error) {
      throw toEngineError(error);
    }
  }

  async ping(): Promise<void> {
    try {
      await this.#unversioned.ping(soon());
    } catch (error) {
      throw toEngineError(error);
    }
  }

  /** Asks the daemon who it is and takes the newest API version that both know. */
  connect(): Promise<Daemon> {
    const daemon = this.#negotiate();
    this.#daemon = daemon;
    daemon.catch(() => {
      if (this.#daemon === daemon) this.#daemon = undefined;
    });
    return daemon;
  }

  close(): void {
    this.#agent.destroy();
  }

  async #negotiate(): Promise<Daemon> {
    try {
      const said = (await this.#unversioned.version(soon())) as unknown as Docker.DockerVersion;
      const apiVersion = commonApiVersion(said.ApiVersion, said.MinAPIVersion);
      for (const docker of [this.#quick, this.#patient]) Object.assign(docker.modem, { version: `v${apiVersion}` });
      return { apiVersion, version: said.Version };
    } catch (error) {
      throw toEngineError(error);
    }
  }
}

// The types know these calls without their options.
const soon = () => ({ abortSignal: AbortSignal.timeout(answerMs) }) as never;

/** The older of the daemon's newest version and ours. Throws `engine_unavailable` when the daemon has given ours up. */
export function commonApiVersion(newest: string, oldest: string): string {
  if (isOlder(newestApiVersion, oldest)) {
    const message = `The Docker daemon speaks API ${oldest} to ${newest}, this program up to ${newestApiVersion}`;
    throw new EngineError("engine_unavailable", message);
  }
  return isOlder(newest, newestApiVersion) ? newest : newestApiVersion;
}

/** The HTTP status of the daemon's refusal; undefined for any other error. */
export function statusOf(error: unknown): number | undefined {
  const { cause, statusCode } = error as { cause?: { statusCode?: number }; statusCode?: number };
  return statusCode ?? cause?.statusCode;
}

export function toEngineError(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  const { json, message } = error as { json?: { message?: string }; message: string };
  const said = json?.message ?? message;
  return new EngineError(codeOf(error, said), `Docker: ${said.trim()}`, { cause: error });
}

function codeOf(error: unknown, said: string): EngineErrorCode {
  const status = statusOf(error);
  // Without a status nobody answered: refused, reset, timed out.
  if (status === undefined || status === 503) return "engine_unavailable";
  return status === 404 && /no such image|image.*not found/i.test(said) ? "image_not_found" : "start_failed";
}

function isOlder(left: string, right: string): boolean {
  const [[leftMajor = 0, leftMinor = 0], [rightMajor = 0, rightMinor = 0]] = [left, right].map((version) =>
    version.split(".").map(Number),
  ) as [number[], number[]];
  return leftMajor < rightMajor || (leftMajor === rightMajor && leftMinor < rightMinor);
}
