import type { Part } from "../e2e/parts/parts.ts";

/** How much of everything: the whole benchmark, or as little as shows that it runs. */
export type Scale = {
  /** Each contender is measured so often, in turn with the others. */
  readonly rounds: number;
  readonly secondsPerRound: number;
  /** Load before the first round, so that a contender's code is compiled. */
  readonly warmUpSeconds: number;
  readonly connections: number;
  readonly sockets: number;
  /** How long memory is left to settle before it is read. */
  readonly settleSeconds: number;
  readonly stampede: number;
  readonly wakes: number;
  /** Sleeps and wakes while clients never cease to ask. */
  readonly cycles: number;
  /** Sandboxes that are started together. */
  readonly starts: number;
  /** Containers, to see what keeping them apart costs. */
  readonly networks: number;
  /** Rows in control's database. */
  readonly sandboxes: number;
};

export type ScenarioOptions = {
  readonly scale: Scale;
  /** Where the gateway leaves its CPU profile when it stops. */
  readonly profileDirectory?: string | undefined;
  /** Tells a person what happens meanwhile. */
  readonly note: (text: string) => void;
};

/** One number of a run. `name` finds its target in `targets.ts`. */
export type Measurement = {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What the number has to be seen with. */
  readonly remark?: string;
};

/** One row group of the benchmark, in a file of its own. */
export type Scenario = {
  readonly name: string;
  readonly parts: readonly Part[];
  /** Measures, after it has checked the answers. Throws {@link WrongAnswerError} for a wrong one. */
  readonly run: (options: ScenarioOptions) => Promise<readonly Measurement[]>;
};

/** Something was measured that does not do its work. */
export class WrongAnswerError extends Error {
  override readonly name = "WrongAnswerError";
}

export const wholeScale: Scale = {
  rounds: 7,
  secondsPerRound: 3,
  warmUpSeconds: 8,
  connections: 64,
  sockets: 10_000,
  settleSeconds: 2,
  stampede: 1_000,
  wakes: 21,
  cycles: 200,
  starts: 32,
  networks: 150,
  sandboxes: 10_000,
};

export const shortScale: Scale = {
  rounds: 1,
  secondsPerRound: 1,
  warmUpSeconds: 0,
  connections: 8,
  sockets: 50,
  settleSeconds: 0.1,
  stampede: 50,
  wakes: 1,
  cycles: 2,
  starts: 2,
  networks: 3,
  sandboxes: 500,
};
