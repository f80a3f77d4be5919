// Who the cluster is, as membership.test.ts has it, over many seeds: cuts of every shape, deaths, pauses, a bridge that forgets, and then
// peace, in which all must become one. SOAK_SEEDS=N wants so many seeds (1000) of each size, SHAPES_FROM=N the first one; 100 take
// some 3 minutes of a core.
import { expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import { trialAndPeace } from "../support/membership.js";

const kernel = new KernelWasm();
const bytes = kernel.constant("MEMBERSHIP_BYTES");
const rooms = [kernel.room(1024), ...Array.from({ length: 7 }, () => kernel.room(bytes))];
const first = Number(process.env["SHAPES_FROM"] ?? 100);
const seeds = Number(process.env["SOAK_SEEDS"] ?? 1000);

test.each([2, 3, 4, 5, 6, 7])("R0, R4, R7: %i machines", { timeout: 3_600_000 }, (count) => {
  const wrong: string[] = [];
  for (let seed = first; seed < first + seeds; seed++)
    try {
      trialAndPeace(kernel, count, seed, rooms);
    } catch (error) {
      wrong.push((error as Error).message);
    }
  expect(wrong).toEqual([]);
});
