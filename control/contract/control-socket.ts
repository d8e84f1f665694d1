/** The most bytes that a unix socket's path may have on every system we run on: Linux takes 107, macOS 103. */
export const highestSocketPathLength = process.platform === "darwin" ? 103 : 107;
