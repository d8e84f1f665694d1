import t from "tap";
import { contains, formatCidr, parseCidr } from "./cidr.ts";

const same = (text: string) => formatCidr(parseCidr(text)!);

t.test("parseCidr() takes addresses and blocks, and drops what is behind the prefix", async (t) => {
  t.equal(same("10.1.2.3"), "10.1.2.3");
  t.equal(same("10.1.2.3/8"), "10.0.0.0/8");
  t.equal(same("0.0.0.0/0"), "0.0.0.0/0");
  t.equal(same("FD00:0EC2::0254"), "fd00:ec2::254");
  t.equal(same("fe80::1/10"), "fe80::/10");
  t.equal(same("::"), "::");
  t.equal(same("::1"), "::1");
  t.equal(same("::/0"), "::/0");
  t.equal(same("2001:db8:0:0:1:0:0:1"), "2001:db8::1:0:0:1");
  t.equal(same("2001:0:0:1:0:0:0:1"), "2001:0:0:1::1");
  t.equal(same("1:2:3:4:5:6:7:8"), "1:2:3:4:5:6:7:8");
  t.equal(same("64:ff9b::169.254.0.0/112"), "64:ff9b::a9fe:0/112");
});

t.test("parseCidr() refuses what is no block", async (t) => {
  for (const text of ["", "10.1.2", "10.1.2.3/33", "::/129", "10.0.0.0/08", "10.0.0.0/8/8", "fe80::1%eth0", "host"]) {
    t.equal(parseCidr(text), undefined, text);
  }
});

t.test("contains() compares blocks of one family", async (t) => {
  const within = (outer: string, inner: string) => contains(parseCidr(outer)!, parseCidr(inner)!);
  t.ok(within("10.0.0.0/8", "10.1.0.0/16"));
  t.ok(within("10.1.0.0/16", "10.1.0.0/16"));
  t.ok(within("::/0", "fd00::1"));
  t.notOk(within("10.1.0.0/16", "10.0.0.0/8"));
  t.notOk(within("10.0.0.0/8", "11.0.0.0"));
  t.notOk(within("0.0.0.0/0", "fd00::1"));
});
