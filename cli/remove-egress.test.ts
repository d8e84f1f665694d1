import { randomUUID } from "node:crypto";
import t from "tap";
import { egressTable } from "#contract/egress-table.ts";
import { run } from "../control/egress/testing/namespace.ts";
import { missingPart } from "../e2e/parts/parts.ts";
import { removeEgress } from "./remove-egress.ts";

t.test(
  "removeEgress() takes the tables of one network, and is done when there are none",
  { skip: missingPart("nftables") },
  async (t) => {
    const network = `sandboxd-test-${randomUUID().slice(0, 8)}`;
    const config = { network, path: process.env.PATH! };
    const table = egressTable(network);
    await run("nft", `add table inet ${table}; add chain inet ${table} forward`);
    t.match(await run("nft", "list", "tables"), table);
    t.match(await removeEgress(config), { text: /are gone/ });
    t.notMatch(await run("nft", "list", "tables"), table);
    t.match(await removeEgress(config), { text: /are gone/ });
  },
);

t.test("removeEgress() says why it cannot", async (t) => {
  const told = await removeEgress({ network: "x".repeat(300), path: "" });
  t.match(told, { problem: /^the tables egress_x+ cannot be removed: ./ });
});
