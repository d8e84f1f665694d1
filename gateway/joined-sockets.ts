import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ExchangeActivity } from "./exchange.ts";
import { closeFrame, WebSocketFrames } from "./web-socket-frames.ts";

/** Whoever heard of the other's end may keep its own side open for so long. */
const lingerMs = 2_000;

/**
 * A client's and an app's socket once both speak WebSocket: bytes go both ways untouched, with back pressure, half-closes
 * are passed on, and both end when one breaks. Most of them say nothing for hours, so it holds on to nothing of the
 * exchange that made it.
 */
export class JoinedSockets {
  readonly #client: Duplex;
  readonly #upstream: Socket;
  readonly #activity: ExchangeActivity | undefined;
  readonly #fromApp = new WebSocketFrames();
  readonly #fromClient = new WebSocketFrames();

  /** `isLeaving`: whether the sandbox goes to sleep or away, so that its sockets end for that reason. */
  constructor(client: Duplex, upstream: Socket, isLeaving: () => boolean, activity: ExchangeActivity | undefined) {
    this.#client = client;
    this.#upstream = upstream;
    this.#activity = activity;
    upstream.on("data", (chunk: Buffer) => this.#pass(chunk, "bytesOut", this.#fromApp, upstream, client));
    client.on("data", (chunk: Buffer) => this.#pass(chunk, "bytesIn", this.#fromClient, client, upstream));
    upstream.on("drain", () => client.resume());
    client.on("drain", () => upstream.resume());
    client.on("end", () => {
      upstream.end();
      // An app that goes on after its client's end is heard for as long as it has something to say.
      upstream.setTimeout(lingerMs, () => upstream.resetAndDestroy());
    });
    // A sandbox that goes to sleep takes its sockets with it: that is no fault of the app's.
    upstream.on("end", () => (isLeaving() ? this.end() : client.end()));
    upstream.on("error", () => (isLeaving() ? this.end() : client.destroy()));
    upstream.on("close", () => closeSoon(client));
    client.on("error", () => upstream.destroy());
    client.on("close", () => upstream.destroy());
  }

  /** Ends both, with a word to the client where a frame may begin. */
  end(): void {
    const { closed, atBoundary } = this.#fromApp;
    if (!this.#client.writableEnded) this.#client.end(closed || !atBoundary ? undefined : closeFrame(1001));
    this.#upstream.destroy();
  }

  #pass(chunk: Buffer, way: "bytesIn" | "bytesOut", frames: WebSocketFrames, from: Duplex, to: Duplex): void {
    const isData = frames.push(chunk);
    const activity = this.#activity;
    if (activity !== undefined) {
      activity[way] += chunk.length;
      if (isData) activity.lastDataAt = Date.now();
    }
    if (to.writable && !to.write(chunk)) from.pause();
  }
}

/** Closes a client whose app is gone, with what it still has to read. */
function closeSoon(client: Duplex): void {
  if (!client.writableEnded) return void client.destroy();
  const linger = () => {
    const timer = setTimeout(() => client.destroy(), lingerMs);
    client.once("close", () => clearTimeout(timer));
  };
  if (client.writableFinished) linger();
  else client.once("finish", linger);
}
