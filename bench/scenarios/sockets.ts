import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { IdleSockets } from "../idle-sockets.ts";
import { openDescriptors, residentBytes } from "../process-usage.ts";
import type { Measurement, Scenario } from "../scenario.ts";
import { createSandbox, startStack } from "../stack.ts";

/** What the gateway has open beside two descriptors per socket. */
const otherDescriptors = 200;
const rounds = 3;
const patienceMs = 20_000;
/** Connections to control come and go: so many more are no sign that a socket stayed. */
const fewDescriptors = 3;

/** Has the gateway collect its garbage on a signal: what waits for its turn has not stayed. */
const collectsOnSignal = [
  "--expose-gc",
  "--import",
  'data:text/javascript,process.on("SIGUSR2", () => gc({ type: "major", execution: "sync", flavor: "last-resort" }));',
];

type Round = { readonly openBytes: number; readonly closedBytes: number; readonly descriptorsLeft: number };

/** Sockets that are open and say nothing: what each costs, and whether anything of them stays. */
export const sockets: Scenario = {
  name: "sockets",
  parts: [],
  async run({ scale, profileDirectory, note }) {
    await using stack = await startStack({ profileDirectory, gatewayFlags: collectsOnSignal });
    const sandbox = await createSandbox(stack, "sockets", ["node", "server.mjs"]);
    const { pid, port } = stack.gateway;
    const count = Math.min(scale.sockets, mostSockets(pid));
    // What is compiled and cached once is no part of a socket.
    await IdleSockets.checkEcho(port, sandbox.host);
    const settle = () => delay(scale.settleSeconds * 1000);
    await settle();
    const descriptors = openDescriptors(pid);
    const startBytes = residentBytes(pid);
    const measured: Round[] = [];
    for (let round = 1; round <= rounds; round++) {
      note(`${count} sockets, round ${round} of ${rounds}`);
      const open = await IdleSockets.open(port, sandbox.host, count);
      await settle();
      const openBytes = residentBytes(pid);
      await open.checkSome();
      await open.close();
      const descriptorsLeft = await countDescriptorsLeft(pid, descriptors);
      process.kill(pid, "SIGUSR2");
      await settle();
      measured.push({ openBytes, closedBytes: residentBytes(pid), descriptorsLeft });
    }
    return summarise(measured, startBytes, count, scale.sockets);
  },
};

function summarise(
  measured: readonly Round[],
  startBytes: number,
  count: number,
  wanted: number,
): readonly Measurement[] {
  const limit = count < wanted ? `, not ${wanted}: the limit of open files allows no more` : "";
  const all = [startBytes, ...measured.flatMap(({ openBytes, closedBytes }) => [openBytes, closedBytes])];
  return [
    {
      name: "sockets: memory per idle socket",
      // The first round alone: later ones fill memory that earlier ones have left.
      value: (measured[0]!.openBytes - startBytes) / count / 1024,
      unit: "KiB",
      remark: `${count} sockets${limit}`,
    },
    {
      name: "sockets: descriptors left after they closed",
      value: Math.max(...measured.map(({ descriptorsLeft }) => descriptorsLeft)),
      unit: "",
    },
    {
      name: "sockets: memory after the third close ÷ after the second",
      value: measured.at(-1)!.closedBytes / measured.at(-2)!.closedBytes,
      unit: "×",
      remark: `${all.map((bytes) => Math.round(bytes / (1 << 20))).join(", ")} MiB`,
    },
  ];
}

/** Each socket is two descriptors of the gateway: the client's and the app's. */
function mostSockets(pid: number): number {
  const limit = /^Max open files\s+(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))![1]!;
  return limit === "unlimited" ? Number.POSITIVE_INFINITY : Math.floor((Number(limit) - otherDescriptors) / 2);
}

/** How many more descriptors than before are open, once that is few or a while has passed. */
async function countDescriptorsLeft(pid: number, before: number): Promise<number> {
  const until = Date.now() + patienceMs;
  while (openDescriptors(pid) > before + fewDescriptors && Date.now() < until) await delay(100);
  return Math.max(0, openDescriptors(pid) - before);
}
