import * as decode from "./decode.ts";

/** Which pages of other origins may call a preview (Fetch §3.2). What is left out is answered as the browser asks. */
export const corsPolicy = decode.object({
  /** `https://host[:port]` each, or `*` alone. */
  origins: decode.array(decode.string),
  methods: decode.optional(decode.array(decode.string)),
  headers: decode.optional(decode.array(decode.string)),
  credentials: decode.optional(decode.boolean),
  maxAgeSeconds: decode.optional(decode.count),
});
export type CorsPolicy = ReturnType<typeof corsPolicy>;
