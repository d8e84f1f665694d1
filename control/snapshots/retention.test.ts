import t from "tap";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { expiredSnapshots } from "./retention.ts";
import type { Snapshot } from "./snapshot.ts";

const dayMs = 24 * 60 * 60_000;
const now = 100 * dayMs;
const none = { userId: null, projectId: null, workspaceId: null };

function aged(...days: readonly number[]): Snapshot[] {
  return days.map((age) => ({
    ...{ id: newSandboxId(), sandboxId: newSandboxId(), name: null, cause: "operator", external: none },
    ...{ sizeBytes: 0, stoodStillMs: 0, skipped: [], skippedCount: 0, createdAt: now - age * dayMs },
  }));
}

const table: [name: string, ages: number[], rule: Parameters<typeof expiredSnapshots>[1], gone: number[]][] = [
  ["no bound", [1, 200], { keep: null, keepDays: null }, []],
  ["a number", [3, 1, 2, 4], { keep: 2, keepDays: null }, [3, 4]],
  ["an age", [1, 7, 8, 9], { keep: null, keepDays: 7 }, [8, 9]],
  ["both", [1, 2, 3, 9], { keep: 3, keepDays: 2 }, [3, 9]],
  ["the newest stays", [50, 60], { keep: 1, keepDays: 7 }, [60]],
];

for (const [name, ages, rule, gone] of table) {
  t.test(`expiredSnapshots(): ${name}`, async (t) => {
    const found = expiredSnapshots(aged(...ages), rule, now).map(({ createdAt }) => (now - createdAt) / dayMs);
    t.same(found.sort(), gone);
  });
}
