/** When the CA wants a certificate renewed (RFC 9773 §4.2). */
export type RenewalWindow = { readonly start: number; readonly end: number };

export type Lifetime = {
  /** Epoch milliseconds, as all times here. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** What the CA says; null when it says nothing usable. */
  readonly window: RenewalWindow | null;
  /** Drawn once for each certificate, from 0 to 1: where in a window it lies, so that not all come at once. */
  readonly fraction: number;
};

const day = 86_400_000;
/** Let's Encrypt's own bound for short-lived certificates, whose last third is too short to mend anything. */
const shortLived = 10 * day;
/** Of the lifetime. */
const spread = 0.05;

/** When to renew: at a random time in the CA's window, else after two thirds of the life or half of a short one, and a bit sooner. */
export function renewalTime({ notBefore, notAfter, window, fraction }: Lifetime): number {
  if (window !== null && isUsable(window, notAfter))
    return Math.round(window.start + (window.end - window.start) * fraction);
  const life = notAfter - notBefore;
  const share = life <= shortLived ? 1 / 2 : 2 / 3;
  return Math.round(notBefore + life * (share - spread * fraction));
}

/** A window whose end comes first is none, and one that goes on after the certificate helps nobody. */
export function isUsable({ start, end }: RenewalWindow, notAfter: number): boolean {
  return start < end && end <= notAfter;
}
