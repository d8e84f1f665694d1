import t from "tap";
import { startPrivatePreview, statusOf } from "./private-preview.ts";

/** Of a processor: far more than an honest head of this length costs, far less than one that backtracks at each byte. */
const mostMilliseconds = 1_000;
const target = (part: string) => `/${part.repeat(Math.floor(500_000 / part.length))}`;
const value = (part: string) => part.repeat(Math.floor(900_000 / part.length));

const targets: Readonly<Record<string, string>> = {
  "question marks": target("?"),
  ampersands: target("?&"),
  "names without a value": target("?a&"),
  "one long name": `/?${target("a")}`,
  "escapes that are none": target("?%"),
  "half a token's name": target("&preview_toke"),
  tokens: target("&preview_token=x"),
  slashes: target("/"),
};
const headers: Readonly<Record<string, string>> = {
  cookies: `Cookie: sandboxd-session=1;${value("a;")}`,
  "session cookies": `Cookie: ${value("sandboxd-session=1; ")}`,
  "spaces around a session cookie": `Cookie: ${value(" ")}sandboxd-session${value(" ").slice(0, 50_000)}`,
  tokens: `X-Preview-Token: ${value(",")}`,
  "a bearer's spaces": `Authorization: Bearer ey${value(" ")}x`,
  "a page that it came from": `Referer: http://x/${value("?")}`,
  protocols: `Sec-WebSocket-Protocol: ${value(", ")}`,
  agent: `User-Agent: ${value("cubot")}`,
  origin: `Origin: http://${value("a.")}`,
  options: `Connection: ${value("a,")}`,
};

async function cost(act: () => Promise<string>): Promise<{ milliseconds: number; status: number }> {
  const before = process.cpuUsage();
  const status = statusOf(await act());
  const { user, system } = process.cpuUsage(before);
  return { milliseconds: (user + system) / 1000, status };
}

t.test("no head keeps a gateway worker from everybody else, whatever it is full of", async (t) => {
  for (const visibility of ["public", "private"] as const) {
    const preview = await startPrivatePreview(t, { route: { visibility } });
    for (const [name, path] of Object.entries(targets)) {
      const { milliseconds, status } = await cost(() => preview.ask("", `GET ${path} HTTP/1.1`));
      t.ok(milliseconds < mostMilliseconds, `${visibility}, a target of ${name}: ${milliseconds.toFixed(0)} ms`);
      t.equal(status, visibility === "public" ? 200 : 401);
    }
    for (const [name, line] of Object.entries(headers)) {
      const { milliseconds, status } = await cost(() => preview.ask(`${line}\r\n`));
      t.ok(milliseconds < mostMilliseconds, `${visibility}, a header of ${name}: ${milliseconds.toFixed(0)} ms`);
      t.equal(status, visibility === "public" ? 200 : 401);
    }
  }
});
