import t from "tap";
import { headerOf, navigation, startPrivatePreview, statusOf } from "./private-preview.ts";
import { claimsFor, token } from "./test-tokens.ts";

t.test("redeeming a token leads nowhere but to the same host, whatever the path looks like", async (t) => {
  const preview = await startPrivatePreview(t);
  const good = token(claimsFor(preview.id));
  const paths = [
    "//evil.example",
    "//evil.example/x",
    "/\\evil.example",
    "///evil.example",
    "//\\evil.example",
    "/\\/evil.example",
    "/%2f%2fevil.example",
    "/..//evil.example",
    "/./\\evil.example",
    "//evil.example:80@x",
    "/@evil.example",
    "/.//evil.example",
    "//s-01jb2q8z6x3v9k4m7n0p5r1s2t-3000.preview.evil.example",
  ];
  for (const path of paths) {
    const answer = await preview.ask(navigation, `GET ${path}?preview_token=${good}&next=//evil.example HTTP/1.1`);
    t.equal(statusOf(answer), 303, path);
    const location = new URL(headerOf(answer, "location")!, `http://${preview.host}${"/base"}`);
    t.equal(location.host, preview.host, path);
    t.equal(location.protocol, "http:", path);
    t.equal(location.search, "?next=//evil.example", path);
  }
});

t.test("the way to sign in is the operator's, whatever the request looks like", async (t) => {
  const redirectUrl = "https://app.example/login?to={return}";
  const preview = await startPrivatePreview(t, { settings: { redirectUrl } });
  for (const path of [
    "//evil.example",
    "/\\evil.example",
    "/{return}",
    "/{sandbox_id}?{return}",
    "/?to=https://evil.example",
  ]) {
    const answer = await preview.ask(`${navigation}X-Forwarded-Host: evil.example\r\n`, `GET ${path} HTTP/1.1`);
    const location = new URL(headerOf(answer, "location")!);
    t.equal(location.origin, "https://app.example", path);
    t.same([...location.searchParams.keys()], ["to"], path);
    t.equal(location.searchParams.get("to"), `http://${preview.host}${path}`, path);
  }
});
