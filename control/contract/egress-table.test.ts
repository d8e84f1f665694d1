import t from "tap";
import { egressTable } from "./egress-table.ts";

t.test("egressTable() makes a name that nft takes", async (t) => {
  t.equal(egressTable("sandboxd"), "egress_sandboxd");
  t.equal(egressTable("my-net.1; drop"), "egress_my_net_1__drop");
});
