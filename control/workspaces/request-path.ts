import { ApiError } from "../api-error.ts";
import { type Parts, split } from "./walk.ts";
import { home } from "./workspace.ts";

const mostBytes = 4096;
/** Where an app lives below the root of its workspace. */
export const appDirectory = "workspace/app";

/**
 * The parts of a path that a caller wrote: `/home/sandbox/…` is what the sandbox sees there, and anything else is below
 * `from`, with a slash in front or without. Throws ApiError `invalid_request` for what leads up.
 */
export function parseRequestPath(text: string, from: string): Parts {
  const inHome = text === home || text.startsWith(`${home}/`);
  const bytes = Buffer.from(inHome ? text.slice(home.length) : `${from}/${text}`);
  if (bytes.length > mostBytes) throw new ApiError("invalid_request", "query: path is too long");
  if (bytes.includes(0)) throw new ApiError("invalid_request", "query: path has a NUL byte in it");
  const parts = split(bytes).filter((part) => !part.equals(Buffer.from(".")));
  if (parts.some((part) => part.equals(Buffer.from("..")))) {
    throw new ApiError("invalid_request", "query: path must not lead up by ..");
  }
  return parts;
}
