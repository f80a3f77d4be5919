// Cores that stand still when the seed says so (schedule.ts, `stall`): programs that count on how fast the others are.

import { describe, expect, test } from "vitest";
import { Machine, Random, Schedule } from "../../emulator/index.js";

/**
 * The core that takes the word first is done with it some 100 instructions later; the other waits for 20,000 of its own and
 * counts on that. At 0x5_0008 lies 1 if it was wrong.
 */
const HOPEFUL = `
          mov eax, 1
          xchg dword ptr [0x5_0000], eax
          test eax, eax
          jnz other
          mov ecx, 50
    work: loop work
          mov dword ptr [0x5_0004], 1
          hlt
   other: mov ecx, 20000
    wait: loop wait
          cmp dword ptr [0x5_0004], 1
          je right
          mov dword ptr [0x5_0008], 1
   right: hlt`;

async function hopeful(): Promise<Machine> {
  const machine = await Machine.create({ cores: 2, memory: 1 << 20 });
  machine.start(HOPEFUL);
  return machine;
}

const SEEDS = Array.from({ length: 100 }, (_, i) => i + 1);

describe("cores that stand still", () => {
  test("show a program that takes the others' speed for granted; without them no seed does", async () => {
    const machine = await hopeful();
    const start = machine.snapshot();
    const wrongAt = (stall: number) =>
      SEEDS.filter((seed) => {
        machine.restore(start);
        expect(machine.run({ seed, stall })).toBe("halted");
        return machine.read(0x5_0008, 4) === 1n;
      });
    expect(wrongAt(0)).toEqual([]);
    const wrong = wrongAt(1_000_000);
    expect(wrong.length).toBeGreaterThan(0);
    expect(wrong.length).toBeLessThan(SEEDS.length);
    expect(wrongAt(1_000_000)).toEqual(wrong);
  });

  test("stand still across a snapshot", async () => {
    const machine = await Machine.create({ cores: 2, memory: 1 << 20 });
    machine.start(`mov ecx, 100000
              top: lock inc dword ptr [0x5_0000]
                   loop top
                   hlt`);
    const schedule = new Schedule([machine], [], new Random(5), { stall: 100_000 });
    while (!schedule.snapshot().seats.some(({ stalled }) => stalled > schedule.now))
      expect(schedule.turn()).toBe("ran");
    const record = JSON.parse(JSON.stringify({ machine: machine.snapshot(), schedule: schedule.snapshot() }));
    const ends = [0, 1].map(() => {
      machine.restore(record.machine);
      schedule.restore(record.schedule);
      while (schedule.turn() !== "idle");
      return { machine: machine.snapshot(), schedule: schedule.snapshot() };
    });
    expect(ends[1]).toEqual(ends[0]);
  });
});
