import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";

const root = join(import.meta.dirname, "..", "..");

/** The sources of a part that run in production, by path. */
function sources(part: string): ReadonlyMap<string, string> {
  const names = readdirSync(join(root, part), { recursive: true, encoding: "utf8" });
  const paths = names.filter(
    (name) => /\.(ts|mjs|js)$/.test(name) && !/\.test\.|testing\/|hazards\/|fixtures\//.test(name),
  );
  return new Map(paths.map((name) => [join(part, name), readFileSync(join(root, part, name), "utf8")]));
}

t.test("no process hides what nobody caught", async (t) => {
  const hiding = /uncaughtException|unhandledRejection|setUncaughtExceptionCaptureCallback|unhandled-rejections/;
  for (const part of ["gateway", "control"]) {
    const files = sources(part);
    t.ok(files.has(join(part, "main.ts")), `${part} is looked at`);
    t.strictSame(
      [...files].filter(([, text]) => hiding.test(text)).map(([path]) => path),
      [],
    );
  }
});

/** A gateway in a process of its own, in which this statement runs once it listens. */
function gatewayThat(statement: string): Promise<{ code: number | null; stderr: string }> {
  const program = `
    import { pino } from "pino";
    import { readConfig } from "${root}/gateway/config.ts";
    import { openGateway } from "${root}/gateway/gateway.ts";
    const config = { ...readConfig(), bind: { host: "127.0.0.1", port: 0 }, controlSocket: "/nonexistent/control.sock" };
    const gateway = await openGateway(config, pino({ level: "silent" }));
    console.log("listening");
    ${statement}
  `;
  const options = { env: { PATH: process.env.PATH, SANDBOXD_ENV_FILE: "/nonexistent" }, timeout: 30_000, cwd: root };
  return new Promise((resolve) => {
    execFile(process.execPath, ["--input-type=module-typescript", "-e", program], options, (error, stdout, stderr) => {
      if (stdout !== "listening\n") throw new Error(`it never listened: ${stderr}`);
      resolve({ code: error === null ? 0 : (error.code as unknown as number), stderr });
    });
  });
}

t.test("a throw that nobody caught ends the gateway, and is seen", async (t) => {
  for (const statement of [
    'setTimeout(() => { throw new Error("thrown on purpose"); });',
    'void Promise.reject(new Error("thrown on purpose"));',
    'gateway.table.on("route", () => { throw new Error("thrown on purpose"); }); gateway.table.emit("route", "x");',
  ]) {
    const { code, stderr } = await gatewayThat(statement);
    t.equal(code, 1, statement);
    t.match(stderr, "thrown on purpose");
  }
});

t.test("a gateway in which nothing throws lives on until it is told to end", async (t) => {
  const { code } = await gatewayThat(
    "setTimeout(async () => { await gateway[Symbol.asyncDispose](); process.exit(); }, 50);",
  );
  t.equal(code, 0);
});
