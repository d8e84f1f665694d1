// Runs in the browser; plainLine() and words come before it in the same script element.
const stateUrl = "/.well-known/sandboxd/state";
const loadsKey = "sandboxd-waking";
const longestDelayMs = 15_000;
const silenceMs = 30_000;
const mostLines = 200;
const order = Object.keys(words.phases);
const now = () => performance.now();
const id = (name) => document.getElementById(name);
const bar = document.querySelector("progress");
const button = id("action").firstElementChild;

const first = document.querySelector("main").dataset;
let phase = first.phase;
let usualMs = Number(first.usualMs);
let startedAt = now() - first.elapsedMs;
/** When the page tries again by itself; 0 for not at all. */
let retryAt = 0;
/** When somebody was last taken for having come back. */
let seenAt = Number.NEGATIVE_INFINITY;
/** The sandbox runs although its app cannot be reached, so it may still come to answer. */
let runs = false;
let source;
let openedAt;
let connectTimer;
let failures = 0;
let unheard = 0;
let loading;
/** What identifies each line of the log on the page. */
const shown = [];

function show(state) {
  // Having said why the app does not answer, the gateway goes on waiting for it: the reason stays until that changes.
  if (runs && state.phase === "waiting_for_port") return;
  const isActive = order.includes(state.phase);
  if (isActive && !order.includes(phase)) startedAt = now();
  phase = state.phase;
  usualMs = state.usual_start_ms || usualMs;
  setText("notice", "");
  id("progress").hidden = !isActive;
  id("action").hidden = isActive;
  if (isActive) showActive(state.queue_position);
  else showSettled(state.reason);
  runs = !isActive && state.status === "running";
  tick();
  if (phase === "ready") load();
  else loading = clearTimeout(loading);
}

function showActive(place) {
  retryAt = 0;
  showWords(words.title, words.phases[phase], "");
  setText("ports", "");
  setText("place", place ? `, place ${place}` : "");
  for (const step of document.querySelectorAll("[data-step]")) {
    const distance = order.indexOf(phase) - order.indexOf(step.dataset.step);
    step.className = distance > 0 ? "done" : "";
    step.setAttribute("aria-current", distance === 0 ? "step" : "false");
    if (distance === 0) step.hidden = false;
  }
}

function showSettled(reason) {
  const asleep = phase === "asleep";
  const code = reason?.code ?? (asleep ? "asleep" : "");
  const [title, hint, passes, detail = ""] = words.outcomes[code] ?? words.outcomes.start_failed;
  showWords(title, reason?.message || detail, hint);
  const ports = reason?.listening_ports ?? [];
  setText("ports", ports.length > 0 ? `Ports that listen: ${ports.join(", ")}.` : "");
  button.textContent = asleep ? "Wake it up" : "Try again";
  const seconds = reason?.retry_after_seconds;
  if (passes && seconds) retryAt ||= now() + seconds * 1000;
}

function showWords(title, detail, hint) {
  document.title = title;
  setText("title", title);
  setText("detail", detail);
  id("hint").replaceChildren(...hint.split("`").map((part, index) => (index % 2 ? element("code", part) : part)));
}

/** Writes only what changed, so that assistive technology does not repeat the rest. */
function setText(name, text) {
  if (id(name).textContent !== text) id(name).textContent = text;
}

function element(name, text) {
  const created = document.createElement(name);
  created.textContent = text;
  return created;
}

function tick() {
  const elapsedMs = now() - startedAt;
  setText("elapsed", duration(elapsedMs));
  setText("usual", usualMs ? `usually ${duration(Math.max(1000, usualMs))}` : "");
  if (phase === "ready") bar.value = 1;
  else if (usualMs) bar.value = 1 - Math.exp((-1.6 * elapsedMs) / usualMs);
  const next = runs ? "The app opens here as soon as it answers." : "";
  setText("countdown", retryAt ? `Trying again in ${duration(retryAt - now())}.` : next);
  if (!retryAt || now() < retryAt || document.hidden) return;
  retryAt = 0;
  connect(true);
}

