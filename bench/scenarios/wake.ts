import { measureWakes } from "../measure-wakes.ts";
import type { Scenario } from "../scenario.ts";

/** What a wake adds to the time that the app itself needs from its start to its first answer. */
export const wake: Scenario = {
  name: "wake",
  parts: [],
  run: (options) => measureWakes({ name: "wake", engine: "process", mode: "stop" }, options),
};

/** The same for a container, whose start is the engine's. */
export const wakeDocker: Scenario = {
  name: "wake-docker",
  parts: ["docker"],
  run: (options) => measureWakes({ name: "wake-docker", engine: "docker", mode: "stop" }, options),
};
