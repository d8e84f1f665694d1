import t from "tap";
import { missingPart } from "../../../e2e/parts/parts.ts";
import { engineContract } from "../engine-contract.ts";
import { openDockerEngine } from "./docker-engine.ts";
import { dockerTest } from "./docker-test.ts";

t.test("the docker engine", { skip: missingPart("images") }, async (t) => {
  const config = await dockerTest(t);
  engineContract(t, {
    makeEngine: async (t, dataDir) => {
      const engine = await openDockerEngine({ ...config, dataDir, hostDataDir: dataDir });
      t.teardown(() => engine.close());
      return engine;
    },
    node: "node",
    home: () => "/home/sandbox",
    host: "0.0.0.0",
  });
});
