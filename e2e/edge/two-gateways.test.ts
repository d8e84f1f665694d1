import t from "tap";
import { eventually } from "../../control/certificates/testing/traefik.ts";
import { missingPart } from "../parts/parts.ts";
import { ask, askText, type Way } from "./client.ts";
import { startEdge } from "./edge.ts";
import { Load } from "./load.ts";
import { checksumOf, madeUpBytes } from "./made-up-bytes.ts";

const skip = missingPart("traefik");
const megabytes = 64 * 2 ** 20;

t.test("behind Traefik, a gateway leaves and no request fails", { skip }, async (t) => {
  const edge = await startEdge(t, { gateways: 2, gateway: { acceptGraceSeconds: 2, drainSeconds: 20 } });
  const way: Way = { ...edge.ways[0]!, protocol: "HTTP/1.1" };
  const load = new Load(edge.traefik.web, edge.host);
  await load.until(200);
  // Twice, so that each of the two has one.
  const downloads = await Promise.all([1, 2].map(() => ask(way, { path: `/bytes?count=${megabytes}` })));
  const [leaving, staying] = edge.gateways;
  const disposed = leaving!.gateway[Symbol.asyncDispose]();
  const sums = await Promise.all(downloads.map(({ body }) => checksumOf(body)));
  t.strictSame(sums, Array(2).fill(await checksumOf(madeUpBytes(megabytes))), "downloads under way go on to their end");
  await disposed;
  await load.until(load.answered + 200);
  t.strictSame(await load.end(), [], "not one of them failed");
  t.equal((await askText(way, { path: "/" })).status, 200);
  t.ok(staying!.gateway.table.loaded);
});

t.test("behind Traefik, a gateway that died is left out", { skip }, async (t) => {
  const edge = await startEdge(t, { gateways: 2 });
  const way: Way = { ...edge.ways[0]!, protocol: "HTTP/1.1" };
  await edge.gateways[0]!.gateway[Symbol.asyncDispose]();
  const answers = async () => Promise.all(Array.from({ length: 20 }, () => askText(way, { path: "/" })));
  await eventually(async () => (await answers()).every(({ status }) => status === 200));
  t.pass("every request is answered by the other one");
});
