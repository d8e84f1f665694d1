import type Docker from "dockerode";
import type { ContainerCreateOptions } from "dockerode";
import { removeContainer } from "./container-calls.ts";
import { labels } from "./container-options.ts";

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
    await removeContainer(docker, container.id);
  }
}

/** Removes helpers that a program left behind when it was killed. */
export async function removeAbandonedHelpers(docker: Docker): Promise<void> {
  const filters = { label: [`${labels.helper}=true`] };
  const helpers = await docker.listContainers({ all: true, filters });
  const old = helpers.filter(({ Created }) => Created < Date.now() / 1000 - abandonedSeconds);
  await Promise.all(old.map(({ Id }) => removeContainer(docker, Id)));
}
