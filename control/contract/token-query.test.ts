import t from "tap";
import { mayHaveQueryToken, readQueryTokens, withoutQueryTokens } from "./token-query.ts";

t.test("withoutQueryTokens() takes tokens out and leaves every other byte", async (t) => {
  for (const [target, clean, tokens] of [
    ["/", "/", []],
    ["/?", "/?", []],
    ["/a?preview_token=x", "/a", ["x"]],
    ["/a?preview_token=x&", "/a?", ["x"]],
    ["/a?b=%20&&preview_token=x&c", "/a?b=%20&&c", ["x"]],
    ["/a?preview_token=x&preview_token=y", "/a", ["x", "y"]],
    ["/a?preview%5Ftoken=x%2Ey", "/a", ["x.y"]],
    ["/a?preview_token", "/a", [""]],
    ["/a?my_preview_token=x&preview_tokens=y", "/a?my_preview_token=x&preview_tokens=y", []],
    ["/preview_token=x?%zz=1", "/preview_token=x?%zz=1", []],
    ["/a?x=preview_token=y", "/a?x=preview_token=y", []],
  ] as const) {
    t.equal(withoutQueryTokens(target), clean, target);
    t.same(readQueryTokens(target), tokens, target);
    t.ok(tokens.length === 0 || mayHaveQueryToken(target), target);
  }
});

t.test("mayHaveQueryToken() passes over what cannot have one", async (t) => {
  for (const target of ["/", "/preview_token=x", "/a?b=c&d"]) t.notOk(mayHaveQueryToken(target), target);
});
