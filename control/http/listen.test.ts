import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import fastify from "fastify";
import t, { type Test } from "tap";
import { newDirectory } from "../testing/control.ts";
import { AddressTakenError, listenOnAddress, listenOnSocket } from "./listen.ts";
import type { ApiServer } from "./server.ts";

function serverOf(t: Test): ApiServer {
  const server = fastify();
  t.teardown(() => server.close());
  return server as unknown as ApiServer;
}

t.test("listenOnAddress() tells the port that it got", async (t) => {
  t.match(await listenOnAddress(serverOf(t), { host: "127.0.0.1", port: 0 }), /^127\.0\.0\.1:[1-9][0-9]+$/);
});

t.test("listenOnAddress() names the variable when the port is taken", async (t) => {
  const address = await listenOnAddress(serverOf(t), { host: "127.0.0.1", port: 0 });
  const bind = { host: "127.0.0.1", port: Number(address.split(":")[1]) };
  await t.rejects(listenOnAddress(serverOf(t), bind), AddressTakenError);
  await t.rejects(listenOnAddress(serverOf(t), bind), {
    message: `Cannot listen on ${address} (SANDBOXD_API_BIND): it is taken`,
  });
});

t.test("listenOnSocket() makes its directory and shuts others out", async (t) => {
  const path = join(newDirectory(t), "run", "control.sock");
  await listenOnSocket(serverOf(t), path);
  t.equal(statSync(path).mode & 0o777, 0o660);
});

t.test("listenOnSocket() leaves a file alone that is no socket", async (t) => {
  const path = join(newDirectory(t), "precious");
  writeFileSync(path, "kept");
  await t.rejects(listenOnSocket(serverOf(t), path), AddressTakenError);
  t.equal(readFileSync(path, "utf8"), "kept");
});

t.test("listenOnSocket() takes the place of a socket that nobody listens on, and of no other", async (t) => {
  const path = join(newDirectory(t), "control.sock");
  const program = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["-e", program]);
  t.ok(existsSync(path), "left behind");
  await listenOnSocket(serverOf(t), path);
  await t.rejects(listenOnSocket(serverOf(t), path), { name: "AddressTakenError", message: /SANDBOXD_CONTROL_SOCKET/ });
  const other = createServer();
  const elsewhere = join(newDirectory(t), "other.sock");
  await new Promise<void>((resolve) => other.listen(elsewhere, resolve));
  t.teardown(() => other.close());
  await t.rejects(listenOnSocket(serverOf(t), elsewhere), AddressTakenError);
});
