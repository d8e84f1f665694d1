/** How an app is put to sleep. */
export type SleepMode = "stop" | "pause";

/** A way from sleep to the first byte of an answer, in milliseconds. */
export type Waking = {
  /** Until the engine has done its part. */
  readonly engineMs: number;
  /** In all. */
  readonly firstByteMs: number;
};

/** The app on an engine and nothing else: what a wake through sandboxd is held against. */
export interface BareApp extends AsyncDisposable {
  sleep(mode: SleepMode): Promise<void>;
  /** Wakes it as it was put to sleep, and asks as soon as it can be asked. */
  wake(): Promise<Waking>;
}
