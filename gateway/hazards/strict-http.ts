/** A reading of HTTP/1.1 that forgives nothing, written without a look at the gateway's: what it refuses, nobody may pass on. */

export type Header = readonly [name: string, value: string];

export type StrictMessage = {
  /** The request or status line. */
  readonly line: string;
  readonly headers: readonly Header[];
  /** Without its framing. */
  readonly body: string;
};

/** All messages that are there whole, and why there are no more. */
export type StrictReading = {
  readonly messages: readonly StrictMessage[];
  readonly end: "nothing is left" | "more is needed" | "not HTTP";
};

class NotHttp extends Error {}
class Incomplete extends Error {}

/** Reads requests off a connection (RFC 9112). */
export function readRequests(bytes: string): StrictReading {
  const reader = new Reader(bytes);
  const messages: StrictMessage[] = [];
  try {
    while (!reader.isAtEnd()) {
      const message = readRequest(reader);
      if (message === undefined) break;
      messages.push(message);
      if (isLast(message)) return { messages, end: "nothing is left" };
    }
    return { messages, end: "nothing is left" };
  } catch (error) {
    if (error instanceof Incomplete) return { messages, end: "more is needed" };
    if (error instanceof NotHttp) return { messages, end: "not HTTP" };
    throw error;
  }
}

function readRequest(reader: Reader): StrictMessage | undefined {
  // RFC 9112 §2.2: empty lines before a request are passed over, and halves of them mean nothing else.
  reader.skipLineEnds();
  if (reader.isAtEnd()) return undefined;
  const line = reader.line();
  // RFC 9112 §3 lets more than one blank stand between the words.
  const [, method, target, minor] = /^([A-Z][A-Z-]*) +([\x21-\x7e]+) +HTTP\/1\.([01])$/.exec(line) ?? refuse();
  const headers = reader.headers();
  const [host, ...otherHosts] = valuesOf(headers, "host");
  if (host === undefined || host === "" || otherHosts.length > 0) refuse();
  if (method === "CONNECT" || method === "TRACE") refuse();
  const authority = /^https?:\/\/([^/?#]*)/i.exec(target!)?.[1];
  if (authority === undefined ? !target!.startsWith("/") : authority.toLowerCase() !== host!.toLowerCase()) refuse();
  if (target!.includes("#")) refuse();
  return { line, headers, body: readBody(reader, headers, minor === "1") };
}

function readBody(reader: Reader, headers: readonly Header[], mayBeChunked: boolean): string {
  if (headers.some(([name]) => /^(content_length|transfer_encoding)$/i.test(name))) refuse();
  const lengths = valuesOf(headers, "content-length");
  const encodings = valuesOf(headers, "transfer-encoding");
  if (lengths.length + encodings.length > 1) refuse();
  if (encodings.length > 0) {
    if (!mayBeChunked || encodings[0]!.toLowerCase() !== "chunked") refuse();
    return reader.chunks();
  }
  if (lengths.length === 0) return "";
  if (!/^[0-9]{1,15}$/.test(lengths[0]!)) refuse();
  return reader.take(Number(lengths[0]));
}

export function valuesOf(headers: readonly Header[], lowerName: string): string[] {
  return headers.filter(([name]) => name.toLowerCase() === lowerName).map(([, value]) => value);
}

function isLast({ line, headers }: StrictMessage): boolean {
  const options = valuesOf(headers, "connection")
    .join()
    .split(",")
    .map((option) => option.trim().toLowerCase());
  return options.includes("close") || (line.endsWith("HTTP/1.0") && !options.includes("keep-alive"));
}

function refuse(): never {
  throw new NotHttp();
}

class Reader {
  readonly #bytes: string;
  #at = 0;

  constructor(bytes: string) {
    this.#bytes = bytes;
  }

  isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  skipLineEnds(): void {
    while (this.#bytes[this.#at] === "\r" || this.#bytes[this.#at] === "\n") this.#at++;
  }

  take(length: number): string {
    if (this.#at + length > this.#bytes.length) throw new Incomplete();
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }

  /** Up to the next CRLF, with no other line end in it. */
  line(): string {
    const end = this.#bytes.indexOf("\r\n", this.#at);
    const line = end < 0 ? this.#bytes.slice(this.#at) : this.#bytes.slice(this.#at, end);
    if (/[\r\n]/.test(end < 0 ? line.replace(/\r$/, "") : line)) refuse();
    if (end < 0) throw new Incomplete();
    this.#at = end + 2;
    return line;
  }

  headers(): Header[] {
    const headers: Header[] = [];
    for (let line = this.line(); line !== ""; line = this.line()) {
      const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(line) ?? refuse();
      headers.push([match[1]!, match[2]!.replace(/[ \t]+$/, "")]);
    }
    return headers;
  }

  chunks(): string {
    for (let content = ""; ; ) {
      const match = /^([0-9A-Fa-f]{1,12})(?:;[\t\x20-\x7e\x80-\xff]*)?$/.exec(this.line()) ?? refuse();
      const size = Number.parseInt(match[1]!, 16);
      if (size === 0) {
        this.headers();
        return content;
      }
      content += this.take(size);
      if (this.take(2) !== "\r\n") refuse();
    }
  }
}
