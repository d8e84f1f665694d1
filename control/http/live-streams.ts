import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import type { Caller } from "./door.ts";

/** A watcher that lets so much pile up is cut: it comes back and resumes. */
const defaultMostBuffered = 64 * 1024 * 1024;

const endPatienceMs = 500;

/** One answer that goes on until somebody ends it. */
export type LiveStream = {
  /** Aborts when the stream is over, whoever ended it. */
  readonly signal: AbortSignal;
  /** Writes at once, and cuts a reader that falls far behind. */
  push(text: string): void;
  /** As `push`, and resolves when the reader has taken enough to go on. */
  write(text: string): Promise<void>;
  /** Ends it properly. */
  end(): void;
  /** Ends it like a broken connection. */
  cut(): void;
};

/** The live streams of one server, so that it can be closed. */
export class LiveStreams {
  /** Each with whoever asked for it. */
  readonly #open = new Map<ServerResponse, Caller | undefined>();
  readonly #mostBuffered: number;
  #closed = false;

  constructor({ mostBuffered = defaultMostBuffered }: { mostBuffered?: number } = {}) {
    this.#mostBuffered = mostBuffered;
  }

  /** Takes an answer out of the framework's hands and sends its head. */
  open(reply: FastifyReply, contentType: string): LiveStream {
    reply.hijack();
    const response = reply.raw;
    const over = new AbortController();
    this.#open.set(response, reply.request.caller);
    response.on("close", () => {
      this.#open.delete(response);
      over.abort();
    });
    response.on("error", () => response.destroy());
    // Its connection ends with it: a server that closes waits for no other call.
    const headers = { "cache-control": "no-store", "x-accel-buffering": "no", connection: "close" };
    response.writeHead(200, { "content-type": contentType, ...headers });
    response.flushHeaders();
    if (this.#closed) response.destroy();
    return {
      signal: over.signal,
      push: (text) => void this.#push(response, text),
      write: (text) => this.#write(response, text, over.signal),
      end: () => response.end(),
      cut: () => response.destroy(),
    };
  }

  /** Ends every stream, after what was pushed to it; one that does not take that soon is cut. */
  close(): void {
    this.#closed = true;
    for (const response of this.#open.keys()) {
      response.end();
      const cut = setTimeout(() => response.destroy(), endPatienceMs);
      response.on("close", () => clearTimeout(cut));
    }
  }

  /** Breaks off the streams of callers who may not be there any more. */
  cutWhere(isUnwelcome: (caller: Caller) => boolean): void {
    for (const [response, caller] of this.#open) if (caller !== undefined && isUnwelcome(caller)) response.destroy();
  }

  /** Whether there is room for more. */
  #push(response: ServerResponse, text: string): boolean {
    if (response.destroyed || response.writableEnded) return false;
    const hasRoom = response.write(text);
    // Now, and not at the end of this turn: whoever is answered meanwhile may ask the reader about what this says.
    response.socket?.uncork();
    if (response.writableLength > this.#mostBuffered) response.destroy();
    return hasRoom;
  }

  async #write(response: ServerResponse, text: string, signal: AbortSignal): Promise<void> {
    if (this.#push(response, text) || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        response.off("drain", done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      response.on("drain", done);
      signal.addEventListener("abort", done);
    });
  }
}
