import t from "tap";
import { probeOpenFiles } from "./open-file-limit.ts";

/** A daemon whose own hard limit is this, and whose images have a shell or not. */
function daemon(limit: number, { output = `${limit}\r\n` } = {}) {
  const made: string[] = [];
  const createContainer = async ({ HostConfig }: { HostConfig?: { Ulimits?: { Hard: number }[] } }) => {
    const id = String(made.push("made"));
    const wanted = HostConfig?.Ulimits?.[0]?.Hard ?? 0;
    return {
      id,
      start: async () => {
        if (wanted <= limit) return;
        throw Object.assign(new Error("refused"), {
          statusCode: 500,
          json: { message: "OCI runtime create failed: error setting rlimit type 7: operation not permitted" },
        });
      },
      wait: async () => {},
      logs: async () => Buffer.from(output),
    };
  };
  return { createContainer, getContainer: () => ({ remove: async () => made.pop() }), made };
}

const options = { image: "sandbox", labels: {} };

t.test("probeOpenFiles() is what is wanted where the daemon can give it", async (t) => {
  const able = daemon(1_048_576);
  t.equal(await probeOpenFiles(able as never, options), 65_536);
  t.same(able.made, []);
});

t.test("probeOpenFiles() is the daemon's own limit where that is lower", async (t) => {
  const lower = daemon(20_000);
  t.equal(await probeOpenFiles(lower as never, options), 20_000);
  t.same(lower.made, [], "no helper is left");
});

t.test("probeOpenFiles() is undefined where nobody can tell", async (t) => {
  t.equal(await probeOpenFiles(daemon(20_000, { output: "sh: not found" }) as never, options), undefined);
});
