import type Docker from "dockerode";
import { labels } from "./container-options.ts";
import { statusOf } from "./docker-client.ts";

/** Makes the bridge network of the sandboxes unless there is one. Containers on it do not reach each other. */
export async function ensureNetwork(
  docker: Docker,
  name: string,
  extraLabels: Readonly<Record<string, string>>,
): Promise<void> {
  try {
    await docker.getNetwork(name).inspect();
    return;
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
  }
  try {
    await docker.createNetwork({
      Name: name,
      Driver: "bridge",
      CheckDuplicate: true,
      Options: { "com.docker.network.bridge.enable_icc": "false" },
      Labels: { ...extraLabels, [labels.managed]: "true" },
    });
  } catch (error) {
    // Somebody else was faster.
    if (statusOf(error) !== 409) throw error;
  }
}
