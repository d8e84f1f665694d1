import t from "tap";
import { judgeConfiguration } from "./configuration.ts";

t.test("judgeConfiguration() names every value that cannot be read", async (t) => {
  t.match(judgeConfiguration([]), [{ status: "ok" }]);
  t.match(judgeConfiguration(["Cannot parse HTTP_PORT", "Cannot parse PREVIEW_TLS"]), [
    { status: "fail", message: /HTTP_PORT/, mend: /\.env/ },
    { status: "fail", message: /PREVIEW_TLS/ },
  ]);
});
