import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import t, { type Test } from "tap";
import { request } from "undici";
import { appBody, startControl } from "../../testing/control.ts";

async function withSandbox(t: Test) {
  const control = await startControl(t);
  const { body: sandbox } = await control.call("POST", "/v1/sandboxes", { body: appBody });
  const files = `/v1/sandboxes/${sandbox.id}/files`;
  const query = (path: string, more = "") => `?path=${encodeURIComponent(path)}${more}`;
  const home = join(control.directory, "workspaces", sandbox.id);
  const app = join(home, "workspace", "app");
  const content = (path: string) => `${files}/content${query(path)}`;
  const put = (path: string, raw: string | Buffer, headers = {}) =>
    control.call("PUT", content(path), { raw, headers: { "content-type": "application/octet-stream", ...headers } });
  const get = (path: string, headers = {}) => control.call("GET", content(path), { headers });
  const list = (path: string, more = "") => control.call("GET", `${files}${query(path, more)}`);
  return { control, sandbox, files, query, home, app, content, put, get, list };
}

t.test("PUT content puts bytes in place and GET answers them, asleep or paused", async (t) => {
  const { control, sandbox, put, get, app } = await withSandbox(t);
  const bytes = Buffer.from([0, 255, 10, 13, 128]);
  for (const mode of ["stop", "pause"]) {
    await control.call("POST", `/v1/sandboxes/${sandbox.id}/wake`);
    await control.call("POST", `/v1/sandboxes/${sandbox.id}/stop`, { body: { mode } });
    const written = await put(`a/b/${mode}.bin`, bytes);
    t.match(written, { status: 200, body: { path: `a/b/${mode}.bin`, size: 5, etag: /^"[0-9a-z-]+"$/ } });
    t.same(readFileSync(join(app, "a/b", `${mode}.bin`)), bytes);
    const read = await get(`a/b/${mode}.bin`);
    t.match(read, {
      status: 200,
      headers: { etag: written.body.etag, "content-length": "5", "x-content-type-options": "nosniff" },
    });
    t.match(await control.call("GET", `/v1/sandboxes/${sandbox.id}`), { body: { status: /stopped|paused/ } });
  }
  t.match(await get("/home/sandbox/workspace/app/a/b/stop.bin"), { status: 200 });
  t.match(await get("a/b"), { status: 404 });
  t.match(await get("a/none"), { status: 404, body: { error: { code: "not_found" } } });
});

t.test("PUT content replaces a file whole, keeps its mode, and leaves nothing beside it", async (t) => {
  const { put, app, home } = await withSandbox(t);
  writeFileSync(join(app, "run.sh"), "old");
  chmodSync(join(app, "run.sh"), 0o4751);
  const before = statSync(join(app, "run.sh"));
  await put("run.sh", "new");
  const after = statSync(join(app, "run.sh"));
  t.equal(after.mode & 0o7777, 0o751);
  t.not(after.ino, before.ino, "another file took its name");
  t.equal(after.uid, statSync(home).uid);
  t.same(
    readdirSync(app).filter((name) => name.startsWith(".sandboxd-")),
    [],
  );
});

t.test("PUT content heeds If-Match and If-None-Match", async (t) => {
  const { put, get } = await withSandbox(t);
  t.match(await put("a", "1", { "if-match": "*" }), { status: 412 });
  const first = (await put("a", "1", { "if-none-match": "*" })).headers.etag as string;
  t.match(await put("a", "2", { "if-none-match": "*" }), {
    status: 412,
    body: { error: { code: "precondition_failed" } },
  });
  const both = await Promise.all([put("a", "2", { "if-match": first }), put("a", "3", { "if-match": first })]);
  t.same(both.map(({ status }) => status).sort(), [200, 412], "one of two wins");
  t.match(await put("a", "4", { "if-match": first }), { status: 412 });
  const { headers } = await get("a");
  t.match(await put("a", "5", { "if-match": `"x", ${headers.etag}` }), { status: 200 });
  t.match(await get("a", { "if-none-match": (await get("a")).headers.etag }), { status: 304, text: "" });
  t.match(await get("a", { "if-none-match": first }), { status: 200, text: "5" });
});

t.test("PUT content refuses more than 25 MiB, told or not, and nothing is left of it", async (t) => {
  const { control, content, put, app } = await withSandbox(t);
  const large = Buffer.alloc(25 * 2 ** 20 + 1);
  t.match(await put("large", large), { status: 413, body: { error: { code: "too_large" } } });
  const chunked = await request(`http://${control.plane.address}${content("large")}`, {
    method: "PUT",
    body: Readable.from(Array.from({ length: 26 }, () => large.subarray(0, 2 ** 20))),
  });
  t.equal(chunked.statusCode, 413);
  await chunked.body.dump();
  t.same(readdirSync(app), []);
  t.match(await put("exact", large.subarray(1)), { status: 200, body: { size: 25 * 2 ** 20 } });
});

