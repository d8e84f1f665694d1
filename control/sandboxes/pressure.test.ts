import t from "tap";
import type { HostMemory } from "../host-memory.ts";
import { newSandboxId } from "./create-sandbox.ts";
import { type Band, bandOf, choosePressureStops, type PressureRules, refusesWakes, type Weighed } from "./pressure.ts";

const rules: PressureRules = { headroomPercent: 15, refuseWakesPercent: 10, emergencyPercent: 5, wakeCostBytes: 8 };

/** A machine with 100 bytes, so that bytes are percent. */
const memory = (availableBytes: number, stalledPercent: number | null = null): HostMemory => ({
  totalBytes: 100,
  availableBytes,
  stalledPercent,
});

t.test("bandOf() tells the bands apart at their bounds", async (t) => {
  const bands: [available: number, stalled: number | null, band: Band][] = [
    [100, null, "ok"],
    [15, null, "ok"],
    [14.9, null, "headroom"],
    [10, 0, "headroom"],
    [9.9, 0, "refuse_wakes"],
    [5, 0, "refuse_wakes"],
    [4.9, 0, "emergency"],
    [0, 100, "emergency"],
    [29.9, 9.9, "ok"],
    [29.9, 10, "headroom"],
    [30, 100, "ok"],
  ];
  for (const [available, stalled, band] of bands) {
    t.equal(bandOf(memory(available, stalled), rules), band, `${available}, stalled ${stalled}`);
  }
  const off = { ...rules, headroomPercent: 0, refuseWakesPercent: 0, emergencyPercent: 0 };
  t.equal(bandOf(memory(0), off), "ok", "0 switches a bound off");
});

t.test("refusesWakes() begins under 10 % and ends at 12 %", async (t) => {
  const steps: [available: number, refuses: boolean][] = [
    [11, false],
    [10, false],
    [9.9, true],
    [10, true],
    [11.9, true],
    [12, false],
    [11.9, false],
    [9, true],
  ];
  let refuses = false;
  for (const [available, expected] of steps) {
    refuses = refusesWakes(memory(available), rules, refuses);
    t.equal(refuses, expected, `${available}`);
  }
});

const sandbox = (bytes: number | null, lastUse: number, spare = true): Weighed => ({
  id: newSandboxId(),
  bytes,
  lastUse,
  spare,
});

t.test("choosePressureStops() stops the longest idle until there is headroom", async (t) => {
  const [newer, oldest, older] = [sandbox(4, 30), sandbox(2, 10), sandbox(4, 20)];
  const all = [newer, oldest, older];
  const stops = (available: number) => choosePressureStops(memory(available), all, rules);
  const idle = (each: Weighed) => ({ id: each.id, why: "longest_idle" });
  t.same(stops(15), []);
  t.same(stops(14), [idle(oldest)]);
  t.same(stops(13), [idle(oldest)]);
  t.same(stops(12), [idle(oldest), idle(older)]);
  t.same(stops(6), [idle(oldest), idle(older), idle(newer)], "as many as there are");
});

t.test("choosePressureStops() leaves what is used alone, short of an emergency", async (t) => {
  const [used, idle] = [sandbox(50, 1, false), sandbox(1, 9)];
  t.same(choosePressureStops(memory(9), [used, idle], rules), [{ id: idle.id, why: "longest_idle" }]);
  t.same(choosePressureStops(memory(9), [used], rules), []);
});

t.test("choosePressureStops() stops the heaviest in an emergency, and then idle ones for headroom", async (t) => {
  const [heavy, light, idle] = [sandbox(3, 50, false), sandbox(2, 1, false), sandbox(1, 9)];
  t.same(choosePressureStops(memory(4), [idle, light, heavy], rules), [
    { id: heavy.id, why: "heaviest" },
    { id: idle.id, why: "longest_idle" },
  ]);
  t.same(
    choosePressureStops(memory(0), [idle, light, heavy], rules).map(({ why }) => why),
    ["heaviest", "heaviest", "longest_idle"],
    "no more of those in use than the emergency asks for",
  );
});

t.test("choosePressureStops() takes what nobody weighed for a common one", async (t) => {
  const [first, second] = [sandbox(null, 1), sandbox(null, 2)];
  t.same(choosePressureStops(memory(10), [first, second], rules), [{ id: first.id, why: "longest_idle" }]);
});
