import { once } from "node:events";
import { type IncomingMessage, request as plain, type RequestOptions } from "node:http";
import { text } from "node:stream/consumers";

export type Answer = {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
};

export type Asked = {
  readonly host?: string;
  readonly port?: number;
  /** A unix socket instead of a host and port. */
  readonly socketPath?: string;
  readonly path: string;
  /** The `Host` to ask for, when it is another one than is dialled. */
  readonly hostHeader?: string;
};

/** Why nothing was heard: the code of the system or of the HTTP client, such as `ECONNREFUSED`. */
export type Silence = { readonly silence: string };

/** GETs on a connection of its own. A refusal to connect and every other failure is a silence; never rejects. */
export async function ask(asked: Asked, signal: AbortSignal): Promise<Answer | Silence> {
  const { hostHeader, ...where } = asked;
  const options: RequestOptions = { ...where, signal, agent: false, headers: hostHeader ? { host: hostHeader } : {} };
  try {
    const request = plain(options);
    request.end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    return { status: response.statusCode!, headers: response.headers, body: await text(response) };
  } catch (error) {
    return { silence: codeOf(error) };
  }
}

export function isSilent(answer: object): answer is Silence {
  return "silence" in answer;
}

/** `ECONNREFUSED` and its like; `timeout` for what was given up. */
export function codeOf(error: unknown): string {
  const { code, name, message } = error as NodeJS.ErrnoException;
  if (name === "AbortError" || name === "TimeoutError" || code === "ABORT_ERR") return "timeout";
  return code ?? message;
}
