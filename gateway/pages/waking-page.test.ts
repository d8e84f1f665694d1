import type { Browser, Page } from "playwright-core";
import t, { type Test } from "tap";
import { chromiumBinary, missingPart } from "../../e2e/parts/parts.ts";
import { openPages } from "./pages.ts";
import { openScriptedPreview, type ScriptedPreview, sandboxId } from "./scripted-preview.ts";

const skip = missingPart("chromium");
const app = "<!doctype html><title>app</title><h1>The app</h1>";
const flags =
  "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";
let browser: Browser;
t.jobs = 5;

t.before(async () => {
  if (skip) return;
  const { chromium } = await import("playwright-core");
  browser = await chromium.launch({ executablePath: chromiumBinary, args: flags.split(" ") });
});
t.teardown(() => browser?.close());

type OpenOptions = { javaScriptEnabled?: boolean; opensStream?: boolean; phase?: "asleep" };

async function open(
  t: Test,
  path = "/",
  { javaScriptEnabled = true, opensStream = javaScriptEnabled, phase }: OpenOptions = {},
): Promise<[ScriptedPreview, Page]> {
  const preview = await openScriptedPreview(phase);
  const context = await browser.newContext({ javaScriptEnabled });
  t.teardown(() => context.close().then(() => preview.close()));
  const page = await context.newPage();
  page.on("pageerror", (error) => t.fail("no error on the page", { error }));
  const streams = opensStream && preview.streamOpened();
  await page.goto(preview.url + path);
  await streams;
  return [preview, page];
}

const text = (page: Page, words: string) => page.getByText(words).filter({ visible: true }).first().waitFor();
const current = (page: Page, words: string) =>
  page.locator('[aria-current="step"]').filter({ hasText: words, visible: true }).waitFor();

t.test("The waking page follows the phases and the log", { skip }, async (t) => {
  const [preview, page] = await open(t);
  preview.state({ status: "waking", phase: "queued", queue_position: 3 });
  await current(page, "In the queue, place 3");
  preview.state({ status: "waking", phase: "starting", usual_start_ms: 6000 });
  await current(page, "Starting the sandbox");
  await text(page, "usually 6 s");
  await text(page, "1 s");
  preview.state({ status: "running", phase: "waiting_for_port" });
  await current(page, "Waiting for the app on port 3000");
  t.equal(await page.locator(".steps .done").count(), 2);

  preview.log("\x1b[32mready\x1b[0m <script>alert(1)</script>");
  preview.log("warning", "stderr");
  await page.locator(".stderr", { hasText: "warning" }).waitFor();
  t.equal(await page.locator("#lines > div").first().textContent(), "ready <script>alert(1)</script>");
  t.equal(preview.navigations, 1);
});

t.test("The waking page keeps the last 200 lines and shows the newest", { skip }, async (t) => {
  const [preview, page] = await open(t);
  for (let index = 1; index <= 250; index++) preview.log(`line ${index}.`);
  await page.locator("#lines", { hasText: "line 250." }).waitFor();
  t.equal(await page.locator("#lines > div").count(), 200);
  t.equal(await page.locator("#lines > div").first().textContent(), "line 51.");
  const bottom = async (selector: string) => {
    const box = (await page.locator(selector).last().boundingBox())!;
    return box.y + box.height;
  };
  t.ok((await bottom("#lines > div")) <= (await bottom(".log")));
});

t.test("The waking page loads the app when it is ready and keeps the fragment", { skip }, async (t) => {
  const [preview, page] = await open(t, "/deep?a=b#/route");
  preview.answer = () => app;
  preview.state({ status: "running", phase: "ready" });
  await page.getByRole("heading", { name: "The app" }).waitFor();
  t.equal(page.url(), `${preview.url}/deep?a=b#/route`);
  t.equal(preview.navigations, 2);
});

