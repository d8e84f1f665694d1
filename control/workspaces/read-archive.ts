import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { extract } from "tar-stream";
import { type Entry, fromFdPromise } from "yauzl";
import { ApiError } from "../api-error.ts";
import { type ArchiveEntry, refused } from "./archive-entry.ts";

/** Of an archive as it comes. */
export const mostArchiveBytes = 10 * 2 ** 30;
const mostTargetBytes = 4096;
const sniffedBytes = 4;

/**
 * The entries of an archive, told by its first bytes: zip, tar.gz, tar.zst, else tar. Each has to be read before the next is
 * asked for. A zip, whose list of entries is at its end, is put into a file in `spool` first. Throws ApiError `too_large`.
 */
export async function* readArchive(source: AsyncIterable<Buffer>, spool: string): AsyncGenerator<ArchiveEntry> {
  const bytes = bounded(source)[Symbol.asyncIterator]();
  const head = await readHead(bytes);
  const whole = rejoin(head, bytes);
  const magic = head.toString("latin1", 0, sniffedBytes);
  if (magic === "PK\x03\x04" || magic === "PK\x05\x06") yield* readZip(whole, spool);
  else if (magic.startsWith("\x1f\x8b")) yield* readTar(whole, createGunzip());
  else if (magic === "\x28\xb5\x2f\xfd") yield* readTar(whole, createZstdDecompress());
  else yield* readTar(whole);
}

async function* bounded(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > mostArchiveBytes) throw new ApiError("too_large", "An archive has at most 10 GiB");
    yield chunk;
  }
}

async function readHead(bytes: AsyncIterator<Buffer>): Promise<Buffer> {
  let head = Buffer.alloc(0);
  while (head.length < sniffedBytes) {
    const next = await bytes.next();
    if (next.done) break;
    head = Buffer.concat([head, next.value]);
  }
  if (head.length === 0) throw new ApiError("invalid_request", "archive: the body is empty");
  return head;
}

async function* rejoin(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield head;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

async function* readTar(source: AsyncIterable<Buffer>, decoder?: NodeJS.ReadWriteStream): AsyncGenerator<ArchiveEntry> {
  const tar = extract();
  const sink = tar as unknown as NodeJS.WritableStream & { destroy(error: Error): void };
  const raw = Readable.from(source, { objectMode: false });
  const input = decoder === undefined ? raw : raw.pipe(decoder);
  // pipe() tells no error on.
  for (const stream of [raw, input]) stream.on("error", (error) => sink.destroy(error));
  input.pipe(sink);
  try {
    for await (const entry of tar) {
      const { name, type, mode = 0, mtime = new Date(), linkname } = entry.header;
      const common = { name, mode, mtime };
      const target = linkname ?? "";
      if (type === "directory") yield { ...common, type: "dir" };
      else if (type === "symlink") yield { ...common, type, target };
      else if (type === "link") yield { ...common, type, target };
      else if (type === "file" || type === "contiguous-file") {
        yield { ...common, type: "file", content: entry as unknown as AsyncIterable<Buffer> };
      } else throw refused(name, `is a ${type}`);
      entry.resume();
    }
  } finally {
    raw.destroy();
    (input as Readable).destroy();
  }
}

async function* readZip(source: AsyncIterable<Buffer>, spool: string): AsyncGenerator<ArchiveEntry> {
  await using file = await openNameless(spool);
  for await (const chunk of source) await file.writeFile(chunk);
  const zip = await fromFdPromise(file.fd, { autoClose: false, lazyEntries: true });
  for await (const entry of zip.eachEntry()) {
    const common = { name: entry.fileName, mode: modeOf(entry), mtime: entry.getLastModDate() };
    const kind = (entry.externalFileAttributes >>> 16) & constants.S_IFMT;
    if (entry.fileName.endsWith("/")) yield { ...common, type: "dir" };
    else if (kind === constants.S_IFLNK) {
      if (entry.uncompressedSize > mostTargetBytes) throw refused(entry.fileName, "is a link that is too long");
      const target = Buffer.concat(await (await zip.openReadStreamPromise(entry)).toArray());
      yield { ...common, type: "symlink", target: target.toString() };
    } else if (kind === 0 || kind === constants.S_IFREG) {
      yield { ...common, type: "file", content: await zip.openReadStreamPromise(entry) };
    } else throw refused(entry.fileName, "is neither file, directory nor link");
  }
}

/** What was packed where there are no modes has none. */
function modeOf({ externalFileAttributes, fileName }: Entry): number {
  const mode = (externalFileAttributes >>> 16) & 0o7777;
  if (mode !== 0) return mode;
  return fileName.endsWith("/") ? 0o755 : 0o644;
}

/** A file without a name, so that nothing is left of it however this program ends. */
async function openNameless(directory: string): Promise<FileHandle> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, randomUUID());
  const file = await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600);
  await unlink(path);
  return file;
}
