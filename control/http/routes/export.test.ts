import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import t from "tap";
import { request } from "undici";
import { missingPart } from "../../../e2e/parts/parts.ts";
import { appBody, startControl } from "../../testing/control.ts";

const title = "GET export answers the app as a zip archive, or as another one, while the sandbox sleeps";
t.test(title, { skip: missingPart("python") }, async (t) => {
  const control = await startControl(t);
  const { body: sandbox } = await control.call("POST", "/v1/sandboxes", { body: appBody });
  const path = `/v1/sandboxes/${sandbox.id}`;
  await control.call("POST", `${path}/stop`);
  const app = join(control.directory, "workspaces", sandbox.id, "workspace", "app");
  writeFileSync(join(app, "index.js"), "hello");
  const get = async (query: string) => {
    const { statusCode, headers, body } = await request(`http://${control.plane.address}${path}/export${query}`);
    return { status: statusCode, headers, bytes: Buffer.from(await body.arrayBuffer()) };
  };
  const zip = await get("");
  t.match(zip, {
    status: 200,
    headers: { "content-type": "application/zip", "content-disposition": `attachment; filename="${sandbox.id}.zip"` },
  });
  const names = "import io, sys, zipfile; print(zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read())).namelist())";
  t.match(execFileSync("python3", ["-c", names], { input: zip.bytes, encoding: "utf8" }), "['index.js']");
  const tar = await get("?format=tar.zst&path=/home/sandbox&whole=true");
  const listed: string = execFileSync("tar", ["-t"], { input: zstdDecompressSync(tar.bytes), encoding: "utf8" });
  t.match(listed, "workspace/\nworkspace/app/\nworkspace/app/index.js\n");
  t.equal((await get("?format=rar")).status, 400);
  t.equal((await get("?path=none")).status, 404);
  t.match(await control.call("GET", path), { body: { status: "stopped" } });
});
