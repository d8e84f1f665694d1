import t from "tap";
import { Html, html, prose, safeUrl } from "./html.ts";

t.test("html escapes every string put into it", async (t) => {
  const hostile = `<img src=x onerror="alert('1')">&`;
  t.equal(html`<p>${hostile}</p>`.text, "<p>&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;</p>");
  t.equal(html`<a href="${'" onclick="x'}">`.text, '<a href="&quot; onclick=&quot;x">');
});

t.test("html keeps markup and drops what is absent", async (t) => {
  t.equal(html`${html`<b>${1}</b>`}${undefined}${false}${["<", new Html("<hr>")]}`.text, "<b>1</b>&lt;<hr>");
});

t.test("prose() turns backticks into code and escapes both", async (t) => {
  t.equal(prose("use `<x>` & go").text, "use <code>&lt;x&gt;</code> &amp; go");
});

t.test("safeUrl() lets http and https through and keeps paths on their host", async (t) => {
  t.equal(safeUrl("https://auth.example/login?return=a%2Fb"), "https://auth.example/login?return=a%2Fb");
  t.equal(safeUrl("HTTP://auth.example"), "http://auth.example/");
  t.equal(safeUrl("/a/b?c=d"), "/a/b?c=d");
  t.equal(safeUrl("/"), "/");
});

t.test("safeUrl() refuses other schemes and what is no URL", async (t) => {
  for (const url of [
    "javascript:alert(1)",
    " javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "blob:x",
    "relative",
    "",
    "https://",
  ]) {
    t.equal(safeUrl(url), undefined, JSON.stringify(url));
  }
});

t.test("safeUrl() never lets a path name another host", async (t) => {
  for (const path of [
    "//evil.example/x",
    "/\\evil.example/x",
    "///evil.example",
    "/\t/evil.example",
    "/x/..//evil.example",
  ]) {
    const safe = safeUrl(path)!;
    t.equal(new URL(safe, "https://preview.example/page").host, "preview.example", path);
  }
});
