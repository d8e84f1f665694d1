import type { Socket } from "node:net";

type Written = (error?: Error | null) => void;
type Writer = (chunk: unknown, encodingOrDone: unknown, done?: Written) => void;

/** What is written where nobody reads any more: the other side has closed its connection, or reset it. */
const unread: ReadonlySet<string | undefined> = new Set(["EPIPE", "ECONNRESET"]);

/**
 * Has a connection to an app outlive a write that failed. An app may answer an upload and close without having read it; the
 * system then refuses what is still written, and Node would destroy the socket with the answer that waits to be read on it. What
 * cannot be sent is dropped instead. The end of what is read ends the connection with that error, as if it had been a reset.
 */
export function hearOut(socket: Socket): void {
  let failure: NodeJS.ErrnoException | undefined;
  const fail = (error: NodeJS.ErrnoException) => {
    failure = error;
    // Others would take it for a clean end.
    socket.removeAllListeners("end");
    socket.once("end", () => socket.destroy(error));
  };
  // A stream writes one thing after the other: who waits for it is noted, so that no write needs a function of its own.
  let waiting: Written;
  const written: Written = (error) => {
    const isUnread = unread.has((error as NodeJS.ErrnoException | undefined)?.code);
    if (!error || !isUnread || socket.readableEnded) return waiting(error);
    if (failure === undefined) fail(error);
    waiting();
  };
  const streams = socket as unknown as { _write: Writer; _writev: Writer };
  const { _write: write, _writev: writev } = streams;
  streams._write = (chunk, encoding, done) => {
    if (failure !== undefined) return done!();
    waiting = done!;
    write.call(socket, chunk, encoding, written);
  };
  streams._writev = (chunks, done) => {
    if (failure !== undefined) return (done as Written)();
    waiting = done as Written;
    writev.call(socket, chunks, written);
  };
}
