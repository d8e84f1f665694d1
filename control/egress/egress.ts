import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Destination } from "./destination.ts";
import { nothingCounted } from "./egress-tables.ts";
import type { Counts } from "./forbidden.ts";

/** What holds sandboxes back from addresses that are none of their business. */
export interface Egress {
  /** Resolves when sandboxes may start. Throws EngineError `start_failed` saying what is in the way. */
  ready(): Promise<void>;
  /** A sandbox is up at these addresses. Resolves once its allow list is in force. */
  open(id: SandboxId, addresses: readonly string[], allow: readonly Destination[]): Promise<void>;
  /** Another allow list holds for a sandbox from now on, if it is up. */
  allow(id: SandboxId, allow: readonly Destination[]): Promise<void>;
  /** A sandbox has ended: whoever gets its addresses next gets nothing of what it was allowed. */
  end(id: SandboxId): void;
  /** A sandbox is gone for good, and what was counted of it. */
  forget(id: SandboxId): void;
  /** Looks whether all is as it should be and mends it. Called again and again. */
  turn(): Promise<void>;
  status(): EgressStatus;
  /** What was blocked of a sandbox since control knows it, and where the names on its list lead. */
  of(id: SandboxId): SandboxEgress;
  /** Resolves when the change in progress is done. The rules stay, as sandboxes do. */
  close(): Promise<void>;
}

export type EgressStatus = {
  readonly mode: "enforce" | "observe" | "off";
  /** Whether the rules are in the kernel, by the last look. */
  readonly installed: boolean;
  /** Why not; null when all is well. */
  readonly problem: string | null;
  readonly table: string | null;
  readonly bridge: string | null;
  readonly subnets: readonly string[];
  readonly nameServers: readonly string[];
  /** How often somebody else took rules away or changed them. */
  readonly reinstalls: number;
  /** Epoch milliseconds. */
  readonly lastReinstallAt: number | null;
  /** Packets, since control runs. To observe is to count what would have been blocked. */
  readonly blocked: Counts;
};

export type SandboxEgress = {
  readonly blocked: Counts;
  readonly names: readonly {
    readonly name: string;
    readonly addresses: readonly { readonly address: string; readonly until: number }[];
  }[];
};

/** `SANDBOXD_EGRESS=off`: nothing is held back. */
export class NoEgress implements Egress {
  async ready(): Promise<void> {}
  async open(..._: Parameters<Egress["open"]>): Promise<void> {}
  async allow(..._: Parameters<Egress["allow"]>): Promise<void> {}
  end(): void {}
  forget(): void {}
  async turn(): Promise<void> {}
  async close(): Promise<void> {}

  status(): EgressStatus {
    const nowhere = { table: null, bridge: null, subnets: [], nameServers: [] };
    const never = { reinstalls: 0, lastReinstallAt: null, blocked: nothingCounted };
    return { mode: "off", installed: false, problem: null, ...nowhere, ...never };
  }

  of(): SandboxEgress {
    return { blocked: nothingCounted, names: [] };
  }
}
