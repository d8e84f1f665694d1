import type Docker from "dockerode";
import type { ContainerCreateOptions } from "dockerode";
import { labels } from "./container-options.ts";
import { statusOf } from "./docker-client.ts";

const abandonedSeconds = 600;

/** Makes a container of an image for a moment, for looking at or into it, and removes it afterwards. */
export async function withHelper<T>(
  docker: Docker,
  options: ContainerCreateOptions,
  use: (container: Docker.Container) => Promise<T>,
): Promise<T> {
  const container = await docker.createContainer({
    ...options,
    Labels: { ...options.Labels, [labels.helper]: "true" },
  });
  try {
    return await use(container);
  } finally {
    await container.remove({ force: true, v: true }).catch(ignoreAbsent);
  }
}

/** Removes helpers that a program left behind when it was killed. */
export async function removeAbandonedHelpers(docker: Docker): Promise<void> {
  const filters = { label: [`${labels.helper}=true`] };
  const helpers = await docker.listContainers({ all: true, filters });
  const old = helpers.filter(({ Created }) => Created < Date.now() / 1000 - abandonedSeconds);
  await Promise.all(old.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true }).catch(ignoreAbsent)));
}

function ignoreAbsent(error: unknown): void {
  const status = statusOf(error);
  // 409: somebody else is removing it.
  if (status !== 404 && status !== 409) throw error;
}
