import t from "tap";
import { sandboxEnvironment } from "./sandbox-environment.ts";

t.test("sandboxEnvironment() names every port, over the sandbox's own variables", async (t) => {
  const ports = [
    { port: 3000, upstreamPort: 21_000 },
    { port: 8080, upstreamPort: 21_001 },
  ];
  t.same(sandboxEnvironment({ PORT: "1", PORT_3000: "2", HOST: "::", COLOR: "blue" }, ports, "127.0.0.1"), {
    COLOR: "blue",
    PORT: "21000",
    PORT_3000: "21000",
    PORT_8080: "21001",
    HOST: "127.0.0.1",
  });
});
