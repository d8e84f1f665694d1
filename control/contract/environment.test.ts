import t from "tap";
import { EnvironmentError, EnvironmentReader, formatAddress, isLoopback } from "./environment.ts";

function problems(variables: Record<string, string>, read: (reader: EnvironmentReader) => void): readonly string[] {
  const reader = new EnvironmentReader(variables);
  read(reader);
  try {
    reader.end();
  } catch (error) {
    return (error as EnvironmentError).problems;
  }
  return [];
}

t.test("raw() takes an empty value for an unset one, and SANDBOXED_X for SANDBOXD_X", async (t) => {
  const reader = new EnvironmentReader({
    A: "",
    SANDBOXD_B: "",
    SANDBOXED_B: "b",
    SANDBOXED_C: "",
    X: "x",
    SANDBOXED_X: "no",
  });
  t.equal(reader.raw("A"), undefined);
  t.equal(reader.raw("SANDBOXD_B"), "b");
  t.equal(reader.raw("SANDBOXD_C"), undefined);
  t.equal(reader.raw("X"), "x");
});

t.test("boolean() takes four words and no other", async (t) => {
  const reader = new EnvironmentReader({ A: "true", B: "1", C: "false", D: "0" });
  t.same(
    ["A", "B", "C", "D"].map((name) => reader.boolean(name, name > "B")),
    [true, true, false, false],
  );
  t.equal(reader.boolean("E", true), true);
  for (const bad of ["off", "on", "TRUE", "yes", " true"])
    t.equal(problems({ A: bad }, (read) => read.boolean("A", true)).length, 1, bad);
});

t.test("integer() takes plain decimals within its bounds and no other", async (t) => {
  const reader = new EnvironmentReader({ A: "0", B: "42" });
  t.equal(reader.integer("A", 1), 0);
  t.equal(reader.integer("B", 1, { least: 42, most: 42 }), 42);
  for (const bad of ["35m", "0x10", "1.5", "-1", "+1", "01", "1e3", " 1", "9007199254740993", "five"]) {
    t.equal(problems({ A: bad }, (read) => read.integer("A", 1)).length, 1, bad);
  }
  t.equal(problems({ A: "0" }, (read) => read.integer("A", 1, { least: 1 })).length, 1);
  t.match(
    problems({ A: "70000" }, (read) => read.integer("A", 1, { most: 65_535 })),
    [/A: expected a whole number from 0 to 65535, got "70000"/],
  );
});

t.test("address() takes a host and a port", async (t) => {
  const read = (text: string) => new EnvironmentReader({ A: text }).address("A", { host: "", port: -1 });
  t.same(read("127.0.0.1:9090"), { host: "127.0.0.1", port: 9090 });
  t.same(read("[::1]:0"), { host: "::1", port: 0 });
  t.same(read("gateway:8080"), { host: "gateway", port: 8080 });
  for (const bad of ["9090", ":9090", "a:65536", "a:01", "a:b", "::1:80", "[a]:80", "a:80 ", "http://a:80"]) {
    t.equal(problems({ A: bad }, (reader) => reader.address("A", { host: "", port: 0 })).length, 1, bad);
  }
});

t.test("domain() takes names and lowers their case", async (t) => {
  t.equal(new EnvironmentReader({ A: "Preview.Example.COM" }).domain("A", "x"), "preview.example.com");
  for (const bad of ["a..b", ".a", "a.", "-a", "a_b", "a b", "a:80", "*.a", "x".repeat(191)]) {
    t.equal(problems({ A: bad }, (read) => read.domain("A", "x")).length, 1, bad);
  }
});

t.test("networks() takes addresses and blocks", async (t) => {
  t.same(new EnvironmentReader({ A: "10.0.0.1, ::1,10.0.0.0/8,fd00::/8" }).networks("A", []), [
    "10.0.0.1",
    "::1",
    "10.0.0.0/8",
    "fd00::/8",
  ]);
  for (const bad of ["10.0.0.0/33", "::/129", "10.0.0", "a", "10.0.0.1,", "10.0.0.0/08", "10.0.0.0/8/8"]) {
    t.equal(problems({ A: bad }, (read) => read.networks("A", [])).length, 1, bad);
  }
});

t.test("end() names everything at once", async (t) => {
  const all = problems({ A: "x", B: "y" }, (read) => {
    read.integer("A", 0);
    read.choice("B", "c", ["c", "d"]);
    read.conflict("A and B do not go together");
  });
  t.same(all, [
    'Cannot parse A: expected a whole number of at least 0, got "x"',
    'Cannot parse B: expected c or d, got "y"',
    "A and B do not go together",
  ]);
  t.match(new EnvironmentError(all), { message: all.join("\n") });
});

t.test("isLoopback() and formatAddress()", async (t) => {
  for (const host of ["127.0.0.1", "127.9.9.9", "::1", "localhost"]) t.ok(isLoopback(host), host);
  for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.example.com", "example.com"]) t.notOk(isLoopback(host), host);
  t.equal(formatAddress({ host: "127.0.0.1", port: 1 }), "127.0.0.1:1");
  t.equal(formatAddress({ host: "::1", port: 1 }), "[::1]:1");
});