t.test("The waking page waits longer each time the app leads back to it", { skip }, async (t) => {
  const [preview, page] = await open(t);
  const times: number[] = [];
  const { answer } = preview;
  preview.answer = (url) => {
    times.push(performance.now());
    return times.length < 4 ? answer(url) : app;
  };
  preview.state({ status: "running", phase: "ready" });
  await page.getByRole("heading", { name: "The app" }).waitFor();
  const gaps = times.slice(1).map((time, index) => time - times[index]!);
  t.ok(gaps[0]! >= 450 && gaps[1]! >= 950 && gaps[2]! >= 1950, `${gaps.map(Math.round)}`);
});

t.test("The waking page says why a wake failed and offers to try again", { skip }, async (t) => {
  const [preview, page] = await open(t);
  const message = "It listens on <b>127.0.0.1:3000</b>.";
  preview.state({ status: "running", phase: "failed", reason: { code: "loopback_only", message } });
  await page.getByRole("heading", { name: "The app can only be reached from inside" }).waitFor();
  await text(page, message);
  t.equal(await page.locator("#hint code").first().textContent(), "0.0.0.0");
  t.equal(await page.locator("#progress").isVisible(), false);

  preview.state({ status: "running", phase: "waiting_for_port" });
  await text(page, "The app opens here as soon as it answers.");
  preview.log("still waiting");
  await text(page, "still waiting");
  t.equal(await page.getByRole("heading", { name: "The app can only be reached from inside" }).isVisible(), true);
  preview.answer = () => app;
  await page.getByRole("link", { name: "Try again" }).click();
  await page.getByRole("heading", { name: "The app" }).waitFor();
});

t.test("The waking page names the ports that listen when its own does not", { skip }, async (t) => {
  const [preview, page] = await open(t);
  const reason = { code: "no_listener", message: "", listening_ports: [4000, 5173] };
  preview.state({ status: "running", phase: "failed", reason });
  await text(page, "Ports that listen: 4000, 5173.");
  preview.state({ status: "waking", phase: "starting" });
  await current(page, "Starting the sandbox");
  t.equal(await page.getByText("Ports that listen").isVisible(), false);
});

t.test("The waking page goes on when a wake that failed begins anew", { skip }, async (t) => {
  const [preview, page] = await open(t);
  preview.state({ status: "stopped", phase: "failed", reason: { code: "unheard_of", message: "No idea." } });
  await page.getByRole("heading", { name: "The sandbox could not be started" }).waitFor();
  preview.state({ status: "waking", phase: "starting" });
  await current(page, "Starting the sandbox");
  t.equal(await page.getByRole("link").isVisible(), false);
});

t.test("The waking page tries again by itself after what passes by itself", { skip }, async (t) => {
  const [preview, page] = await open(t);
  const reason = { code: "low_memory", message: "9 % are free.", retry_after_seconds: 2 };
  preview.state({ status: "stopped", phase: "failed", reason });
  await page.getByText(/Trying again in \d s\./).waitFor();
  await preview.streamOpened();
  t.same(preview.streams, ["", "?wake"]);
  preview.state({ status: "waking", phase: "starting" });
  await current(page, "Starting the sandbox");
  preview.answer = () => app;
  preview.state({ status: "running", phase: "ready" });
  await page.getByRole("heading", { name: "The app" }).waitFor();
});

t.test("The waking page of a sandbox that fell asleep offers to wake it", { skip }, async (t) => {
  const [preview, page] = await open(t);
  preview.state({ status: "stopped", phase: "asleep" });
  await page.getByRole("heading", { name: "This sandbox is asleep" }).waitFor();
  await page.getByRole("link", { name: "Wake it up" }).waitFor();
  t.equal(preview.navigations, 1);
});

