import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, CDPSession, Page } from "playwright-core";

const output = join(import.meta.dirname, "..", "output");

/** Playwright shows every page all the time, so that a page in the background is one that believes to be there. */
const visibility = `
  const visibility = () => sessionStorage.getItem("visibility") ?? "visible";
  Object.defineProperty(document, "visibilityState", { get: visibility });
  Object.defineProperty(document, "hidden", { get: () => visibility() === "hidden" });
  window.turn = (state) => {
    sessionStorage.setItem("visibility", state);
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
  };
`;

/** The request by which a page opened a WebSocket. */
export type Handshake = { readonly url: string; readonly headers: Readonly<Record<string, string>> };

/** A page in the browser, and what it asked for. */
export class Visit {
  readonly page: Page;
  /** Every WebSocket that the page tried to open. */
  readonly sockets: string[] = [];
  /**
   * Answers that are errors, `403 GET /path`. The waking page is none, and neither is a missing icon: browsers ask every
   * site for one.
   */
  readonly refused: string[] = [];
  readonly #heard = Promise.withResolvers<Handshake>();

  private constructor(page: Page, network: CDPSession) {
    this.page = page;
    const handshakes = new Map<string, Handshake>();
    network.on("Network.webSocketCreated", ({ requestId, url }) => {
      this.sockets.push(url);
      handshakes.set(requestId, { url, headers: {} });
    });
    network.on("Network.webSocketWillSendHandshakeRequest", ({ requestId, request: { headers } }) => {
      handshakes.set(requestId, { ...handshakes.get(requestId)!, headers });
    });
    network.on("Network.webSocketFrameReceived", ({ requestId }) => {
      this.#heard.resolve(handshakes.get(requestId)!);
    });
    page.on("response", (answer) => {
      const { pathname } = new URL(answer.url());
      if (answer.status() < 400 || pathname === "/favicon.ico") return;
      if (answer.headers()["x-sandbox-gateway"] === "waking") return;
      this.refused.push(`${answer.status()} ${answer.request().method()} ${pathname}`);
    });
  }

  static async open(browser: Browser, url: URL): Promise<Visit> {
    const page = await browser.newPage();
    await page.addInitScript(visibility);
    // A first compilation takes long on a busy machine.
    page.setDefaultTimeout(60_000);
    const network = await page.context().newCDPSession(page);
    await network.send("Network.enable");
    const visit = new Visit(page, network);
    // The waking page may give way to the app before it is loaded itself.
    await page.goto(url.href, { waitUntil: "commit" }).catch((error: Error) => {
      if (!error.message.includes("net::ERR_ABORTED")) throw error;
    });
    return visit;
  }

  /** Resolves when the page has received something over a WebSocket, with how that one was opened. */
  get listening(): Promise<Handshake> {
    return this.#heard.promise;
  }

  /** Resolves when the page has a heading with this text. */
  async shows(heading: string): Promise<void> {
    await this.page.getByRole("heading", { name: heading, exact: true }).waitFor();
  }

  /** Leaves a mark that does not survive a reload. */
  async mark(): Promise<void> {
    await this.page.evaluate("window.mark = true");
  }

  async isMarked(): Promise<boolean> {
    return await this.page.evaluate("window.mark === true");
  }

  /** What a page is told when its tab goes to the background, and when it is looked at again. */
  async turn(state: "hidden" | "visible"): Promise<void> {
    await this.page.evaluate(`turn(${JSON.stringify(state)})`);
  }

  async shoot(name: string): Promise<void> {
    await mkdir(output, { recursive: true });
    await this.page.screenshot({ path: join(output, `dev-servers-${name}.png`) });
  }

  async close(): Promise<void> {
    await this.page.close();
  }
}
