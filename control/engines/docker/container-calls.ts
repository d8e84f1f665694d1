import type Docker from "dockerode";
import type { ImageInspectInfo } from "dockerode";
import { EngineError } from "../sandbox-engine.ts";
import { statusOf } from "./docker-client.ts";

const alreadySo = 304;
const absent = 404;
const conflict = 409;

/** Whether an error says that there is no such container, or one that is on its way out. */
export function isGone(error: unknown): boolean {
  const status = statusOf(error);
  return status === absent || (status === conflict && /dead or marked for removal/.test((error as Error).message));
}

/** Starts a container, or lets a paused one go on. It tries and does not look first: a wake waits for this. */
export async function run(container: Docker.Container): Promise<void> {
  try {
    await container.start();
  } catch (error) {
    if (statusOf(error) === alreadySo) return;
    if (!(await isPaused(container, error))) throw error;
    await container.unpause();
  }
}

export async function pause(container: Docker.Container): Promise<void> {
  try {
    await container.pause();
  } catch (error) {
    if (!(await isPaused(container, error))) throw error;
  }
}

/** Stops a container; one that is stopped or absent already is fine. */
export async function stop(container: Docker.Container, graceSeconds: number): Promise<void> {
  const options = { t: Math.ceil(graceSeconds) };
  try {
    await container.stop(options);
  } catch (error) {
    if (statusOf(error) === alreadySo || isGone(error)) return;
    // A frozen process cannot take a signal.
    if (!(await isPaused(container, error))) throw error;
    await container.unpause();
    await container.stop(options);
  }
}

/** Ends and removes a container with the volumes that are its own; absent is fine. */
export async function removeContainer(docker: Docker, nameOrId: string): Promise<void> {
  const container = docker.getContainer(nameOrId);
  try {
    await container.remove({ force: true, v: true });
  } catch (error) {
    if (isGone(error)) return;
    if (statusOf(error) !== conflict) throw error;
    // Somebody else is removing it.
    await container.wait({ condition: "removed" }).catch((absent) => {
      if (!isGone(absent)) throw absent;
    });
  }
}

/** Throws `image_not_found`: an image is never pulled, since that would put what a registry says into a wake. */
export async function inspectImage(docker: Docker, name: string): Promise<ImageInspectInfo> {
  try {
    return await docker.getImage(name).inspect();
  } catch (error) {
    if (!isGone(error)) throw error;
    throw new EngineError("image_not_found", `There is no image ${name} here, and images are never pulled`, {
      cause: error,
    });
  }
}

/** Whether a refusal came because the container is paused. */
async function isPaused(container: Docker.Container, refusal: unknown): Promise<boolean> {
  const status = statusOf(refusal);
  if (status !== conflict && status !== 500) return false;
  return (await container.inspect()).State.Paused;
}
