import t from "tap";
import { missingPart } from "../../../e2e/parts/parts.ts";
import { docker, dockerTest } from "./docker-test.ts";
import { removeAbandonedHelpers, withHelper } from "./helper-container.ts";

t.test("helper containers", { skip: missingPart("images") }, async (t) => {
  const { image, labels } = await dockerTest(t);
  const options = { Image: image, Labels: { ...labels }, Cmd: ["true"] };

  t.test("withHelper() removes the container, whatever happens in it", async (t) => {
    const used = withHelper(docker, options, async (container) => {
      t.match((await container.inspect()).Config.Labels, labels);
      throw Object.assign(new Error("used"), { container });
    });
    const { container } = await used.catch((error) => error);
    t.match(await container.inspect().catch((error: unknown) => error), { statusCode: 404 });
  });

  t.test("removeAbandonedHelpers() leaves a helper alone that may be in use", async (t) => {
    await withHelper(docker, options, async (container) => {
      await removeAbandonedHelpers(docker);
      t.ok(await container.inspect());
    });
  });
});

t.test("removeAbandonedHelpers() removes old ones", async (t) => {
  const removed: string[] = [];
  const now = Date.now() / 1000;
  const daemon = {
    listContainers: async () => [
      { Id: "old", Created: now - 3_600 },
      { Id: "new", Created: now - 5 },
    ],
    getContainer: (id: string) => ({ remove: async () => removed.push(id) }),
  };
  await removeAbandonedHelpers(daemon as never);
  t.same(removed, ["old"]);
});
