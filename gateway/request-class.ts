import type { IncomingMessage } from "node:http";
import type { RequestClass, Route } from "#contract/gateway-api.ts";

/** The path that tells a sandbox's state and never wakes it. */
export const statePath = "/.well-known/sandboxd/state";

type Rule = { readonly wake: boolean; readonly extend: boolean };

/** What each class may do unless the sandbox's policy says otherwise. */
const defaults: Readonly<Record<RequestClass, Rule>> = {
  navigation: { wake: true, extend: true },
  // A page whose socket was refused often enough reloads itself all night long.
  "self-reload": { wake: false, extend: true },
  subresource: { wake: true, extend: true },
  api: { wake: true, extend: true },
  "hmr-socket": { wake: false, extend: false },
  socket: { wake: true, extend: true },
  prefetch: { wake: false, extend: false },
  preflight: { wake: true, extend: false },
  monitor: { wake: false, extend: false },
  crawler: { wake: false, extend: false },
  unfurler: { wake: false, extend: false },
};

/** Whether a request of this class may wake the sandbox. */
export function mayWake(route: Route, kind: RequestClass): boolean {
  return route.wakePolicy.classes[kind]?.wake ?? defaults[kind].wake;
}

/** Whether a request of this class keeps the sandbox awake. */
export function extendsActivity(route: Route, kind: RequestClass): boolean {
  return route.wakePolicy.classes[kind]?.extend ?? defaults[kind].extend;
}

/** Whether a browser shows the answer to this request as a page: somebody may look at it. */
export function isNavigation(kind: RequestClass | undefined): boolean {
  return kind === "navigation" || kind === "self-reload";
}

/** Sockets by which development servers tell a page to reload: a page left open holds one for as long as it is open. */
const hmrProtocols = /(?:^|,)\s*(?:vite-hmr|vite-ping|livereload|https?:\/\/livereload\.com\/)/i;
const hmrPaths =
  /^\/(?:ws|_next\/(?:webpack-hmr|hmr)|sockjs-node(?:\/.*)?|__webpack_hmr|webpack-hmr|__parcel_hmr|hot|hmr|__hmr|livereload|browser-sync\/socket\.io|storybook-server-channel)\/?(?:\?|$)/;

/** What stands in for such a socket in older ones: streams of events, polling, and asking whether the server is back. */
const hmrRequests =
  /^\/(?:_next\/(?:webpack-hmr|hmr)|webpack-hmr|__webpack_hmr|sockjs-node\/.*|__vite_ping|browser-sync\/socket\.io)\/?(?:\?|$)/;
const vitePing = "text/x-vite-ping";

/**
 * What kind of request this is, from what browsers say of it (Fetch Metadata, Sec-Purpose) and what programs say of
 * themselves. All of it may be forged: a class decides about waking and counting, never about access.
 */
export function classify(request: IncomingMessage, target: string, isUpgrade: boolean): RequestClass {
  const { method, headers } = request;
  if (isUpgrade) return isHmr(headers["sec-websocket-protocol"], target) ? "hmr-socket" : "socket";
  if (method === "OPTIONS" && headers.origin !== undefined && headers["access-control-request-method"] !== undefined) {
    return "preflight";
  }
  if (pathOf(target) === statePath) return "monitor";
  if (isPrefetch(request)) return "prefetch";
  const visitor = visitorClass(headers["user-agent"]);
  if (visitor !== undefined) return visitor;
  if (method === "HEAD" && pathOf(target) === "/") return "monitor";
  const mode = headers["sec-fetch-mode"];
  if (mode === "navigate") return isSelfReload(request) ? "self-reload" : "navigation";
  if (headers.accept === vitePing || hmrRequests.test(target)) return "hmr-socket";
  if (mode === undefined && method === "GET" && (headers.accept?.includes("text/html") ?? false)) return "navigation";
  const destination = headers["sec-fetch-dest"];
  return destination !== undefined && destination !== "empty" ? "subresource" : "api";
}

function isHmr(protocols: string | undefined, target: string): boolean {
  return (protocols !== undefined && hmrProtocols.test(protocols)) || hmrPaths.test(target);
}

/**
 * Whether a page loads itself again without anybody's doing. Whoever presses a key or a button is named in
 * `Sec-Fetch-User` (Fetch Metadata §2.4), but not by Safari: there a reload is a person's.
 */
function isSelfReload({ method, headers }: IncomingMessage): boolean {
  return (
    method === "GET" &&
    headers["sec-fetch-site"] === "same-origin" &&
    headers["sec-fetch-user"] === undefined &&
    /\bmax-age=0\b/.test(headers["cache-control"] ?? "") &&
    /(?:Chrome|Firefox)\//.test(headers["user-agent"] ?? "")
  );
}

function isPrefetch({ headers }: IncomingMessage): boolean {
  const purpose = headers["sec-purpose"] ?? headers.purpose ?? headers["x-purpose"] ?? headers["x-moz"];
  return typeof purpose === "string" && /prefetch|prerender|preview/i.test(purpose);
}

function pathOf(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

const unfurlers =
  /slackbot|slack-imgproxy|twitterbot|facebookexternalhit|facebot|linkedinbot|discordbot|telegrambot|whatsapp|skypeuripreview|msteams|microsoftpreview|iframely|embedly|redditbot|vkshare|mastodon|pinterestbot|viber|line-poker|kakaotalk-scrap|bitlybot|notionembedder|zoombot|googlemessages|snap url preview|tumblr\/|flipboardproxy|outbrain|quora link preview|rocket\.chat|mattermost|synapse/i;
const monitors =
  /uptimerobot|pingdom|statuscake|better ?uptime|better stack|site24x7|newrelicpinger|datadog|checkly|kube-probe|elb-healthchecker|googlehc|prometheus|blackbox|uptime-?kuma|zabbix|check_http|nagios|icinga|hetrixtools|updown\.io|freshping|cron-job\.org|healthcheck|haproxy-check|consul health check|gatus|montastic|node ?ping|hyperping|cronitor|statping|oh dear/i;
/** Cubot makes telephones. */
const crawlers =
  /(?<!cu)bot\b|crawl|spider|slurp|bingpreview|mediapartners|adsbot|google-inspectiontool|googleother|google-extended|gptbot|oai-searchbot|chatgpt-user|claudebot|claude-web|anthropic-ai|ccbot|bytespider|petalbot|yandex(?:bot|images)|baiduspider|duckduckbot|applebot|semrush|ahrefs|mj12bot|dotbot|archive\.org|ia_archiver|censysinspect|zgrab|masscan|nmap|nuclei|expanse|internetmeasurement|netcraft|shodan|dataforseo|barkrowler|perplexitybot|amazonbot|meta-externalagent|scrapy/i;

type VisitorClass = "unfurler" | "monitor" | "crawler" | undefined;

/** Few agents make most requests: a verdict is kept for as many as this, unless their names are longer than anybody's. */
const keptVerdicts = 2_000;
const longestKept = 1_000;
const verdicts = new Map<string, VisitorClass>();

function visitorClass(agent: string | undefined): VisitorClass {
  if (agent === undefined) return undefined;
  if (verdicts.has(agent)) return verdicts.get(agent);
  const verdict = unfurlers.test(agent)
    ? "unfurler"
    : monitors.test(agent)
      ? "monitor"
      : crawlers.test(agent)
        ? "crawler"
        : undefined;
  if (agent.length > longestKept) return verdict;
  if (verdicts.size >= keptVerdicts) verdicts.clear();
  verdicts.set(agent, verdict);
  return verdict;
}
