import { once } from "node:events";
import t, { type Test } from "tap";
import { type ClientOptions, WebSocket } from "ws";
import { hasTerminals } from "../../engines/process/process-terminal.ts";
import { appBody, startControl } from "../../testing/control.ts";

const skip = hasTerminals ? false : "no script(1) of util-linux";

async function withSandbox(t: Test, variables = {}) {
  const control = await startControl(t, variables);
  const { body: sandbox } = await control.call("POST", "/v1/sandboxes", { body: appBody });
  const path = `/v1/sandboxes/${sandbox.id}`;
  const open = (query = "", options: ClientOptions = {}, base = `ws://${control.plane.address}`) => {
    const viewer = new TerminalViewer(new WebSocket(`${base}${path}/terminal${query}`, options));
    t.teardown(() => viewer.socket.terminate());
    return viewer;
  };
  return { control, sandbox, path, open };
}

/** A client that notes what it is shown. */
class TerminalViewer {
  readonly socket: WebSocket;
  session = "";
  shown = "";
  readonly closed: Promise<{ code: number; reason: string }>;
  #waiters: (() => void)[] = [];

  constructor(socket: WebSocket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once("close", (code, reason) => resolve({ code, reason: String(reason) }));
    });
    socket.on("error", () => {});
    socket.on("message", (message, isBinary) => {
      if (isBinary) this.shown += String(message);
      else this.session = JSON.parse(String(message)).session;
      for (const resolve of this.#waiters.splice(0)) resolve();
    });
  }

  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.shown)) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  async ready(): Promise<this> {
    while (this.session === "") await new Promise<void>((resolve) => this.#waiters.push(resolve));
    return this;
  }

  type(keys: string): void {
    this.socket.send(Buffer.from(keys));
  }

  /** The status of an upgrade that was refused. */
  async refusal(): Promise<number> {
    const [, answer] = await once(this.socket, "unexpected-response");
    return answer.statusCode;
  }
}

t.test("GET terminal is a shell: keys in, bytes out, sizes, and the exit code in the close", { skip }, async (t) => {
  const { open, control, path, sandbox } = await withSandbox(t);
  await control.call("POST", `${path}/stop`);
  const viewer = await open("?cols=100&rows=30").ready();
  t.match(await control.call("GET", path), { body: { status: "running" } }, "it was woken");
  t.match(await control.call("GET", `${path}/explain`), { body: { awake_because: [{ cause: "exec" }] } });
  viewer.type("stty size\r");
  await viewer.until(/\b30 100\r\n/);
  viewer.socket.send(JSON.stringify({ resize: { cols: 120, rows: 40 } }));
  viewer.socket.send("no message of ours");
  viewer.type("until [ \"$(stty size)\" = '40 120' ]; do :; done; echo resi''zed\r");
  await viewer.until(/resized\r\n/);
  viewer.type("exit 7\r");
  const { code, reason } = await viewer.closed;
  t.equal(code, 1000);
  t.same(JSON.parse(reason), { ended_by: "exit", exit_code: 7, signal: null });
  const { body } = await control.call("GET", "/v1/audit");
  t.match(
    body.items.find(({ action }: { action: string }) => action === "terminal.open"),
    { target: sandbox.id },
  );
});

t.test("GET terminal with a session comes back to a shell that went on, with what it showed", { skip }, async (t) => {
  const { open } = await withSandbox(t);
  const first = await open().ready();
  first.type("NAME=kept; echo one''two\r");
  await first.until(/onetwo\r\n/);
  first.socket.terminate();
  await first.closed;
  const second = await open(`?session=${first.session}`).ready();
  await second.until(/onetwo\r\n/);
  second.type('echo "<$NAME>"\r');
  await second.until(/<kept>\r\n/);
  t.equal(await open("?session=01JB2Q8Z6X3V9K4M7N0P5R1S2T").refusal(), 404);
});

t.test("a terminal ends with its sandbox's sleep and with control, and says so", { skip }, async (t) => {
  const { open, control, path } = await withSandbox(t);
  const viewer = await open().ready();
  await control.call("POST", `${path}/stop`);
  t.match(await viewer.closed, { code: 1001, reason: /"ended_by":"stop"/ });
  const other = await open().ready();
  await control.stop();
  t.match(await other.closed, { code: 1001 });
});

t.test("GET terminal refuses foreign pages, too many, and what is no upgrade", { skip }, async (t) => {
  const { open, control, path } = await withSandbox(t);
  t.equal(await open("", { headers: { origin: "https://evil.example" } }).refusal(), 403);
  t.equal(await open("?cols=0").refusal(), 400);
  t.match(await control.call("GET", `${path}/terminal`), { status: 400 });
  const all = await Promise.all(Array.from({ length: 8 }, () => open().ready()));
  t.equal(await open().refusal(), 429);
  all[0]!.type("exit\r");
  await all[0]!.closed;
  await open().ready();
});

t.test("GET terminal over the control socket needs the token of a caller who may do things", { skip }, async (t) => {
  const tokens = "boss:secret-of-the-boss,reader:secret-of-the-reader:read";
  const { open, control } = await withSandbox(t, { SANDBOXD_API_AUTH_DISABLED: "false", SANDBOXD_API_TOKENS: tokens });
  const base = `ws+unix://${control.plane.socketPath}:`;
  const as = (secret: string, more = {}) =>
    open("", { headers: { host: "api.preview.localhost", authorization: `Bearer ${secret}`, ...more } }, base);
  t.equal(await open("", { headers: { host: "api.preview.localhost" } }, base).refusal(), 401);
  t.equal(await as("wrong").refusal(), 401);
  t.equal(await as("secret-of-the-reader").refusal(), 403);
  t.equal(await as("secret-of-the-boss", { origin: "https://evil.example" }).refusal(), 403);
  const viewer = await as("secret-of-the-boss", { origin: "https://api.preview.localhost" }).ready();
  viewer.type("echo al''lowed\r");
  await viewer.until(/allowed\r\n/);
});
