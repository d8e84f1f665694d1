import { watch } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Logger } from "pino";
import {
  apiFile,
  certificateFile,
  checkYaml,
  dynamicFiles,
  type EdgeRoutes,
  generatedCertificateFile,
  previewsFile,
  readCertificateFile,
  type SourcedPair,
  toYaml,
} from "./dynamic-files.ts";
import { type FileProblem, isConfiguration, problemOf } from "./foreign-file.ts";
import { readIfThere, removeLeftovers, removeWhole, writeWhole } from "./write-whole.ts";

/** Several files that are copied one after the other are looked at once. */
const settleMs = 300;
const ours: readonly string[] = Object.values(dynamicFiles);

/** The directory that Traefik watches. Each file is written whole, and only when it says something else than before. */
export class DynamicDirectory {
  readonly #path: string;
  readonly #private: string;
  readonly #staging: readonly string[];
  readonly #logger: Logger;
  #problems: readonly FileProblem[] = [];

  /** The temporary files are in `privateDirectory`, or beside the directory when the former is on another file system. */
  constructor(path: string, privateDirectory: string, logger: Logger) {
    this.#path = path;
    this.#private = privateDirectory;
    this.#staging = [privateDirectory, dirname(path)];
    this.#logger = logger;
  }

  /** Makes it, removes what a process that died while it wrote left behind, and looks at the files of others. */
  async open(): Promise<void> {
    await mkdir(this.#path, { recursive: true });
    await removeLeftovers(this.#private);
    await removeLeftovers(dirname(this.#path), ours);
    const foreign = (await this.#configurationFiles()).filter((file) => !ours.includes(file));
    if (foreign.length > 0) {
      this.#logger.warn(
        { directory: this.#path, files: foreign },
        "files of others are in Traefik's dynamic directory",
      );
    }
    await this.inspect();
  }

  /** What keeps Traefik from taking changes, or gets in the way of ours, as of the last look. */
  get problems(): readonly FileProblem[] {
    return this.#problems;
  }

  /** Looks at every file that Traefik reads. Answers whether anything is different from the last time. */
  async inspect(): Promise<boolean> {
    const problems: FileProblem[] = [];
    for (const file of await this.#configurationFiles()) {
      const problem = await this.#look(file);
      if (problem !== undefined) problems.push({ file, problem });
    }
    const said = this.#problems.map(toLine);
    this.#problems = problems;
    for (const each of problems.filter((each) => !said.includes(toLine(each)))) {
      this.#logger.error({ ...each, directory: this.#path }, "a file in Traefik's dynamic directory is in the way");
    }
    if (said.length > 0 && problems.length === 0) this.#logger.info("Traefik's dynamic directory is in order again");
    return String(said) !== String(problems.map(toLine));
  }

  /** Looks again when a file changes, and every so often; calls back when something is different. */
  watch(everyMs: number, changed: () => void): Disposable {
    const look = () => this.inspect().then((isDifferent) => isDifferent && changed(), failed);
    const failed = (err: unknown) => this.#logger.warn({ err }, "Traefik's dynamic directory cannot be watched");
    let settling: NodeJS.Timeout | undefined;
    const timer = setInterval(look, everyMs).unref();
    const watcher = watch(this.#path, { persistent: false }, () => {
      clearTimeout(settling);
      settling = setTimeout(look, settleMs);
    }).on("error", failed);
    return {
      [Symbol.dispose]: () => {
        clearInterval(timer);
        clearTimeout(settling);
        watcher.close();
      },
    };
  }

  async writeRoutes(routes: EdgeRoutes): Promise<void> {
    await this.#write(dynamicFiles.previews, previewsFile(routes), 0o644);
    await this.#write(dynamicFiles.api, apiFile(routes), 0o644);
  }

  async readCertificate(): Promise<SourcedPair | undefined> {
    const text = await readIfThere(join(this.#path, dynamicFiles.certificate));
    return text === undefined ? undefined : readCertificateFile(text);
  }

  /** Answers whether the file said something else before. */
  writeCertificate(pair: SourcedPair): Promise<boolean> {
    return this.#write(dynamicFiles.certificate, certificateFile(pair), 0o600, pair.source);
  }

  /** Has Traefik get the certificate itself. */
  writeGeneratedCertificate(domain: string): Promise<boolean> {
    return this.#write(dynamicFiles.certificate, generatedCertificateFile(domain), 0o600, "traefik");
  }

  removeCertificate(): Promise<boolean> {
    return removeWhole(join(this.#path, dynamicFiles.certificate));
  }

  async #configurationFiles(): Promise<string[]> {
    const entries = await readdir(this.#path, { recursive: true });
    return entries.filter(isConfiguration).sort();
  }

  async #look(file: string): Promise<string | undefined> {
    let text: string;
    try {
      text = await readFile(join(this.#path, file), "utf8");
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      return code === "ENOENT" || code === "EISDIR" ? undefined : `cannot be read: ${message}`;
    }
    return problemOf(file, text);
  }

  #write(name: string, file: ReturnType<typeof certificateFile>, mode: number, source?: string): Promise<boolean> {
    const verify = (text: string) => checkYaml(file, text);
    return writeWhole(join(this.#path, name), toYaml(file, source), {
      mode,
      stagingDirectories: this.#staging,
      verify,
    });
  }
}

function toLine({ file, problem }: FileProblem): string {
  return `${file} ${problem}`;
}