function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

function addLine({ stream, time, line }, repeated) {
  const key = time + stream + line;
  if (repeated.has(key)) return;
  id("log").hidden = false;
  const added = element("div", plainLine(line));
  added.className = stream;
  id("lines").append(added);
  if (shown.push(key) <= mostLines) return;
  shown.shift();
  id("lines").firstElementChild.remove();
}

/** Follows the sandbox, and has it woken first where that is wanted. */
function connect(wakes = false) {
  source?.close();
  source = new EventSource(wakes ? `${stateUrl}?wake` : stateUrl);
  openedAt = now();
  // What a new connection repeats of the log is on the page already.
  const repeated = new Set(shown);
  listen("state", show);
  listen("log", (line) => addLine(line, repeated));
  source.onerror = reconnect;
  connectIn(silenceMs);
}

function listen(type, act) {
  source.addEventListener(type, ({ data }) => {
    unheard = 0;
    connectIn(silenceMs);
    act(JSON.parse(data));
  });
}

/** A connection can die without a word. One that merely has nothing to say loses nothing by being replaced. */
function connectIn(ms) {
  clearTimeout(connectTimer);
  connectTimer = setTimeout(() => connect(), ms);
}

function reconnect() {
  source.close();
  failures = now() - openedAt > 5000 ? 0 : failures + 1;
  connectIn(Math.min(longestDelayMs, 250 * 2 ** failures) * (0.85 + Math.random() * 0.3));
  if (++unheard < 3) return;
  setText("notice", "The connection to the server is lost. Trying to restore it.");
  id("action").hidden = false;
  probe();
}

/** Finds out whether events cannot come at all: then only another navigation can tell what the sandbox does. */
async function probe() {
  const answer = await fetch(stateUrl, { mode: "no-cors", cache: "no-store" }).catch(() => undefined);
  const refused = answer?.status < 500 && answer.headers.has("x-sandbox-gateway");
  if (refused || answer?.type === "opaque") load();
}

/** Loads the app. When that keeps leading back here, every further attempt waits longer. */
function load() {
  if (loading) return;
  const count = earlierLoads();
  const delay = count === 0 ? 0 : Math.min(longestDelayMs, 250 * 2 ** count);
  loading = setTimeout(() => {
    try {
      sessionStorage.setItem(loadsKey, JSON.stringify([count + 1, Date.now()]));
    } catch {}
    source.close();
    clearTimeout(connectTimer);
    location.reload();
    // Still here after that: what came was not a page but a download, for example.
    setTimeout(() => (id("action").hidden = false), 4000);
  }, delay);
}

function earlierLoads() {
  try {
    const [count, time] = JSON.parse(sessionStorage.getItem(loadsKey) ?? "[0,0]");
    return Date.now() - time < 60_000 ? count : 0;
  } catch {
    // Without storage, as in a sandboxed frame, only the kind of this navigation tells.
    return performance.getEntriesByType("navigation")[0]?.type === "reload" ? 3 : 0;
  }
}

/** A page can stay open over night, so it wakes its sandbox only for somebody who is there. */
function comeBack() {
  if (phase !== "asleep" || document.hidden || now() - seenAt < 5000) return;
  seenAt = now();
  connect(true);
}

document.addEventListener("visibilitychange", comeBack);
for (const sign of ["pointerdown", "keydown", "wheel"]) addEventListener(sign, comeBack);
// A pointer that rests moves when the page below it does.
addEventListener("pointermove", ({ movementX, movementY }) => (movementX || movementY) && comeBack());
button.addEventListener("click", (event) => {
  // Unlike the link, a reload keeps the fragment of the URL.
  event.preventDefault();
  location.reload();
});
addEventListener("pageshow", (event) => event.persisted && connect());
if (phase !== "asleep") connect();
tick();
setInterval(tick, 250);