t.test("a caller who breaks off an upload leaves the file as it was", async (t) => {
  const { control, content, put, get, app } = await withSandbox(t);
  await put("a", "old");
  const abort = new AbortController();
  const half = async function* () {
    yield Buffer.from("new");
    abort.abort();
  };
  const body = Readable.from(half());
  await t.rejects(
    request(`http://${control.plane.address}${content("a")}`, { method: "PUT", body, signal: abort.signal }),
  );
  // The caller is gone before what it sent is.
  while (readdirSync(app).length > 1) await setImmediate();
  t.equal(readFileSync(join(app, "a"), "utf8"), "old");
  t.match(await get("a"), { status: 200, text: "old" });
});

t.test("GET content answers ranges, and files beyond 2 MiB by them alone", async (t) => {
  const { control, get, app, content } = await withSandbox(t);
  const large = Buffer.from(Array.from({ length: 300_000 }, (_, index) => `${index}`.padStart(10)).join(""));
  writeFileSync(join(app, "large"), large);
  t.match(await get("large"), { status: 413, body: { error: { code: "too_large" } } });
  t.match(await control.call("HEAD", content("large")), {
    status: 200,
    headers: { "content-length": "3000000" },
    text: "",
  });
  const part = await get("large", { range: "bytes=15-24" });
  t.match(part, {
    status: 206,
    text: "    1         2".slice(0, 10),
    headers: { "content-range": "bytes 15-24/3000000" },
  });
  const rest = await request(`http://${control.plane.address}${content("large")}`, { headers: { range: "bytes=5-" } });
  const hash = createHash("sha256")
    .update(Buffer.from(await rest.body.arrayBuffer()))
    .digest("hex");
  t.equal(hash, createHash("sha256").update(large.subarray(5)).digest("hex"));
  t.match(await get("large", { range: "bytes=3000000-" }), {
    status: 416,
    headers: { "content-range": "bytes */3000000" },
  });
  t.match(await get("large", { range: "bytes=0-1", "if-range": '"another"' }), { status: 413 });
  writeFileSync(join(app, "empty"), "");
  t.match(await get("empty"), { status: 200, text: "", headers: { "content-length": "0" } });
});

t.test("a file that becomes shorter while it is read breaks the answer off", async (t) => {
  const { control, app, content } = await withSandbox(t);
  writeFileSync(join(app, "large"), Buffer.alloc(64 * 2 ** 20));
  const { body } = await request(`http://${control.plane.address}${content("large")}`, {
    headers: { range: "bytes=0-" },
  });
  body.once("data", () => truncateSync(join(app, "large"), 10));
  await t.rejects(body.text());
});

t.test("GET files lists a directory with what each entry is", async (t) => {
  const { list, app } = await withSandbox(t);
  mkdirSync(join(app, "src/deep"), { recursive: true });
  mkdirSync(join(app, "node_modules/x"), { recursive: true });
  writeFileSync(join(app, "src/index.js"), "12345", { mode: 0o640 });
  writeFileSync(join(app, "src/deep/a"), "");
  symlinkSync("/etc/passwd", join(app, "out"));
  execFileSync("mkfifo", [join(app, "pipe")]);
  writeFileSync(Buffer.concat([Buffer.from(`${app}/`), Buffer.from([0xff, 0x61])]), "");
  const { body } = await list("");
  t.match(
    body.entries.map(({ path, type }: { path: string; type: string }) => `${type} ${path}`),
    ["dir node_modules", "symlink out", "other pipe", "dir src", "file \ufffda"],
  );
  t.match(body.entries[1], { target: "/etc/passwd" });
  t.match(body.entries[4], { name_base64: "/2E=" });
  const src = await list("src");
  t.match(src.body, { path: "src", recursive: false, truncated: false });
  t.match(src.body.entries[1], { path: "src/index.js", name: "index.js", size: 5, mode: "0640", mtime: /Z$/ });
  const all = await list("/home/sandbox/workspace", "&recursive=true");
  const paths = all.body.entries.map(({ path }: { path: string }) => path);
  t.ok(paths.includes("/home/sandbox/workspace/app/src/deep/a"));
  t.notOk(
    paths.some((path: string) => path.includes("node_modules")),
    "what was installed is passed over",
  );
  t.match(await list("none"), { status: 404 });
  t.match(await list("src/index.js"), { status: 404 });
});

