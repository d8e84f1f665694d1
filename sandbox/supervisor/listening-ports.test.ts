import t from "tap";
import { parsePorts } from "./listening-ports.ts";

t.test("parsePorts() tells which ports are open, and which to this machine alone", async (t) => {
  const tables = `  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000
   1: 00000000:0BB8 00000000:0000 0A 00000000:00000000
   2: 0100007F:0BB8 00000000:0000 0A 00000000:00000000
   3: 0100007F:9999 0100007F:1F90 01 00000000:00000000
  sl  local_address                         remote_address
   0: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A
   1: 00000000000000000000000000000000:1F92 00000000000000000000000000000000:0000 0A`;
  t.strictSame(parsePorts(tables), [
    { port: 3000, loopbackOnly: false },
    { port: 8080, loopbackOnly: true },
    { port: 8081, loopbackOnly: true },
    { port: 8082, loopbackOnly: false },
  ]);
  t.strictSame(parsePorts("\n"), []);
});
