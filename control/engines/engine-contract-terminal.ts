import type { Test } from "tap";
import { type ContractSetup, serverProgram, until } from "./engine-under-test.ts";

/** A shell on a terminal in a sandbox. */
export function terminalContract(t: Test, setup: ContractSetup): void {
  t.test("terminal() is a terminal: of its size, echoing, and told of another size", async (t) => {
    const { terminal, type, shown } = await open(t, setup);
    await type("stty size; pwd\r");
    await until("the size", () => /\b24 80\r\n/.test(shown()));
    await until("the directory", () => /\/workspace\/app\r\n/.test(shown()));
    await terminal.resize({ columns: 132, rows: 43 });
    await type("stty size; tty\r");
    await until("the new size", () => /\b43 132\r\n/.test(shown()));
    await until("its name", () => /\/dev\/pts\/\d+\r\n/.test(shown()));
    await type("exit 3\r");
    t.match(await terminal.exit, { code: 3, signal: null });
  });

  t.test("terminal() takes what is typed as keys: an interrupt ends a command and not the shell", async (t) => {
    const { type, shown, terminal } = await open(t, setup);
    await type("echo be''fore; sleep 1000\r");
    await until("the command", () => shown().includes("before\r\n"));
    await type("\x03");
    // What is typed ahead of its prompt a shell may drop.
    await until("the prompt", () => /\^C.*[$#] $/s.test(shown()));
    await type("echo aft''er $?\r");
    await until("the shell", () => /after \d+/.test(shown()));
    await terminal.end();
  });

  t.test("terminal() ends with all that it started", async (t) => {
    const { type, shown, terminal } = await open(t, setup);
    await type("setsid sleep 4721 & sleep 4721 & echo star''ted\r");
    await until("them", () => shown().includes("started\r\n"));
    await terminal.end();
    const exit = await terminal.exit;
    t.ok(exit.code !== 0, JSON.stringify(exit));
  });
}

async function open(t: Test, setup: ContractSetup) {
  const it = await setup(t);
  const spec = it.spec(`${serverProgram}setInterval(() => {}, 1000)`);
  await it.start(spec);
  const terminal = await it.engine.terminal(spec.id, { columns: 80, rows: 24 });
  let shown = "";
  void (async () => {
    for await (const bytes of terminal.output) shown += bytes.toString("latin1");
  })();
  return { terminal, shown: () => shown, type: (keys: string) => terminal.write(Buffer.from(keys)) };
}
