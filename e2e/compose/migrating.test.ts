/** The page docs/migrating.md, on what the original leaves behind. */
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { originalIds, writeOriginalState } from "../../control/testing/original-state.ts";
import { missingPart } from "../parts/parts.ts";
import { Machine, well } from "./machine.ts";
import { ShellPage } from "./shell-page.ts";

t.setTimeout(600_000);

const page = await ShellPage.read("migrating.md");
const id = originalIds.alwaysOn;
const app = `
  require("node:http").createServer((request, response) => response.end("as before, " + process.env.API_KEY))
    .listen(process.env.PORT, process.env.HOST);
`;

t.test("docs/migrating.md", { skip: missingPart("docker", "images", "compose", "root") }, async (t) => {
  const machine = await Machine.prepare(t);
  const original = join(machine.directory, "original");

  // As it runs there: control, a network, and a container on a workspace.
  await mkdir(original);
  await writeFile(
    join(original, "docker-compose.yml"),
    `
name: ${machine.name}-original
networks: { sandboxd_net: { name: ${machine.name}-original } }
services:
  sandboxd: { image: "node:24-bookworm-slim", command: [sleep, infinity], init: true, networks: [sandboxd_net] }
`,
  );
  const workspace = join(machine.data, "workspaces", id, "workspace", "app");
  await mkdir(workspace, { recursive: true });
  await writeFile(join(workspace, "server.js"), app);
  await writeFile(join(workspace, "package.json"), JSON.stringify({ scripts: { dev: "node server.js" } }));
  await well(machine.sh(`chown -R 1000:1000 '${join(machine.data, "workspaces", id)}'`));
  writeOriginalState(join(machine.data, "state", "sandboxd.db"));
  t.teardown(() => machine.sh(`docker rm --force s-${id}; docker compose --project-directory '${original}' down`));
  await well(
    machine.sh(`
      docker compose --project-directory '${original}' up --detach
      docker run --detach --name s-${id} --network ${machine.name}-original --env API_KEY=s3cret node:24-bookworm-slim sleep infinity`),
  );

  await t.test("the original is noted, stopped and removed", async (t) => {
    const inOriginal = (script: string) => machine.sh(`cd '${original}'\n${script}`);
    await well(inOriginal(page.take("What to do", "docker inspect")));
    t.match(await readFile(join(original, "environment-of-sandboxes.txt"), "utf8"), `/s-${id} ["API_KEY=s3cret"`);
    await well(inOriginal(page.take("What to do", "docker compose down")));
    t.equal(await well(machine.sh(`docker ps --all --quiet --filter name=s-${id}`)), "");
    t.equal(await well(machine.sh(`docker network ls --quiet --filter name=${machine.name}-original`)), "");
  });

  await t.test("its .env is enough to start with", async () => {
    const example = await readFile(join(machine.checkout, ".env.example"), "utf8");
    // With the names that it knew, in the spelling that it had at first.
    await writeFile(
      join(machine.checkout, ".env"),
      `PREVIEW_DOMAIN=localhost
PREVIEW_ENTRYPOINT=web
PREVIEW_TLS=false
SANDBOXD_API_AUTH_DISABLED=true
SANDBOXED_LOG_DIR=${machine.data}/log
SANDBOXED_IDLE_THRESHOLD_SECONDS=2100
${example.slice(example.indexOf("COMPOSE_PROJECT_NAME")).replaceAll("SANDBOXD_DATA_DIR", "SANDBOXED_DATA_DIR").replaceAll("SANDBOXD_API_BIND", "SANDBOXED_API_BIND")}`,
    );
    const start = "docker compose up --detach --build --wait";
    await well(machine.sh(`unset SANDBOXD_DATA_DIR; docker compose build; ${start}`));
  });

  await t.test("its sandbox wakes in the workspace that it had, with its variables", async (t) => {
    const list = JSON.parse(await well(machine.sh("curl -s http://127.0.0.1:9090/sandboxes")));
    t.match(
      list.find((each: { id: string }) => each.id === id),
      { status: "stopped", idle_policy: "always_on", ports: [8000], external: { user_id: "local" } },
    );
    const patch = page.take("What to do", "PATCH").replace("…", "s3cret");
    await well(machine.sh(`ID=${id}\n${patch}`));
    const host = `s-${id}-8000.preview.localhost`;
    const said = await well(machine.sh(`curl -s --fail -H 'Host: ${host}' http://127.0.0.1:${machine.ports.http}/`));
    t.equal(said, "as before, s3cret");
  });

  await t.test("the doctor names what was forgotten", async (t) => {
    await well(machine.sh(`docker create --name s-${id} node:24-bookworm-slim true`));
    await appendFile(join(machine.data, "traefik", "dynamic", "wake.yml"), "http: { routers: {} }\n");
    const { stdout } = await machine.sh("docker compose --progress quiet run --rm control sandboxd doctor");
    t.match(stdout, new RegExp(`^warn {2}engine +1 containers of the original.*\\n.*docker rm -f s-${id}$`, "m"));
    t.match(stdout, /^FAIL {2}traefik +wake\.yml has an empty http\.routers.*\n.*rm .*wake\.yml$/m);
  });

  t.strictSame(page.left, [], "every command of the page was run");
});
