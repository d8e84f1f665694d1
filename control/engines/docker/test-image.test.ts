import t from "tap";
import { missingPart } from "../../../e2e/parts/parts.ts";
import { docker } from "./docker-test.ts";
import { buildSandboxImage, sandboxImage } from "./test-image.ts";

t.test(
  "buildSandboxImage() builds what is in sandbox/ and then leaves it",
  { skip: missingPart("images") },
  async (t) => {
    t.equal(await buildSandboxImage(), sandboxImage);
    const { Config } = await docker.getImage(sandboxImage).inspect();
    t.match(Config, { User: "sandbox", WorkingDir: "/home/sandbox/workspace/app", Cmd: ["sandbox-start"] });
    const before = (await docker.getImage(sandboxImage).inspect()).Id;
    await buildSandboxImage();
    t.equal((await docker.getImage(sandboxImage).inspect()).Id, before);
  },
);
