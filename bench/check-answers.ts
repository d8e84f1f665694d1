import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { Agent, request } from "undici";
import type { Contender } from "./proxies/contender.ts";
import { WrongAnswerError } from "./scenario.ts";

type Question = { readonly method: "GET" | "HEAD" | "POST" | "PUT"; readonly path: string; readonly body?: string };
type Expected = { readonly status: number; readonly body: string; readonly length?: number };
type Answer = { readonly status: number; readonly body: string; readonly length: number };

const patienceMs = 20_000;
const line = "0123456789abcde";
export const kilobyte = `${`${line} `.repeat(64).slice(0, 1023)} `;
export const megabyte = `${line}\n`.repeat(65_536);
export const part = megabyte.slice(0, 1 << 16);

/** Asks a proxy in front of `apps/answers` what the benchmark will, and what it could get wrong. Throws WrongAnswerError. */
export async function checkAnswers(contender: Contender): Promise<void> {
  await using agent = openAgent(contender);
  for (const [question, expected] of questionsFor(contender)) {
    const answer = await ask(contender, agent, question);
    const isRight =
      answer.status === expected.status &&
      answer.body === expected.body &&
      (expected.length === undefined || answer.length === expected.length);
    if (!isRight) throw wrong(contender, question, answer);
  }
}

/** Resolves once an edge has taken its routes and its certificate. The answers are still to be checked. */
export async function untilAnswered(contender: Contender): Promise<void> {
  const until = Date.now() + patienceMs;
  for (;;) {
    await using agent = openAgent(contender);
    const got = await ask(contender, agent, get("/1k")).catch((error: unknown) => error);
    if (!(got instanceof Error) && (got as Answer).status === 200) return;
    if (Date.now() > until) throw new Error(`${contender.name} does not answer`, { cause: got });
    await delay(50);
  }
}

/** Throws WrongAnswerError when somebody without a token, or with another sandbox's, is let into a private preview. */
export async function checkDenied(contender: Contender, others: Readonly<Record<string, string>>): Promise<void> {
  await using agent = openAgent(contender);
  const question = { method: "GET", path: "/1k" } as const;
  for (const headers of [{}, others]) {
    const answer = await ask({ ...contender, headers }, agent, question);
    if (answer.status !== 401 && answer.status !== 403) throw wrong(contender, question, answer);
  }
}

function questionsFor({ respellsPaths = false }: Contender): readonly (readonly [Question, Expected])[] {
  const target = "/echo/%2e%20/a/b?c=%26&d";
  const seen = respellsPaths ? target.replace("%2e", ".") : target;
  const place = `/kept/${randomUUID()}`;
  return [
    [get("/1k"), { status: 200, body: kilobyte, length: 1024 }],
    [
      { method: "HEAD", path: "/1k" },
      { status: 200, body: "", length: 1024 },
    ],
    [get("/1m"), { status: 200, body: megabyte, length: 1 << 20 }],
    [get("/64k"), { status: 200, body: part, length: 1 << 16 }],
    [get(target), { status: 200, body: `GET ${seen} ` }],
    [
      { method: "POST", path: "/echo", body: "x".repeat(100_000) },
      { status: 200, body: "POST /echo 100000" },
    ],
    [
      { method: "POST", path: "/upload", body: megabyte },
      { status: 200, body: "read 1048576" },
    ],
    // What was put somewhere is there, byte for byte.
    [
      { method: "PUT", path: place, body: megabyte },
      { status: 201, body: "" },
    ],
    [get(place), { status: 200, body: megabyte, length: 1 << 20 }],
    [get("/missing"), { status: 404, body: "nothing here" }],
  ];
}

function get(path: string): Question {
  return { method: "GET", path };
}

async function ask({ port, host, headers, authority }: Contender, agent: Agent, question: Question): Promise<Answer> {
  const { method, path, body = null } = question;
  const url = `${authority === undefined ? "http" : "https"}://127.0.0.1:${port}${path}`;
  const options = { method, body, headers: { ...headers, host }, dispatcher: agent };
  const { statusCode, headers: got, body: received } = await request(url, options);
  return { status: statusCode, body: await received.text(), length: Number(got["content-length"]) };
}

/** Over TLS it takes the certificates of the contender's authority alone, for the name that it asks for. */
function openAgent({ host, authority }: Contender): Agent & AsyncDisposable {
  const connect = { ca: authority, servername: host.split(":", 1)[0]! };
  // HTTP/1.1, as wrk asks.
  const agent = new Agent({ allowH2: false, ...(authority !== undefined && { connect }) });
  return Object.assign(agent, { [Symbol.asyncDispose]: () => agent.destroy() });
}

function wrong({ name }: Contender, { method, path }: Question, { status, length, body }: Answer): WrongAnswerError {
  const got = `${status}, length ${length}, ${JSON.stringify(body.slice(0, 100))}`;
  return new WrongAnswerError(`${name} answered ${method} ${path} wrongly: ${got}`);
}
