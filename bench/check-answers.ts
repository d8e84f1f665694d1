import { request } from "undici";
import type { Contender } from "./proxies/contender.ts";
import { WrongAnswerError } from "./scenario.ts";

type Expected = { readonly status: number; readonly body: string; readonly length?: number };
type Question = { readonly method: "GET" | "HEAD" | "POST"; readonly path: string; readonly body?: string };

const line = "0123456789abcde";
export const kilobyte = `${`${line} `.repeat(64).slice(0, 1023)} `;
export const megabyte = `${line}\n`.repeat(65_536);

const questions: readonly (readonly [Question, Expected])[] = [
  [
    { method: "GET", path: "/1k" },
    { status: 200, body: kilobyte, length: 1024 },
  ],
  [
    { method: "HEAD", path: "/1k" },
    { status: 200, body: "", length: 1024 },
  ],
  [
    { method: "GET", path: "/1m" },
    { status: 200, body: megabyte, length: 1 << 20 },
  ],
  [
    { method: "GET", path: "/echo/%2e%20/a/b?c=%26&d" },
    { status: 200, body: "GET /echo/%2e%20/a/b?c=%26&d " },
  ],
  [
    { method: "POST", path: "/echo", body: "x".repeat(100_000) },
    { status: 200, body: "POST /echo 100000" },
  ],
  [
    { method: "GET", path: "/missing" },
    { status: 404, body: "nothing here" },
  ],
];

/** Asks a proxy in front of `apps/answers` what the benchmark will, and what it could get wrong. Throws WrongAnswerError. */
export async function checkAnswers(contender: Contender): Promise<void> {
  for (const [question, expected] of questions) await check(contender, question, expected);
}

async function check({ name, port, host }: Contender, question: Question, expected: Expected): Promise<void> {
  const { method, path, body = null } = question;
  const answer = await request(`http://127.0.0.1:${port}${path}`, { method, body, headers: { host } });
  const text = await answer.body.text();
  const length = Number(answer.headers["content-length"]);
  const isRight =
    answer.statusCode === expected.status &&
    text === expected.body &&
    (expected.length === undefined || length === expected.length);
  if (isRight) return;
  const got = `${answer.statusCode}, length ${length}, ${JSON.stringify(text.slice(0, 100))}`;
  throw new WrongAnswerError(`${name} answered ${method} ${path} wrongly: ${got}`);
}
