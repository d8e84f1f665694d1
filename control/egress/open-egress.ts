import type { Logger } from "pino";
import { egressTable } from "#contract/egress-table.ts";
import type { SandboxEngine } from "../engines/sandbox-engine.ts";
import { systemLookUp } from "./allowed-names.ts";
import { type Egress, NoEgress } from "./egress.ts";
import type { EgressConfig } from "./egress-config.ts";
import { EgressGuard } from "./egress-guard.ts";
import { hostNameServers } from "./name-servers.ts";
import { Nft } from "./nft.ts";

export type OpenEgressOptions = {
  readonly config: EgressConfig;
  /** Of the sandboxes' network: each has a table of its own. */
  readonly network: string;
  /** Where the programs of this machine are looked for. */
  readonly path: string;
  readonly engine: SandboxEngine;
  readonly logger: Logger;
};

/** The egress rules that the configuration asks for. */
export function openEgress({ config, network, path, engine, logger }: OpenEgressOptions): Egress {
  const { mode, nameServers } = config;
  if (mode === "off") return new NoEgress();
  return new EgressGuard({
    config: { ...config, mode },
    table: egressTable(network),
    nft: new Nft(["nft"], path),
    network: async () => {
      const found = await engine.network();
      if (found === null) throw new Error("This engine's sandboxes have no network of their own");
      return found;
    },
    nameServers: nameServers === null ? hostNameServers : async () => nameServers,
    lookUp: systemLookUp(),
    logger,
    now: Date.now,
  });
}
