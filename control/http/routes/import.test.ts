import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { appBody, startControl } from "../../testing/control.ts";

async function withSandbox(t: Test) {
  const control = await startControl(t);
  const { body: sandbox } = await control.call("POST", "/v1/sandboxes", { body: appBody });
  const path = `/v1/sandboxes/${sandbox.id}`;
  return { control, sandbox, path, app: join(control.directory, "workspaces", sandbox.id, "workspace", "app") };
}

t.test("POST import unpacks what GET export of another sandbox has packed, while both sleep", async (t) => {
  const { control, path, app } = await withSandbox(t);
  const { body: other } = await control.call("POST", "/v1/sandboxes", { body: appBody });
  writeFileSync(join(app, "index.js"), "hello");
  for (const id of [path, `/v1/sandboxes/${other.id}`]) await control.call("POST", `${id}/stop`);
  for (const format of ["zip", "tar.zst"]) {
    const archive = await fetch(`http://${control.plane.address}${path}/export?format=${format}`);
    const at = `/v1/sandboxes/${other.id}`;
    const imported = await control.call("POST", `${at}/import?path=${format}`, {
      raw: Buffer.from(await archive.arrayBuffer()),
      headers: { "content-type": "application/octet-stream" },
    });
    t.match(imported, { status: 200, body: { entries: 1, bytes: 5 } });
    t.match(await control.call("GET", `${at}/files/content?path=${format}/index.js`), { text: "hello" });
    t.match(await control.call("GET", at), { body: { status: "stopped" } });
  }
  t.match(await control.call("POST", `${path}/import`, { raw: "nonsense" }), { status: 400 });
  t.match(await control.call("POST", `${path}/import?path=../x`, { raw: "nonsense" }), { status: 400 });
  const { body } = await control.call("GET", "/v1/audit?limit=1");
  t.match(body.items, [{ action: "sandbox.import" }]);
});

t.test("POST clone runs git in the sandbox, and says what git said when it fails", async (t) => {
  const { control, path, app } = await withSandbox(t);
  const repository = join(control.directory, "repository");
  mkdirSync(repository);
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@example.com", ...args], {
      cwd: repository,
      encoding: "utf8",
      stdio: "pipe",
    });
  git("init", "--quiet", "--initial-branch", "main");
  const commit = (text: string) => {
    writeFileSync(join(repository, "file"), text);
    git("add", ".");
    git("commit", "--quiet", "--message", text);
    return git("rev-parse", "HEAD").trim();
  };
  const first = commit("1");
  git("tag", "v1");
  const second = commit("2");
  const clone = (body: object) =>
    control.call("POST", `${path}/clone`, { body: { url: `file://${repository}`, ...body } });
  t.match(await clone({}), { status: 200, body: { path: "/home/sandbox/workspace/app", commit: second } });
  t.equal(readFileSync(join(app, "file"), "utf8"), "2");
  for (const ref of ["v1", first])
    t.match(await clone({ ref, path: `at-${ref}` }), { status: 200, body: { commit: first } });
  t.match(await clone({ ref: "main", path: "main" }), { body: { commit: second } });
  t.match(await clone({}), {
    status: 422,
    body: { error: { code: "exited", exit_code: 128, stderr: /not an empty directory/ } },
  });
  t.match(await clone({ ref: "none", path: "x" }), { status: 422 });
  for (const body of [{ url: "--upload-pack=x" }, { url: "ext::sh" }, { ref: "--x" }, { path: "../x" }]) {
    t.match(await clone(body), { status: 400 }, JSON.stringify(body));
  }
});
