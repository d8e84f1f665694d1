/** The middle value, or the mean of the two in the middle. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return Number.isInteger(middle)
    ? (sorted[middle - 1]! + sorted[middle]!) / 2
    : (sorted[Math.floor(middle)] ?? Number.NaN);
}

/** The value that this share of all do not exceed, by nearest rank. NaN for none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** The median of the quotients of what was measured next to each other: a slow moment of the machine slows both. */
export function medianRatio(values: readonly number[], reference: readonly number[]): number {
  return median(values.map((value, round) => value / reference[round]!));
}

/** How far those quotients lie apart. */
export function formatSpread(values: readonly number[], reference: readonly number[]): string {
  const ratios = values.map((value, round) => value / reference[round]!);
  return `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)} by round`;
}
