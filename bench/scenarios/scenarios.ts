import type { Scenario } from "../scenario.ts";
import { activity } from "./activity.ts";
import { bodies } from "./bodies.ts";
import { cycles } from "./cycles.ts";
import { echo } from "./echo.ts";
import { edge } from "./edge.ts";
import { networks } from "./networks.ts";
import { paused, pausedDocker } from "./paused.ts";
import { privatePreview } from "./private.ts";
import { proxy } from "./proxy.ts";
import { sockets } from "./sockets.ts";
import { stampede } from "./stampede.ts";
import { starts } from "./starts.ts";
import { tenThousand } from "./ten-thousand.ts";
import { wake, wakeDocker } from "./wake.ts";

/** Every scenario, in the order in which they run. */
export const scenarios: readonly Scenario[] = [
  proxy,
  privatePreview,
  edge,
  bodies,
  echo,
  sockets,
  stampede,
  wake,
  wakeDocker,
  paused,
  pausedDocker,
  cycles,
  starts,
  networks,
  tenThousand,
  activity,
];
