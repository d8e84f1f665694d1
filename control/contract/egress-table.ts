/** What the tables of the egress rules are called, in the inet and in the bridge family: each network has its own. */
export function egressTable(network: string): string {
  return `egress_${network.replaceAll(/[^A-Za-z0-9_]/g, "_")}`;
}
