import type { ScenarioOptions } from "./scenario.ts";
import { appPort, createSandbox, type Sandbox, type Stack, startStack } from "./stack.ts";

/** A stack with one sandbox that runs `apps/answers`, and where that app really listens. */
export type Answers = AsyncDisposable & { readonly stack: Stack; readonly sandbox: Sandbox; readonly port: number };

export async function startAnswers({ profileDirectory }: ScenarioOptions): Promise<Answers> {
  const stack = await startStack({ profileDirectory });
  try {
    const { sandbox, port } = await createAnswering(stack, "public");
    return { stack, sandbox, port, [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose]() };
  } catch (error) {
    await stack[Symbol.asyncDispose]();
    throw error;
  }
}

/** One more sandbox that runs `apps/answers`. */
export async function createAnswering(
  stack: Stack,
  visibility: "public" | "private",
): Promise<{ readonly sandbox: Sandbox; readonly port: number }> {
  const sandbox = await createSandbox(stack, "answers", ["sh", "run.sh"], visibility);
  return { sandbox, port: await appPort(sandbox) };
}
