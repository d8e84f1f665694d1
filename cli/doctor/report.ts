import type { Finding } from "./doctor.ts";

const marks = { ok: "ok  ", warn: "warn", fail: "FAIL" } as const;
const colors = { ok: 32, warn: 33, fail: 31 } as const;

/** One line for each finding, and below it what mends it. */
export function toText(findings: readonly Finding[], { color }: { readonly color: boolean }): string {
  const paint = (text: string, code: number) => (color ? `\x1b[${code}m${text}\x1b[0m` : text);
  const width = Math.max(...findings.map(({ name }) => name.length));
  const indent = " ".repeat(width + 8);
  const lines = findings.flatMap(({ status, name, message, mend }) => [
    `${paint(marks[status], colors[status])}  ${name.padEnd(width)}  ${message}`,
    ...(mend === undefined || status === "ok" ? [] : [`${indent}→ ${mend}`]),
  ]);
  const { ok, warn, fail } = countByStatus(findings);
  return `${lines.join("\n")}\n\n${ok} ok, ${warn} warnings, ${fail} failures\n`;
}

export function toJson(findings: readonly Finding[]): string {
  return `${JSON.stringify({ ok: isWell(findings), counts: countByStatus(findings), findings }, null, 2)}\n`;
}

/** Warnings are for somebody to read; failures are for a script to stop at. */
export function isWell(findings: readonly Finding[]): boolean {
  return findings.every(({ status }) => status !== "fail");
}

function countByStatus(findings: readonly Finding[]) {
  const of = (wanted: Finding["status"]) => findings.filter(({ status }) => status === wanted).length;
  return { ok: of("ok"), warn: of("warn"), fail: of("fail") };
}
