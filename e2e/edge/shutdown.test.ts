import { once } from "node:events";
import t from "tap";
import { eventually } from "../../control/certificates/testing/traefik.ts";
import { missingPart } from "../parts/parts.ts";
import { ask, askText, type Way } from "./client.ts";
import { startEdge } from "./edge.ts";
import { checksumOf, madeUpBytes } from "./made-up-bytes.ts";

const skip = missingPart("traefik");
const megabytes = 64 * 2 ** 20;

t.test(
  "Traefik that is told to end says so, takes requests for a while, and lets a download end",
  { skip },
  async (t) => {
    const { traefik, ways } = await startEdge(t);
    const way: Way = { ...ways[0]!, protocol: "HTTP/1.1" };
    const { body } = await ask(way, { path: `/bytes?count=${megabytes}` });
    await once(body, "readable");
    const stopped = traefik.stop();
    await eventually(async () => (await fetch(`http://127.0.0.1:${traefik.internal}/ping`)).status === 503);
    t.equal((await askText(way, { path: "/" })).status, 200, "while a load balancer learns of it");
    await eventually(() =>
      askText(way, { path: "/" }).then(
        () => false,
        () => true,
      ),
    );
    t.strictSame(await checksumOf(body), await checksumOf(madeUpBytes(megabytes)), "what was open goes on");
    t.equal(await stopped, 0);
  },
);
