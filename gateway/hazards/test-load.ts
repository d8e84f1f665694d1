import { once } from "node:events";
import { Agent, type IncomingMessage, type RequestOptions, request } from "node:http";
import { text } from "node:stream/consumers";
import type { Test } from "tap";
import { eventually } from "./test-gateway.ts";

/** Requests over kept connections, one after the other on each, every second one with a body; ends with the test. */
export class Load {
  answered = 0;
  readonly failures: string[] = [];
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 8 });
  readonly #loops: Promise<void>[];
  #ended = false;

  constructor(t: Test, port: number, host: string) {
    t.teardown(() => this.end());
    this.#loops = Array.from({ length: 8 }, (_, index) =>
      this.#loop({ port, host: "127.0.0.1", headers: { host } }, index),
    );
  }

  async more(count: number): Promise<void> {
    const enough = this.answered + count;
    await eventually(() => this.answered >= enough || this.failures.length > 0, `${count} more answers`);
  }

  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all(this.#loops);
    this.#agent.destroy();
  }

  async #loop(options: RequestOptions, index: number): Promise<void> {
    const method = index % 2 === 0 ? "GET" : "POST";
    while (!this.#ended) {
      try {
        const sent = request({ ...options, method, agent: this.#agent });
        sent.end(method === "POST" ? "some body" : undefined);
        const [response] = (await once(sent, "response")) as [IncomingMessage];
        const body = await text(response);
        if (response.statusCode === 200 && body !== "") this.answered++;
        else this.failures.push(`${response.statusCode} ${body}`);
      } catch (error) {
        this.failures.push(String(error));
      }
    }
  }
}
