import t from "tap";
import {
  headerOf,
  navigation,
  type PrivatePreview,
  reasonOf,
  startPrivatePreview,
  statusOf,
} from "./private-preview.ts";
import { domain, newId, RawClient } from "./test-gateway.ts";
import { claimsFor, token } from "./test-tokens.ts";

const sibling = `http://s-${newId().toLowerCase()}-3000.preview.${domain}`;
const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
const asleep = { status: "stopped", endpoints: [] } as const;

async function openSession({ ask, id }: PrivatePreview): Promise<string> {
  const answer = await ask(navigation, `GET /?preview_token=${token(claimsFor(id))} HTTP/1.1`);
  return `Cookie: ${headerOf(answer, "set-cookie")!.split(";", 1)[0]}\r\n`;
}

t.test("a sibling's page does nothing with its visitor's session, and wakes nothing by it", async (t) => {
  const preview = await startPrivatePreview(t, { route: asleep });
  const session = await openSession(preview);
  const by = (site: string, mode: string, more = "") => `Sec-Fetch-Site: ${site}\r\nSec-Fetch-Mode: ${mode}\r\n${more}`;
  const attempts: readonly (readonly [string, string])[] = [
    [`${upgrade}Origin: ${sibling}\r\n`, "GET / HTTP/1.1"],
    [`${upgrade}Origin: null\r\n`, "GET / HTTP/1.1"],
    [by("same-site", "cors", `Origin: ${sibling}\r\n`), "GET / HTTP/1.1"],
    [by("same-site", "no-cors", `Origin: ${sibling}\r\nContent-Length: 0\r\n`), "POST / HTTP/1.1"],
    [by("same-site", "no-cors", `Referer: ${sibling}/\r\n`), "GET /a.js HTTP/1.1"],
    [by("same-site", "no-cors"), "GET /a.js HTTP/1.1"],
    [by("same-site", "navigate", `Origin: ${sibling}\r\nContent-Length: 0\r\n`), "POST / HTTP/1.1"],
    [by("same-site", "cors", `Origin: ${sibling}\r\n`), "GET /.well-known/sandboxd/state HTTP/1.1"],
  ];
  for (const [lines, line] of attempts) {
    const answer = await preview.ask(session + lines, line);
    t.equal(statusOf(answer), 401, `${line} ${lines}`);
    t.match(answer, /no_token|requires|private/);
  }
  t.equal(preview.control.wakes.length, 0);
});

t.test("a sandbox's own pages and those of listed origins use the session, and links lead there", async (t) => {
  const builder = "https://builder.example";
  const preview = await startPrivatePreview(t, { route: { cors: { origins: [builder], credentials: true } } });
  const session = await openSession(preview);
  const otherPort = `http://${preview.host.replace("-3000.", "-8000.")}`;
  for (const origin of [`http://${preview.host}`, otherPort, builder]) {
    t.equal(statusOf(await preview.ask(`${session}Origin: ${origin}\r\n`)), 200, origin);
    const socket = new RawClient(preview.port);
    socket.send(`GET / HTTP/1.1\r\nHost: ${preview.host}\r\n${session}${upgrade}Origin: ${origin}\r\n\r\n`);
    await socket.until(({ text }) => text.endsWith("\r\n\r\n"));
    t.equal(statusOf(socket.text), 101, `a socket of ${origin}`);
    socket.socket.destroy();
  }
  const link = `${session}${navigation}Sec-Fetch-Site: cross-site\r\nReferer: ${sibling}/\r\n`;
  t.equal(statusOf(await preview.ask(link)), 200);
});

t.test("a foreign page's own credential counts as anybody's does", async (t) => {
  const preview = await startPrivatePreview(t);
  const own = `X-Preview-Token: ${token(claimsFor(preview.id))}\r\n`;
  t.equal(statusOf(await preview.ask(`${own}Origin: https://elsewhere.example\r\n`)), 200);
  const refused = await preview.ask(`Origin: https://elsewhere.example\r\nCookie: sandboxd-session=x\r\n`);
  t.equal(reasonOf(refused), "no_token");
});

t.test("a public preview is everybody's", async (t) => {
  const preview = await startPrivatePreview(t, { route: { visibility: "public" } });
  t.equal(statusOf(await preview.ask(`Cookie: a=b\r\nOrigin: ${sibling}\r\n`)), 200);
});
