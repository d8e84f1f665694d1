import { join } from "node:path";
import pino from "pino";
import t from "tap";
import { engineContract } from "../engine-contract.ts";
import { openProcessEngine } from "./process-engine.ts";

const logger = pino({ level: "silent" });
const path = process.env.PATH ?? "";

engineContract(t, {
  makeEngine: async (t, dataDir) => {
    const engine = openProcessEngine({ dataDir, path, logger });
    t.teardown(() => engine.close());
    return engine;
  },
  node: process.execPath,
  home: (dataDir, id) => join(dataDir, "workspaces", id),
  host: "127.0.0.1",
});
