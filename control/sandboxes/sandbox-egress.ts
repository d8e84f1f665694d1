import { type Destination, parseDestination } from "../egress/destination.ts";
import type { EngineState } from "../engines/sandbox-engine.ts";
import type { Collaborators } from "./collaborators.ts";
import type { Sandbox } from "./sandbox.ts";

/** Has the rules know a sandbox that is up. */
export async function openEgress(
  { egress }: Collaborators,
  sandbox: Sandbox,
  { addresses }: EngineState,
): Promise<void> {
  await egress.open(sandbox.id, addresses, destinationsOf(sandbox));
}

/** What it may connect to besides the public internet. */
export function destinationsOf({ egressAllow }: Pick<Sandbox, "egressAllow">): readonly Destination[] {
  return egressAllow.flatMap((text) => parseDestination(text) ?? []);
}

/** Has the rules forget what is asleep, removed or broken. Returns what ends it. */
export function followEgress({ egress, records }: Collaborators): () => void {
  const follow: Parameters<typeof records.on<"change">>[1] = (id, sandbox) => {
    if (sandbox === undefined || sandbox.status === "stopped" || sandbox.status === "error") egress.end(id);
    if (sandbox === undefined) egress.forget(id);
  };
  records.on("change", follow);
  return () => records.off("change", follow);
}
