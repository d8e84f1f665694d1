import { mkdir, readdir } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import type { Logger } from "pino";
import {
  apiFile,
  certificateFile,
  checkYaml,
  dynamicFiles,
  type EdgeRoutes,
  previewsFile,
  readCertificateFile,
  type SourcedPair,
  toYaml,
} from "./dynamic-files.ts";
import { readIfThere, removeWhole, writeWhole } from "./write-whole.ts";

/** The directory that Traefik watches. Each file is written whole, and only when it says something else than before. */
export class DynamicDirectory {
  readonly #path: string;
  readonly #staging: readonly string[];

  /** The temporary files are in `privateDirectory`, or beside the directory when the former is on another file system. */
  constructor(path: string, privateDirectory: string) {
    this.#path = path;
    this.#staging = [privateDirectory, dirname(path)];
  }

  /** Makes it and looks through it: what others put there Traefik reads as well, and it may freeze ours. */
  async open(logger: Logger): Promise<void> {
    await mkdir(this.#path, { recursive: true });
    const ours: readonly string[] = Object.values(dynamicFiles);
    const entries = await readdir(this.#path, { recursive: true });
    const foreign = entries.filter((name) => configuration.has(extname(name)) && !ours.includes(name));
    if (foreign.length > 0) {
      logger.warn({ directory: this.#path, files: foreign }, "files of others are in Traefik's dynamic directory");
    }
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

  removeCertificate(): Promise<boolean> {
    return removeWhole(join(this.#path, dynamicFiles.certificate));
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

const configuration = new Set([".yml", ".yaml", ".toml"]);
