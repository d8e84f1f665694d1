import type Docker from "dockerode";
import { toEngineError } from "./docker-client.ts";
import { withHelper } from "./helper-container.ts";

export const wantedOpenFiles = 65_536;

/**
 * The most open files that the daemon can give a container, at most 65,536. A daemon without the privilege to raise its
 * own hard limit cannot start a container above it; only trying tells. Undefined when that limit cannot be found out.
 */
export async function probeOpenFiles(docker: Docker, options: { image: string; labels: Record<string, string> }) {
  const plain = { Image: options.image, Labels: options.labels, Entrypoint: [], NetworkDisabled: true };
  const Ulimits = [{ Name: "nofile", Soft: wantedOpenFiles, Hard: wantedOpenFiles }];
  const wanted = { ...plain, Cmd: ["true"], HostConfig: { Ulimits } };
  const refusal = await withHelper(docker, wanted, (container) =>
    container.start().then(() => undefined, toEngineError),
  );
  if (refusal === undefined || !/rlimit/i.test(refusal.message)) return wantedOpenFiles;
  const limit = await withHelper(docker, { ...plain, Cmd: ["sh", "-c", "ulimit -Hn"], Tty: true }, readLimit);
  return limit > 0 && limit < wantedOpenFiles ? limit : undefined;
}

async function readLimit(container: Docker.Container): Promise<number> {
  try {
    await container.start();
    await container.wait();
    const output = await container.logs({ stdout: true });
    return Number.parseInt(output.toString(), 10);
  } catch {
    // An image without a shell cannot tell.
    return Number.NaN;
  }
}
