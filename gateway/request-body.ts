import { Readable } from "node:stream";
import type { Exchange } from "./exchange.ts";

/** So many bytes are read ahead of the app. With the usual 64 KiB every read of a socket would be followed by a pause. */
const mostAhead = 256 << 10;

/**
 * A request's body for the HTTP client, read from the client's socket as fast as the app takes it. It stands between
 * the two because the HTTP client destroys what it reads from when the app fails, and the client's socket must live to
 * carry the refusal.
 */
export function requestBody({ request, response, activity, expectsContinue }: Exchange): Readable {
  let continued = !expectsContinue;
  const body = new Readable({
    highWaterMark: mostAhead,
    read() {
      if (!continued && !response.headersSent) response.writeContinue();
      continued = true;
      request.resume();
    },
    destroy(error, callback) {
      request.off("data", onData).off("end", onEnd).off("close", onClose);
      request.pause();
      callback(error);
    },
  });
  const onData = (chunk: Buffer) => {
    if (activity) {
      activity.bytesIn += chunk.length;
      activity.lastDataAt = Date.now();
    }
    if (!body.push(chunk)) request.pause();
  };
  const onEnd = () => body.push(null);
  const onClose = () => {
    if (!request.readableEnded) body.destroy(new Error("the client is gone"));
  };
  request.on("data", onData).on("end", onEnd).on("close", onClose);
  // The HTTP client stops listening when it is done with the body; a client that leaves later is no error.
  body.on("error", () => {});
  request.pause();
  return body;
}
