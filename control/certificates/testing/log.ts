import { EventEmitter, once } from "node:events";
import { pino } from "pino";

export type LogLine = { readonly msg: string; readonly level: number; readonly [key: string]: unknown };

/** A logger whose lines a test can wait for. */
export function testLog() {
  const lines: LogLine[] = [];
  const arrivals = new EventEmitter();
  const logger = pino(
    { level: "debug" },
    {
      write(text: string) {
        lines.push(JSON.parse(text));
        arrivals.emit("line");
      },
    },
  );
  /** The next line with this message, counted from the call. */
  async function next(message: string): Promise<LogLine> {
    for (let seen = lines.length; ; seen++) {
      while (seen >= lines.length) await once(arrivals, "line");
      if (lines[seen]!.msg === message) return lines[seen]!;
    }
  }
  return { logger, lines, next };
}
