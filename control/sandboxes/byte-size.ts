const units = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 } as const;

/** The grammar of sizes: a whole number, with a unit in powers of 1024 or plain bytes without one. */
export const byteSizePattern = "^[1-9][0-9]{0,14}[KMGT]?$";

/** `4G` in bytes. The text has passed `byteSizePattern`. */
export function parseByteSize(text: string): number {
  const unit = units[text.at(-1) as keyof typeof units];
  return unit === undefined ? Number(text) : Number(text.slice(0, -1)) * unit;
}