t.test("The page of a sandbox that is asleep waits for somebody, and wakes it then", { skip }, async (t) => {
  const [preview, page] = await open(t, "/", { opensStream: false, phase: "asleep" });
  await page.getByRole("heading", { name: "This sandbox is asleep" }).waitFor();
  await page.getByRole("link", { name: "Wake it up" }).waitFor();
  await page.dispatchEvent("body", "pointermove", { movementX: 0, movementY: 0 });
  t.same(preview.streams, [], "a pointer that rests is nobody");
  const opened = preview.streamOpened();
  await page.mouse.move(100, 100);
  await page.mouse.move(120, 110);
  await opened;
  t.same(preview.streams, ["?wake"]);
  preview.state({ status: "waking", phase: "starting" });
  await current(page, "Starting the sandbox");
  t.equal(await page.getByRole("link").isVisible(), false);
  preview.answer = () => app;
  preview.state({ status: "running", phase: "ready" });
  await page.getByRole("heading", { name: "The app" }).waitFor();
});

t.test("The waking page survives cut streams and repeats no line of the log", { skip }, async (t) => {
  const [preview, page] = await open(t);
  preview.state({ status: "waking", phase: "starting" });
  preview.log("first", "stdout", "2026-01-01T00:00:00.000Z");
  await text(page, "first");
  const reopened = preview.streamOpened();
  preview.cut();
  await reopened;
  preview.log("first", "stdout", "2026-01-01T00:00:00.000Z");
  preview.log("second", "stdout", "2026-01-01T00:00:00.001Z");
  preview.state({ status: "running", phase: "waiting_for_port" });
  await current(page, "Waiting for the app");
  t.same(await page.locator("#lines > div").allTextContents(), ["first", "second"]);
  t.equal(preview.navigations, 1);
});

t.test("The waking page outlives a gateway that is away and then goes on", { skip }, async (t) => {
  const [preview, page] = await open(t);
  preview.stateStatus = 502;
  preview.cut();
  await text(page, "The connection to the server is lost.");
  t.equal(await page.getByRole("link", { name: "Try again" }).isVisible(), true);
  preview.stateStatus = 200;
  await preview.streamOpened();
  preview.state({ status: "waking", phase: "starting" });
  await current(page, "Starting the sandbox");
  t.equal(await page.getByRole("link").isVisible(), false);
  t.equal(preview.navigations, 1);
});

t.test("The waking page asks again when its events are refused", { skip }, async (t) => {
  const [preview, page] = await open(t);
  preview.answer = () => "<h1>Sign in</h1>";
  preview.stateStatus = 401;
  preview.cut();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
});

t.test("The waking page works in a frame that has neither storage nor an origin", { skip }, async (t) => {
  const preview = await openScriptedPreview();
  const builder = await openScriptedPreview();
  builder.answer = () => `<iframe sandbox="allow-scripts" src="${preview.url}/#x"></iframe>`;
  const page = await browser.newPage();
  t.teardown(() => page.close().then(() => Promise.all([preview.close(), builder.close()])));
  await page.goto(builder.url);
  const frame = page.frameLocator("iframe");
  await frame.getByRole("heading", { name: "Waking up the sandbox" }).waitFor();
  preview.answer = () => app;
  await frame.getByRole("heading", { name: "The app" }).waitFor();
});

t.test("The waking page looks again without JavaScript", { skip }, async (t) => {
  const [preview, page] = await open(t, "/", { javaScriptEnabled: false });
  await page.locator("noscript p", { hasText: "every 2 seconds" }).waitFor();
  preview.answer = () => app;
  await page.getByRole("heading", { name: "The app" }).waitFor();
});

t.test("The button of a refusal leads back to the preview and its style applies", { skip }, async (t) => {
  const [preview, page] = await open(t);
  const wake = { code: "asleep", status: 503, title: "Asleep", detail: "", action: "wake" } as const;
  preview.answer = (url) => openPages().refusal({ ...wake, sandboxId, url });
  await page.goto(`${preview.url}//evil.example/a?b`);
  t.equal(await page.evaluate('getComputedStyle(document.querySelector(".button")).display'), "inline-block");
  preview.answer = () => app;
  await page.getByRole("link", { name: "Wake it up" }).click();
  await page.getByRole("heading", { name: "The app" }).waitFor();
  t.equal(page.url(), `${preview.url}//evil.example/a?b`);
});
