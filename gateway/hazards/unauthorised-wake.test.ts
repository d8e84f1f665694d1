import t from "tap";
import { navigation, startPrivatePreview, statusOf } from "./private-preview.ts";
import { domain, exchangeBytes, newId } from "./test-gateway.ts";
import { claimsFor, nowSeconds, token } from "./test-tokens.ts";

const asleep = { status: "stopped", endpoints: [] } as const;

t.test("whoever is turned away causes no wake and no call to control", async (t) => {
  const preview = await startPrivatePreview(t, { route: asleep });
  const before = preview.control.calls.filter((call) => call === "wake" || call === "listeners").length;
  const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  const attempts = [
    ["", "GET / HTTP/1.1"],
    [navigation, "GET / HTTP/1.1"],
    [upgrade, "GET / HTTP/1.1"],
    ["Content-Length: 0\r\n", "POST /wake HTTP/1.1"],
    ["Content-Length: 5\r\nExpect: 100-continue\r\n", "POST / HTTP/1.1"],
    ["Access-Control-Request-Method: PUT\r\nOrigin: https://x.example\r\n", "OPTIONS / HTTP/1.1"],
    ["Accept: text/event-stream\r\n", "GET /.well-known/sandboxd/state HTTP/1.1"],
    ["X-Preview-Token: rubbish\r\n", "GET / HTTP/1.1"],
    [`X-Preview-Token: ${token(claimsFor(newId()))}\r\n`, "GET / HTTP/1.1"],
    [`X-Preview-Token: ${token(claimsFor(preview.id, { exp: nowSeconds() - 5 }))}\r\n`, "GET / HTTP/1.1"],
    [`X-Preview-Token: shr_${preview.id.toLowerCase()}_${"A".repeat(43)}\r\n`, "GET / HTTP/1.1"],
    ["Cookie: sandboxd-session=x\r\n", "GET / HTTP/1.1"],
  ] as const;
  for (const [lines, line] of attempts) t.equal(statusOf(await preview.ask(lines, line)), 401, `${line} ${lines}`);
  t.equal(preview.control.wakes.length, 0);
  t.equal(preview.control.shareRequests.length, 0, "a share's token that we never made is not asked about");
  t.equal(preview.control.calls.filter((call) => call === "wake" || call === "listeners").length, before);
});

t.test("whoever merely looks at a link wakes nothing, spends nothing and gets no session", async (t) => {
  const preview = await startPrivatePreview(t, { route: asleep });
  const line = (method: string) => `${method} /?preview_token=${token(claimsFor(preview.id))} HTTP/1.1`;
  const lookers: readonly (readonly [string, string])[] = [
    ["User-Agent: Slackbot-LinkExpanding 1.0\r\n", "GET"],
    ["User-Agent: Googlebot/2.1\r\nAccept: text/html\r\n", "GET"],
    ["User-Agent: UptimeRobot/2.0\r\n", "GET"],
    [`Sec-Purpose: prefetch\r\n${navigation}`, "GET"],
    ["", "HEAD"],
    [navigation, "HEAD"],
  ];
  for (const [lines, method] of lookers) {
    const answer = await preview.ask(lines, line(method));
    t.equal(statusOf(answer), 200, lines || method);
    t.match(answer, /X-Sandbox-Gateway: redeem\r\n/, lines || method);
    t.notMatch(answer, /set-cookie/i);
  }
  t.equal(preview.control.wakes.length, 0);
});

t.test("who has a credential wakes it once", async (t) => {
  const preview = await startPrivatePreview(t, { route: asleep });
  preview.control.wake = () => ({ outcome: "refused", refusal: { code: "exited", message: "m" } });
  const answer = await preview.ask(`X-Preview-Token: ${token(claimsFor(preview.id))}\r\n`);
  t.equal(statusOf(answer), 502);
  t.same(preview.control.wakeRequests, [{ class: "api", credential: "header" }]);
});

t.test("unknown sandboxes are refused from memory as private ones are", async (t) => {
  const preview = await startPrivatePreview(t, { route: asleep });
  const host = `s-${newId().toLowerCase()}-3000.preview.${domain}`;
  const answer = await exchangeBytes(
    preview.port,
    `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nX-Preview-Token: shr_x\r\n\r\n`,
  );
  t.equal(statusOf(answer), 404);
  t.equal(preview.control.calls.filter((call) => call !== "routes" && call !== "activity").length, 0);
});
