import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import t, { type Test } from "tap";
import { until } from "../engine-under-test.ts";
import { tcpListeners } from "../tcp-table.ts";
import { hasProcessTable, isRunning, processTree, readProcess, signalTree, socketInodes } from "./process-table.ts";

function sleeper(t: Test, env: Record<string, string> = {}) {
  const child = spawn("sleep", ["1000"], { detached: true, stdio: "ignore", env: { PATH: process.env.PATH, ...env } });
  t.teardown(() => child.kill("SIGKILL"));
  return child;
}

t.test("the process table", { skip: !hasProcessTable && "needs /proc" }, async (t) => {
  t.test("readProcess() tells parent, group and session, and nothing of the dead", async (t) => {
    const child = sleeper(t);
    const pid = child.pid!;
    t.match(readProcess(pid), { pid, parent: process.pid, group: pid, session: pid });
    child.kill("SIGKILL");
    await once(child, "exit");
    t.equal(readProcess(pid), undefined);
  });

  t.test("isRunning() knows a process from another with its pid", async (t) => {
    const { pid, startTime } = readProcess(sleeper(t).pid!)!;
    t.ok(isRunning({ pid, startTime }));
    t.notOk(isRunning({ pid, startTime: startTime - 1 }));
  });

  t.test("processTree() finds what carries the marks, all of them", async (t) => {
    const nobody = { pid: -1, startTime: 0 };
    const marked = sleeper(t, { MARK_ONE: "a", MARK_TWO: String(process.pid) });
    sleeper(t, { MARK_ONE: "a", MARK_TWO: `${process.pid}0` });
    const marks = ["MARK_ONE=a", `MARK_TWO=${process.pid}`];
    // Until it has executed its program a child shows the environment of its parent.
    const tree = await until("the marked process", () => {
      const found = processTree(nobody, marks);
      return found.length > 0 && found;
    });
    t.same(
      tree.map(({ pid }) => pid),
      [marked.pid],
    );
    t.same(processTree(nobody, []), []);
    signalTree(nobody, tree, "SIGKILL");
    t.same(await once(marked, "exit"), [null, "SIGKILL"]);
  });

  t.test("socketInodes() leads to the ports that a process listens on", async (t) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.teardown(() => server.close());
    const inodes = socketInodes([readProcess(process.pid)!]);
    const { port } = server.address() as { port: number };
    t.match(
      tcpListeners("self").filter(({ inode }) => inodes.has(inode)),
      [{ port, reach: "loopback" }],
    );
    server.close();
  });
});