t.test("GET files cuts a huge directory", async (t) => {
  const { list, app } = await withSandbox(t);
  for (let count = 0; count < 10_005; count++) writeFileSync(join(app, `f${count}`), "");
  const { body } = await list("");
  t.same([body.entries.length, body.truncated], [10_000, true]);
});

t.test("DELETE removes a file, a link as itself, and a full directory only when told to", async (t) => {
  const { control, files, query, app, home } = await withSandbox(t);
  const remove = (path: string, more = "") => control.call("DELETE", `${files}${query(path, more)}`);
  writeFileSync(join(home, "kept"), "");
  mkdirSync(join(app, "dir/sub/deep"), { recursive: true });
  writeFileSync(join(app, "dir/sub/deep/file"), "");
  symlinkSync(home, join(app, "dir/sub/link"));
  symlinkSync("/home/sandbox/kept", join(app, "link"));
  t.match(await remove("link"), { status: 204 });
  t.match(await remove("dir"), { status: 409, body: { error: { code: "conflict" } } });
  t.match(await remove("dir", "&recursive=true"), { status: 204 });
  t.match(await remove("dir", "&recursive=true"), { status: 404 });
  t.match(await remove("/home/sandbox"), { status: 400 });
  t.same([existsSync(join(app, "dir")), existsSync(join(home, "kept"))], [false, true]);
});

t.test("DELETE removes what is deeper than any path may be long", async (t) => {
  const { control, files, query, app } = await withSandbox(t);
  execFileSync(
    process.execPath,
    ["-e", 'for (let n = 0; n < 500; n++) { fs.mkdirSync("0123456789"); process.chdir("0123456789"); }'],
    { cwd: app },
  );
  const top = `${files}${query("0123456789", "&recursive=true")}`;
  t.match(await control.call("DELETE", top), { status: 204 });
  t.same(readdirSync(app), []);
});

t.test("POST move and mkdir", async (t) => {
  const { control, files, put, get, app, home } = await withSandbox(t);
  const post = (call: string, body: object) => control.call("POST", `${files}/${call}`, { body });
  await put("a", "1");
  await put("b", "2");
  t.match(await post("move", { from: "a", to: "b" }), { status: 409 });
  t.match(await post("move", { from: "a", to: "b", overwrite: true }), { status: 200, body: { path: "b" } });
  t.match(await post("move", { from: "b", to: "/home/sandbox/x/y" }), { status: 200 });
  t.equal(readFileSync(join(home, "x/y"), "utf8"), "1");
  t.match(await post("move", { from: "none", to: "z" }), { status: 404 });
  t.match(await post("mkdir", { path: "d/e" }), { status: 201, body: { path: "d/e" } });
  t.match(await post("mkdir", { path: "d/e" }), { status: 200 });
  t.equal(statSync(join(app, "d/e")).uid, statSync(home).uid);
  t.match(await post("move", { from: "d", to: "d/e/f" }), { status: 400 });
  await put("file", "");
  t.match(await post("mkdir", { path: "file" }), { status: 409 });
  t.match(await get("d/e"), { status: 404 });
});

t.test("PUT files writes where everything is read, and knows the paths of earlier clients", async (t) => {
  const { control, files, query, get, app, home } = await withSandbox(t);
  const raw = "# rules";
  const putThere = (path: string) => control.call("PUT", `${files}${query(path)}`, { raw });
  t.match(await putThere("AGENTS.md"), { status: 200, body: { path: "AGENTS.md", size: 7 } });
  t.equal((await get("AGENTS.md")).text, raw);
  t.match(await putThere("workspace/app/src/a.js"), { status: 200 });
  t.equal(readFileSync(join(app, "src/a.js"), "utf8"), raw);
  t.match(await putThere("/home/sandbox/.profile"), { status: 200 });
  t.equal(readFileSync(join(home, ".profile"), "utf8"), raw);
});

t.test("paths that lead up or are none are refused, and the audit log has no names", async (t) => {
  const { control, put, get, list, files, query } = await withSandbox(t);
  for (const path of ["../x", "a/../../x", "/home/sandbox/../x", "a\0b", "x".repeat(5000), "..", "a/"]) {
    t.match(await put(path, "x"), { status: 400 }, path.slice(0, 30));
  }
  for (const path of ["../x", "a\0b"]) t.match(await get(path), { status: 400 });
  t.match(await get(`${"x".repeat(300)}`), { status: 400 });
  t.match(await list(".."), { status: 400 });
  await put("very-secret", "very-secret");
  await control.call("DELETE", `${files}${query("very-secret")}`);
  const { body, text } = await control.call("GET", "/v1/audit?limit=2");
  t.notMatch(text, "very-secret");
  t.match(body.items, [{ action: "file.remove" }, { action: "file.write" }]);
});
