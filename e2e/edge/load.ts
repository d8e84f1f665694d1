import { Agent, request } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";

const clients = 8;

/**
 * Requests without a pause until it is ended: some on connections that are kept, some on new ones, with and without a
 * body. What is not answered as it should be is remembered.
 */
export class Load {
  answered = 0;
  readonly #failures: string[] = [];
  readonly #port: number;
  readonly #host: string;
  readonly #pathOf: (count: number) => string;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #ended: Promise<unknown>;
  #begun = 0;
  #ends = false;

  constructor(port: number, host: string, { pathOf = (_count: number): string => "/" } = {}) {
    this.#port = port;
    this.#host = host;
    this.#pathOf = pathOf;
    this.#ended = Promise.all(Array.from({ length: clients }, (_, index) => this.#run(index)));
  }

  /** Resolves when so many requests have been answered, well or not. */
  async until(answered: number): Promise<void> {
    while (this.answered < answered) await delay(5);
  }

  /** Lets what is under way end. Answers what failed. */
  async end(): Promise<readonly string[]> {
    this.#ends = true;
    await this.#ended;
    this.#agent.destroy();
    return this.#failures;
  }

  async #run(index: number): Promise<void> {
    while (!this.#ends) {
      const path = this.#pathOf(this.#begun++);
      // What is answered slowly has no body: see the gateway's README about Traefik.
      const body = index % 2 === 0 || path !== "/" ? "" : "x".repeat(1000);
      const begin = performance.now();
      const outcome = await this.#ask(path, index % 4 < 2, body).catch(String);
      const took = Math.round(performance.now() - begin);
      if (outcome !== "200") this.#failures.push(`${path} after ${took} ms at ${new Date().toISOString()}: ${outcome}`);
      this.answered++;
      // Unbounded it would be a test of the machine.
      await delay(5);
    }
  }

  #ask(path: string, keeps: boolean, body: string): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const headers = { host: this.#host, "content-length": body.length };
    const method = body === "" ? "GET" : "POST";
    const agent = keeps ? this.#agent : new Agent({ keepAlive: false });
    const asked = request({ port: this.#port, host: "127.0.0.1", path, method, headers, agent }, (answer) => {
      text(answer).then((said) => resolve(answer.statusCode === 200 ? "200" : `${answer.statusCode} ${said}`), reject);
    });
    asked.on("error", reject).end(body);
    return promise;
  }
}
