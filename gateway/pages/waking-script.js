// Runs in the browser; plainLine() and words come before it in the same script element.
const stateUrl = "/.well-known/sandboxd/state";
const mostLines = 200;
const silenceMs = 30_000;
const longestDelayMs = 15_000;
const order = Object.keys(words.phases);
const id = (name) => document.getElementById(name);
const main = document.querySelector("main");
const bar = document.querySelector("progress");

let phase = main.dataset.phase;
let usualMs = Number(main.dataset.usualMs);
let startedAt = performance.now() - Number(main.dataset.elapsedMs);
let retryAt = Number.POSITIVE_INFINITY;

connect();
tick();
setInterval(tick, 250);
addEventListener("pageshow", (event) => event.persisted && connect());
id("action").addEventListener("click", (event) => {
  // Unlike the link, a reload keeps the fragment of the URL.
  event.preventDefault();
  location.reload();
});

function show(state) {
  const wasActive = order.includes(phase);
  phase = state.phase;
  usualMs = state.usual_start_ms || usualMs;
  retryAt = Number.POSITIVE_INFINITY;
  setText(id("notice"), "");
  const isActive = order.includes(phase);
  if (isActive && !wasActive) startedAt = performance.now();
  if (isActive) showActive(state);
  else showSettled(state);
  id("progress").hidden = !isActive;
  id("action").hidden = isActive;
  tick();
  if (phase === "ready") load();
  else cancelLoad();
}

function showActive(state) {
  showWords(words.phases[phase]);
  setText(id("place"), state.queue_position ? `, place ${state.queue_position}` : "");
  for (const step of document.querySelectorAll("[data-step]")) {
    const name = step.dataset.step;
    step.classList.toggle("done", order.indexOf(name) < order.indexOf(phase));
    step.toggleAttribute("aria-current", false);
    if (name !== phase) continue;
    step.setAttribute("aria-current", "step");
    step.hidden = false;
  }
}

function showSettled({ reason }) {
  const code = reason?.code ?? (phase === "asleep" ? "asleep" : "start_failed");
  const known = words.refusals[code] ?? words.refusals.start_failed;
  showWords({ ...known, detail: reason?.message || known.detail });
  setText(id("action").firstElementChild, phase === "asleep" ? "Wake it up" : "Try again");
  if (known.passes && reason?.retry_after_seconds) retryAt = performance.now() + reason.retry_after_seconds * 1000;
}

function showWords({ title, detail, hint = "" }) {
  document.title = title;
  setText(id("title"), title);
  setText(id("detail"), detail);
  id("hint").hidden = hint === "";
  id("hint").replaceChildren(...hint.split("`").map((part, index) => (index % 2 === 0 ? part : code(part))));
}

function code(text) {
  const element = document.createElement("code");
  element.textContent = text;
  return element;
}

/** Writes only what changed, so that assistive technology does not repeat the rest. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tick() {
  const now = performance.now();
  const elapsedMs = now - startedAt;
  setText(id("elapsed"), duration(elapsedMs));
  setText(id("usual"), usualMs ? `usually ${duration(Math.max(1000, usualMs))}` : "");
  if (phase === "ready") bar.value = 1;
  else if (usualMs) bar.value = 1 - Math.exp((-1.6 * elapsedMs) / usualMs);
  const waits = Number.isFinite(retryAt);
  setText(id("countdown"), waits ? `Trying again in ${duration(Math.max(0, retryAt - now))}.` : "");
  if (waits && now >= retryAt && !document.hidden) location.reload();
}

function duration(ms) {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

const shown = [];
let scrolls = false;

function addLine({ stream, time, line }, replayed) {
  const key = `${time} ${stream} ${line}`;
  if (replayed.has(key)) return;
  id("log").hidden = false;
  const lines = id("lines");
  const follows = scrolls || lines.scrollHeight - lines.scrollTop - lines.clientHeight < 32;
  const element = document.createElement("div");
  element.textContent = plainLine(line);
  if (stream === "stderr") element.className = "stderr";
  lines.append(element);
  if (shown.push(key) > mostLines) {
    shown.shift();
    lines.firstElementChild.remove();
  }
  if (follows && !scrolls) requestAnimationFrame(() => scrollToEnd(lines));
  scrolls = follows;
}

function scrollToEnd(lines) {
  scrolls = false;
  lines.scrollTop = lines.scrollHeight;
}

let source;
let failures = 0;
let silence;

function connect() {
  clearTimeout(silence);
  source?.close();
  const opened = new EventSource(stateUrl);
  const since = performance.now();
  // What a new connection repeats of the log is on the page already.
  const replayed = new Set(shown);
  source = opened;
  const heard = (act) => (event) => {
    listenFor(opened);
    act(JSON.parse(event.data));
  };
  opened.addEventListener("state", heard(show));
  opened.addEventListener(
    "log",
    heard((line) => addLine(line, replayed)),
  );
  opened.onerror = () => reconnect(opened, performance.now() - since);
  listenFor(opened);
}

/** A connection that died without a word is replaced; one that merely has nothing to say loses nothing by it. */
function listenFor(opened) {
  clearTimeout(silence);
  silence = setTimeout(() => opened === source && connect(), silenceMs);
}

function reconnect(lost, livedMs) {
  if (lost !== source) return;
  lost.close();
  clearTimeout(silence);
  failures = livedMs > 5000 ? 0 : failures + 1;
  const delay = Math.min(longestDelayMs, 250 * 2 ** failures) * (0.85 + Math.random() * 0.3);
  setTimeout(() => lost === source && connect(), delay);
  if (failures < 3) return;
  setText(id("notice"), "The connection to the server was lost. Trying to restore it.");
  id("action").hidden = false;
  probe();
}

/** Finds out whether events cannot come at all: then only another navigation can tell what the sandbox does. */
async function probe() {
  const answer = await fetch(stateUrl, { mode: "no-cors", cache: "no-store" }).catch(() => undefined);
  if (answer === undefined) return;
  const isOurs = answer.headers.has("x-sandbox-gateway");
  if (answer.type === "opaque" || answer.ok || (isOurs && answer.status < 500)) load();
}

let loading;

/** Loads the app. When that keeps leading back here, the next attempts wait longer and longer. */
function load() {
  if (loading !== undefined) return;
  const count = recentLoads();
  const delay = count === 0 ? 0 : Math.min(longestDelayMs, 500 * 2 ** (count - 1));
  loading = setTimeout(() => {
    rememberLoads(count + 1);
    location.reload();
    // Still here: what came was not a page, such as a download.
    loading = setTimeout(() => (id("action").hidden = false), 4000);
  }, delay);
}

function cancelLoad() {
  clearTimeout(loading);
  loading = undefined;
}

const loadsKey = "sandboxd-waking";

function recentLoads() {
  try {
    const { count, time } = JSON.parse(sessionStorage.getItem(loadsKey) ?? "{}");
    return Date.now() - time < 60_000 ? count : 0;
  } catch {
    // Without storage, as in a sandboxed frame, only the kind of this navigation tells.
    return performance.getEntriesByType("navigation")[0]?.type === "reload" ? 3 : 0;
  }
}

function rememberLoads(count) {
  try {
    sessionStorage.setItem(loadsKey, JSON.stringify({ count, time: Date.now() }));
  } catch {}
}
