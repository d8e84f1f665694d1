import t from "tap";
import { formatDestination } from "../egress/destination.ts";
import { type Egress, NoEgress } from "../egress/egress.ts";
import { EngineError } from "../engines/sandbox-engine.ts";
import { fixture, policy, running } from "../testing/fixture.ts";
import { createSandbox, newSandboxId } from "./create-sandbox.ts";
import { patchSandbox } from "./patch-sandbox.ts";
import { reconcile } from "./reconcile.ts";
import { removeSandbox } from "./remove-sandbox.ts";
import { followEgress } from "./sandbox-egress.ts";
import { stopSandbox } from "./stop-sandbox.ts";

/** Rules that note what they are told. */
class ToldEgress extends NoEgress {
  readonly told: string[] = [];
  refusal: EngineError | undefined;

  override async ready(): Promise<void> {
    if (this.refusal !== undefined) throw this.refusal;
  }
  override async open(...[, addresses, allow]: Parameters<Egress["open"]>): Promise<void> {
    this.told.push(["open", ...addresses, ...allow.map(formatDestination)].join(" "));
  }
  override async allow(...[, allow]: Parameters<Egress["allow"]>): Promise<void> {
    this.told.push(["allow", ...allow.map(formatDestination)].join(" "));
  }
  override end(): void {
    this.told.push("end");
  }
  override forget(): void {
    this.told.push("forget");
  }
}

function setUp(t: Parameters<typeof fixture>[0]) {
  const it = fixture(t);
  const egress = new ToldEgress();
  Object.assign(it.use, { egress });
  t.teardown(followEgress(it.use));
  return { ...it, egress };
}

t.test("a sandbox does not start without its rules, and nothing of it is left behind", async (t) => {
  const it = setUp(t);
  it.egress.refusal = new EngineError(
    "start_failed",
    "Sandboxes do not start without egress rules: nft is not installed",
  );
  const { running } = await createSandbox(it.use, newSandboxId(), policy, { keepFailed: false });
  await t.rejects(running, { code: "start_failed", message: /nft is not installed/ });
  t.notOk(it.engine.calls.includes("running"));
  t.equal(it.use.store.all().length, 0);
});

t.test("the rules know a sandbox while it is up, and forget it when it sleeps or goes", async (t) => {
  const it = setUp(t);
  const { id } = await running(it, { egressAllow: ["10.0.0.0/8"] });
  t.same(it.egress.told.splice(0), ["open 127.0.0.1 10.0.0.0/8"]);
  await patchSandbox(it.use, id, () => ({ egressAllow: ["db.internal:5432"] }), {});
  await patchSandbox(it.use, id, () => ({ visibility: "private" }), {});
  t.same(it.egress.told.splice(0), ["allow db.internal:5432"]);
  await stopSandbox(it.use, id, { mode: "pause", cause: "operator", drain: "force" });
  t.same(it.egress.told.splice(0), [], "a paused one keeps its addresses");
  await stopSandbox(it.use, id, { mode: "stop", cause: "operator", drain: "force" });
  t.same(it.egress.told.splice(0), ["end"]);
  await removeSandbox(it.use, id, "all");
  t.same(it.egress.told.splice(0), ["end", "forget"]);
});

t.test("the rules know what ran before control did", async (t) => {
  const it = setUp(t);
  await running(it, { egressAllow: ["10.0.0.0/8"] });
  it.egress.told.splice(0);
  await reconcile(it.use);
  t.same(it.egress.told, ["open 127.0.0.1 10.0.0.0/8"]);
});
