import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import Type, { type Static, type TSchema } from "typebox";
import { Check } from "typebox/value";
import { readIfThere, removeWhole, writeWhole } from "../write-whole.ts";

const nullable = <const T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** At one CA. */
const account = Type.Object({
  key: Type.String(),
  /** Null until the CA has answered. */
  url: nullable(Type.String()),
  contact: nullable(Type.String()),
});
const challenge = Type.Object({ asked: Type.String(), name: Type.String(), value: Type.String() });
/** An order under way, with the key that its certificate is going to have. */
const order = Type.Object({
  url: Type.String(),
  key: Type.String(),
  names: Type.Array(Type.String()),
  profile: nullable(Type.String()),
  createdAt: Type.Number(),
  /** Records that may be in the DNS because of it. */
  records: Type.Array(challenge),
});
/** The newest certificate that the CA gave. */
const issued = Type.Object({
  chain: Type.String(),
  key: Type.String(),
  profile: nullable(Type.String()),
  /** See `Lifetime`. */
  fraction: Type.Number(),
});
/** When something is due, as far as a start must know it. Epoch milliseconds. */
const schedule = Type.Object({
  failures: Type.Number(),
  lastAttemptAt: Type.Number(),
  retryAt: Type.Number(),
  askedUntil: Type.Number(),
  /** Of the configuration that failed: another one is tried at once. */
  configuration: Type.String(),
  lastError: nullable(Type.Object({ at: Type.Number(), message: Type.String() })),
  window: nullable(Type.Object({ start: Type.Number(), end: Type.Number() })),
  /** Of the certificate that the window is for. */
  fingerprint: Type.String(),
  windowCheckAt: Type.Number(),
});
const acmeDns = Type.Object({
  username: Type.String(),
  password: Type.String(),
  subdomain: Type.String(),
  fulldomain: Type.String(),
});

export type StoredAccount = Static<typeof account>;
export type StoredOrder = Static<typeof order>;
export type StoredCertificate = Static<typeof issued>;
export type StoredSchedule = Static<typeof schedule>;
export type StoredAcmeDnsAccount = Static<typeof acmeDns>;

/**
 * What is remembered of one CA, in a directory of its own below `<private>/acme/`. Every file is 0600, written whole, and
 * there before what it makes possible is done: a process that dies anywhere goes on from there.
 */
export class AcmeStore {
  readonly #directory: string;
  readonly #shared: string;
  readonly #staging: string;
  readonly #logger: Logger;

  constructor(privateDirectory: string, directoryUrl: string, logger: Logger) {
    this.#shared = join(privateDirectory, "acme");
    this.#directory = join(this.#shared, placeOf(directoryUrl));
    this.#staging = privateDirectory;
    this.#logger = logger;
  }

  async open(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
  }

  readAccount = () => this.#read("account.json", account);
  writeAccount = (value: StoredAccount) => this.#write("account.json", value);
  readOrder = () => this.#read("order.json", order);
  writeOrder = (value: StoredOrder) => this.#write("order.json", value);
  removeOrder = async () => void (await removeWhole(join(this.#directory, "order.json")));
  readCertificate = () => this.#read("certificate.json", issued);
  writeCertificate = (value: StoredCertificate) => this.#write("certificate.json", value);
  readSchedule = () => this.#read("schedule.json", schedule);
  writeSchedule = (value: StoredSchedule) => this.#write("schedule.json", value);
  readAcmeDnsAccount = () => this.#read("acme-dns.json", acmeDns, this.#shared);
  writeAcmeDnsAccount = (value: StoredAcmeDnsAccount) => this.#write("acme-dns.json", value, this.#shared);

  /** What cannot be read is as good as not there: it is asked for anew. */
  async #read<T extends TSchema>(name: string, schema: T, directory = this.#directory): Promise<Static<T> | undefined> {
    const path = join(directory, name);
    const text = await readIfThere(path);
    if (text === undefined) return undefined;
    const value = parse(text);
    if (Check(schema, value)) return value;
    this.#logger.warn({ path }, "a file of the ACME client is damaged and taken for none");
    return undefined;
  }

  async #write(name: string, value: object, directory = this.#directory): Promise<void> {
    const text = `${JSON.stringify(value)}\n`;
    await writeWhole(join(directory, name), text, {
      mode: 0o600,
      stagingDirectories: [this.#staging],
      verify: () => {},
    });
  }
}

/** The CA's host for whoever looks, and a digest that tells two of its directories apart. */
function placeOf(directoryUrl: string): string {
  const digest = createHash("sha256").update(directoryUrl).digest("hex").slice(0, 8);
  return `${new URL(directoryUrl).hostname.replace(/[^a-z0-9.-]/g, "")}-${digest}`;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
