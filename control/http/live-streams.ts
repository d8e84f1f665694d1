import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";

/** A watcher that lets so much pile up is cut: it comes back and resumes. */
const defaultMostBuffered = 64 * 1024 * 1024;

/** One answer that goes on until somebody ends it. */
export type LiveStream = {
  /** Aborts when the stream is over, whoever ended it. */
  readonly signal: AbortSignal;
  /** Writes at once. Resolves when the reader has taken enough to go on; cuts one that falls far behind. */
  write(text: string): Promise<void>;
  /** Ends it properly. */
  end(): void;
  /** Ends it like a broken connection. */
  cut(): void;
};

/** The live streams of one server, so that it can be closed. */
export class LiveStreams {
  readonly #open = new Set<ServerResponse>();
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
    this.#open.add(response);
    response.on("close", () => {
      this.#open.delete(response);
      over.abort();
    });
    response.on("error", () => response.destroy());
    response.writeHead(200, { "content-type": contentType, "cache-control": "no-store", "x-accel-buffering": "no" });
    response.flushHeaders();
    if (this.#closed) response.destroy();
    return {
      signal: over.signal,
      write: (text) => this.#write(response, text, over.signal),
      end: () => response.end(),
      cut: () => response.destroy(),
    };
  }

  close(): void {
    this.#closed = true;
    for (const response of this.#open) response.destroy();
  }

  async #write(response: ServerResponse, text: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted || response.write(text)) return;
    if (response.writableLength > this.#mostBuffered) {
      response.destroy();
      return;
    }
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
