import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

type Tuple<N extends number, T extends number[] = []> = T["length"] extends N ? T : Tuple<N, [...T, number]>;

/**
 * Ports that are free for TCP and UDP, for programs that cannot choose one themselves. Below the ephemeral range, where no
 * other test's port 0 can come to lie.
 */
export async function freePorts<N extends number>(count: N): Promise<Tuple<N>> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (!ports.includes(port) && (await isFree(port))) ports.push(port);
  }
  return ports as Tuple<N>;
}

async function isFree(port: number): Promise<boolean> {
  const tcp = createServer().listen(port, "127.0.0.1");
  const udp = createSocket("udp4").bind(port, "127.0.0.1");
  const outcomes = await Promise.all([isListening(tcp), isListening(udp)]);
  await Promise.all(
    [tcp, udp].map((each, index) => outcomes[index] && new Promise<void>((done) => each.close(() => done()))),
  );
  return outcomes.every(Boolean);
}

function isListening(socket: NodeJS.EventEmitter): Promise<boolean> {
  return once(socket, "listening").then(
    () => true,
    () => false,
  );
}
