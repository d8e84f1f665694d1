import t from "tap";
import { parseTcpTable, toListeners } from "./tcp-table.ts";

const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const row = (local: string, state: string, inode: string) =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0000 100 0 0 10 0\n`;

t.test("parseTcpTable() tells wildcard, loopback and Docker's resolver apart", async (t) => {
  const text = [
    head,
    row("00000000:0BB8", "0A", "11"),
    row("0100007F:0BB9", "0A", "12"),
    row("0B00007F:94D1", "0A", "13"),
    row("020011AC:0BBA", "0A", "14"),
    row("0100007F:1F90", "01", "15"),
  ].join("");
  t.same(parseTcpTable(text), [
    { port: 3000, reach: "any", inode: "11" },
    { port: 3001, reach: "loopback", inode: "12" },
    { port: 38097, reach: "resolver", inode: "13" },
    { port: 3002, reach: "any", inode: "14" },
  ]);
});

t.test("parseTcpTable() reads IPv6 and IPv4-mapped addresses", async (t) => {
  const text = [
    head,
    row("00000000000000000000000000000000:0BB8", "0A", "1"),
    row("00000000000000000000000001000000:0BB9", "0A", "2"),
    row("0000000000000000FFFF00000100007F:0BBA", "0A", "3"),
    row("0000000000000000FFFF0000020011AC:0BBB", "0A", "4"),
  ].join("");
  t.same(
    parseTcpTable(text).map(({ reach }) => reach),
    ["any", "loopback", "loopback", "any"],
  );
});

t.test("toListeners() sorts, and a port open to the outside is not loopback only", async (t) => {
  const socket = (port: number, reach: "any" | "loopback" | "resolver") => ({ port, reach, inode: "" });
  t.same(
    toListeners([
      socket(9000, "any"),
      socket(80, "any"),
      socket(80, "loopback"),
      socket(5432, "loopback"),
      socket(40000, "resolver"),
    ]),
    { reachable: [80, 9000], loopbackOnly: [5432] },
  );
});
