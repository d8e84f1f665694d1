import { measureWakes } from "../measure-wakes.ts";
import type { Scenario } from "../scenario.ts";

/** How long a paused app's first byte takes, beside one that goes on by a signal alone. */
export const paused: Scenario = {
  name: "paused",
  parts: [],
  run: (options) => measureWakes({ name: "paused", engine: "process", mode: "pause" }, options),
};

/** The same for a container, which the daemon lets go on. */
export const pausedDocker: Scenario = {
  name: "paused-docker",
  parts: ["docker"],
  run: (options) => measureWakes({ name: "paused-docker", engine: "docker", mode: "pause" }, options),
};
