import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { formatCidr } from "./cidr.ts";
import { hostNameServers } from "./name-servers.ts";

t.test("hostNameServers() tells those that Docker hands on to containers", async (t) => {
  const directory = t.testdir();
  const file = join(directory, "resolv.conf");
  const stubbed = join(directory, "behind-stub.conf");
  const told = async () => (await hostNameServers(file, stubbed)).map(formatCidr);
  writeFileSync(
    file,
    "# nameserver 10.9.9.9\nnameserver 10.0.0.2\nnameserver fd00::53\nnameserver fe80::1%eth0\noptions x\n",
  );
  t.same(await told(), ["10.0.0.2", "fd00::53", "fe80::1"]);
  writeFileSync(file, "nameserver 127.0.0.53\n");
  t.same(await told(), []);
  writeFileSync(stubbed, "nameserver 192.168.1.1\n");
  t.same(await told(), ["192.168.1.1"], "behind systemd's stub");
});
