import { once } from "node:events";
import { connect } from "node:net";
import { Worker } from "node:worker_threads";
import type { Test } from "tap";

/** Runs in a thread of its own: a listener whose thread can stand still takes no connection once its queue is full. */
const program = `
  import { createServer } from "node:net";
  import { parentPort, workerData } from "node:worker_threads";
  const flag = new Int32Array(workerData);
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      parentPort.postMessage({ bytes: chunk.toString("latin1") });
      socket.end("HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok");
    });
  });
  server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => parentPort.postMessage({ port: server.address().port }));
  parentPort.on("message", () => {
    parentPort.postMessage({ deaf: true });
    Atomics.wait(flag, 0, 0);
    Atomics.store(flag, 0, 0);
    parentPort.postMessage({ deaf: false });
  });
`;

/** A port that answers "ok", or, while it is deaf, lets every attempt to connect wait for an answer of the kernel's. */
export class DeafPort {
  readonly port: number;
  /** What came in, as it came. */
  bytes = "";
  #isDeaf = false;
  readonly #worker: Worker;
  readonly #flag: Int32Array;

  private constructor(port: number, worker: Worker, flag: Int32Array) {
    this.port = port;
    this.#worker = worker;
    this.#flag = flag;
    worker.on("message", ({ bytes = "", deaf = this.#isDeaf }) => {
      this.bytes += bytes;
      this.#isDeaf = deaf;
    });
  }

  static async open(t: Test): Promise<DeafPort> {
    const shared = new SharedArrayBuffer(4);
    const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
    const worker = new Worker(url, { workerData: shared });
    const flag = new Int32Array(shared);
    t.teardown(async () => {
      Atomics.store(flag, 0, 1);
      Atomics.notify(flag, 0);
      await worker.terminate();
    });
    const [{ port }] = await once(worker, "message");
    return new DeafPort(port, worker, flag);
  }

  /** From now on nobody gets through: the queue is filled. */
  async stopListening(t: Test): Promise<void> {
    this.#worker.postMessage("stop");
    while (!this.#isDeaf) await once(this.#worker, "message");
    for (let index = 0; index < 2; index++) {
      const socket = connect(this.port, "127.0.0.1");
      t.teardown(() => socket.destroy());
      await once(socket, "connect");
    }
  }

  /** Takes the connections that wait. */
  async listen(): Promise<void> {
    Atomics.store(this.#flag, 0, 1);
    Atomics.notify(this.#flag, 0);
    while (this.#isDeaf) await once(this.#worker, "message");
  }
}
