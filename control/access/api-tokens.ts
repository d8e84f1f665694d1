import type { ApiToken } from "./api-token.ts";

/** The tokens of the API as they are now: a reload replaces them. */
export class ApiTokens {
  readonly #listeners = new Set<() => void>();
  #all: readonly ApiToken[];

  constructor(all: readonly ApiToken[]) {
    this.#all = all;
  }

  get all(): readonly ApiToken[] {
    return this.#all;
  }

  /** Whether this token is still one of them and as good as it was. */
  has({ name, secret, scope }: ApiToken): boolean {
    return this.#all.some((token) => token.name === name && token.secret === secret && token.scope === scope);
  }

  replace(tokens: readonly ApiToken[]): void {
    this.#all = tokens;
    for (const listener of this.#listeners) listener();
  }

  onReplace(listener: () => void): void {
    this.#listeners.add(listener);
  }
}
