import t from "tap";
import { freePort } from "../../gateway/hazards/test-gateway.ts";
import { readConfig } from "../config.ts";
import { egress, judgeEgress } from "./egress.ts";

t.test("judgeEgress() tells what control cannot reach, and that sandboxes can", async (t) => {
  const tried = [
    { url: "https://ca.example/directory", error: undefined },
    { url: "https://keys.example/jwks", error: "ENETUNREACH" },
  ];
  t.match(judgeEgress(tried, { engine: "docker" }), [
    { status: "ok", message: /ca\.example/ },
    { status: "fail", message: /keys\.example \(ENETUNREACH\)/, mend: "curl -sSI https://keys.example/jwks" },
    { status: "warn", message: /sandboxes may reach/ },
  ]);
  t.match(judgeEgress([], { engine: "process" }), [{ status: "ok" }]);
});

t.test("egress tries what control reads from elsewhere", async (t) => {
  const url = `http://127.0.0.1:${await freePort()}/jwks`;
  const variables = { SANDBOXD_ENV_FILE: "/none", SANDBOXD_ENGINE: "process", SANDBOXD_PREVIEW_JWKS_URL: url };
  const verdicts = await egress.run(readConfig({ dotEnvFile: "/none" }, variables), AbortSignal.timeout(3000));
  t.match(verdicts, [{ status: "fail", message: /ECONNREFUSED/ }]);
});
