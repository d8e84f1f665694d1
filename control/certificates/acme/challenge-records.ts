/** A TXT record that answers a DNS-01 challenge (RFC 8555 §8.4). */
export type ChallengeRecord = {
  /** The name that the CA asks for, and the name that its aliases lead to; without the last dot. */
  readonly asked: string;
  readonly name: string;
  readonly value: string;
};

/** Whoever can make the operator's name servers say it. */
export interface ChallengeRecords {
  /** Settles when the change was taken. It need not be visible yet. */
  present(record: ChallengeRecord, signal: AbortSignal): Promise<void>;
  /** Takes back this value and no other; one that is gone is fine. */
  remove(record: ChallengeRecord, signal: AbortSignal): Promise<void>;
}
