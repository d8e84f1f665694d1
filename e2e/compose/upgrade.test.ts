/** An operator's upgrades, with real containers for all parts, while visitors go on. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { Load } from "../edge/load.ts";
import { missingPart } from "../parts/parts.ts";
import { ComposeStack } from "./stack.ts";

// Images are built first, and packages are fetched for them.
t.setTimeout(600_000);

const app = await readFile(join(import.meta.dirname, "..", "apps", "slow-answers.js"), "utf8");

t.test("docker compose up, again", { skip: missingPart("docker", "images", "compose", "root") }, async (t) => {
  const stack = await ComposeStack.prepare(t, { PREVIEW_ENTRYPOINT: "web", PREVIEW_TLS: "false" });
  await stack.compose(["up", "--detach", "--build", "--wait"]);
  const body = JSON.stringify({ ports: [3000], cmd: ["node", "-e", app] });
  const create = async () => {
    const created = await (await stack.api("/sandbox", { method: "POST", body })).json();
    const { id, previews } = created as { id: string; previews: { url: string }[] };
    return { id, host: new URL(previews[0]!.url).host };
  };
  const { host } = await create();
  const id = (service: string) => stack.compose(["ps", "--quiet", service]);
  const replaced = async (services: readonly string[], variables: Record<string, string>) => {
    const before = await Promise.all(services.map(id));
    const load = new Load(stack.ports.http, host, { pathOf: (count) => (count % 10 === 0 ? "/slow" : "/") });
    await load.until(100);
    // Not all at once: compose would stop all that is replaced before it starts any of it.
    for (const service of ["control", "gateway", "gateway-2", "traefik"]) {
      await stack.compose(["up", "--detach", "--wait", service], variables);
    }
    const during = load.answered;
    await load.until(during + 100);
    const failures = await load.end();
    const after = await Promise.all(services.map(id));
    return { load, failures, kept: services.filter((_, index) => before[index] === after[index]) };
  };

  await t.test("replaces both gateways, and no request fails", async (t) => {
    const control = await id("control");
    const { load, failures, kept } = await replaced(["gateway", "gateway-2"], { GATEWAY_WORKERS: "1" });
    t.strictSame(failures, []);
    t.strictSame(kept, [], "both are new ones");
    t.equal(await id("control"), control);
    t.ok(load.answered > 200, `${load.answered} requests`);
  });

  await t.test("replaces control, and no request to a running sandbox fails", async (t) => {
    const gateways = await Promise.all([id("gateway"), id("gateway-2")]);
    const variables = { GATEWAY_WORKERS: "1", SANDBOXD_AUDIT_RETENTION_DAYS: "30" };
    const { failures, kept } = await replaced(["control"], variables);
    t.strictSame(failures, []);
    t.strictSame(kept, [], "it is a new one");
    t.strictSame(await Promise.all([id("gateway"), id("gateway-2")]), gateways);
  });

  await t.test("wakes what is asked for while control is replaced", async (t) => {
    const sleeper = await create();
    await stack.api(`/v1/sandboxes/${sleeper.id}/stop`, { method: "POST", body: "{}" });
    const before = await id("control");
    const variables = { GATEWAY_WORKERS: "1", SANDBOXD_AUDIT_RETENTION_DAYS: "31" };
    const replacing = stack.compose(["up", "--detach", "--wait", "control"], variables);
    const isUp = () =>
      stack.api("/healthz").then(
        () => true,
        () => false,
      );
    while (await isUp());
    // Nobody is there who could wake it.
    const load = new Load(stack.ports.http, sleeper.host);
    await load.until(20);
    t.strictSame(await load.end(), []);
    await replacing;
    t.not(await id("control"), before);
  });

  await t.test("replaces all of them at once, and no request fails", async (t) => {
    const variables = { SANDBOXD_HOLD_SECONDS: "50" };
    const { failures, kept } = await replaced(["control", "gateway", "gateway-2"], variables);
    t.strictSame(failures, []);
    t.strictSame(kept, []);
  });
});
