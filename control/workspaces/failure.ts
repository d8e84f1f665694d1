import { ApiError } from "../api-error.ts";

/** A path that leads to nothing, or to nothing that is a directory on the way; any other error comes through. */
export function missing(cause?: unknown): Error {
  const { code } = (cause ?? { code: "ENOENT" }) as NodeJS.ErrnoException;
  if (code === "ENOENT" || code === "ENOTDIR")
    return new ApiError("not_found", "There is nothing at this path", { cause });
  return toFailure(cause);
}

export function outside(): ApiError {
  return new ApiError("invalid_request", "path: a symbolic link leads out of the workspace");
}

/** What the system said of a file, as the caller is told it. */
export function toFailure(error: unknown): Error {
  const { code } = error as NodeJS.ErrnoException;
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return missing(error);
    case "ENAMETOOLONG":
      return new ApiError("invalid_request", "path: a name is too long", { cause: error });
    case "ELOOP":
      return new ApiError("conflict", "A symbolic link is there", { cause: error });
    case "EEXIST":
      return new ApiError("conflict", "Something is there already", { cause: error });
    case "ENOTEMPTY":
      return new ApiError("conflict", "The directory is not empty", { cause: error });
    case "EISDIR":
      return new ApiError("conflict", "A directory is there", { cause: error });
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new ApiError("forbidden", "The system does not let control do that", { cause: error });
    case "ENOSPC":
    case "EDQUOT":
      return new ApiError("too_large", "No space is left in the workspace", { cause: error });
    default:
      return error as Error;
  }
}
