// On a whole machine: RDRAND's numbers come from the seed and go on after a snapshot where they stood, and cores that
// wait for each other's stores by MWAIT sleep meanwhile. Intel SDM vol. 1, 7.3.17 (RDRAND), vol. 3A, 9.10.4 (MWAIT).

import { describe, expect, test } from "vitest";
import { Machine } from "../../emulator/index.js";

const NUMBERS = 0x2_0000;
const COUNT = 8;

describe("RDRAND", () => {
  const draw = `mov ebx, ${NUMBERS};; mov ecx, ${COUNT}
    again: rdrand rax;; mov [rbx], rax;; add ebx, 8;; dec ecx;; jnz again;; hlt`;
  async function numbers(seed: number | undefined, name = "machine") {
    const machine = await Machine.create({ name, ...(seed === undefined ? {} : { seed }) });
    machine.start(draw);
    machine.run();
    return { machine, drawn: drawnBy(machine) };
  }
  const drawnBy = (machine: Machine) =>
    Array.from({ length: COUNT }, (_, i) => machine.read(NUMBERS + 8 * i, 8));

  test("one seed, one sequence; another seed or another machine, another one", async () => {
    const first = (await numbers(7)).drawn;
    expect(new Set(first).size).toBe(COUNT);
    expect((await numbers(7)).drawn).toEqual(first);
    expect((await numbers(8)).drawn).not.toEqual(first);
    expect((await numbers(7, "other")).drawn).not.toEqual(first);
  });
  test("a snapshot holds where the sequence stands", async () => {
    const { machine } = await numbers(7);
    const snapshot = machine.snapshot();
    const next = () => {
      machine.start(draw);
      machine.run();
      return drawnBy(machine);
    };
    const second = next();
    const third = next();
    expect(third).not.toEqual(second);
    machine.restore(snapshot);
    expect(next()).toEqual(second);
  });
});

describe("MWAIT", () => {
  const BALL = 0x2_1000;
  const ROUNDS = 50;
  /** Core n waits until the count is even or odd, as n is, and adds one. */
  const play = `
    mov ebx, ${BALL}
    mov esi, ${ROUNDS}
    turn:
    mov rax, rbx
    xor ecx, ecx
    xor edx, edx
    monitor
    mov eax, [rbx]
    and eax, 1
    cmp eax, edi
    je mine
    xor eax, eax
    mwait
    jmp turn
    mine:
    mov r8d, 2000
    hold: dec r8d
    jnz hold
    inc dword ptr [rbx]
    dec esi
    jnz turn
    hlt`;
  for (const seed of [1, 2, 3])
    test(`two cores hand a count to each other, and sleep while it is the other's (seed ${seed})`, async () => {
      const machine = await Machine.create({ cores: 2 });
      machine.start(play);
      expect(machine.run({ limit: 1e7, seed })).toBe("halted");
      expect(machine.read(BALL, 4)).toBe(BigInt(2 * ROUNDS));
      // 4000 instructions of each round are the holder's own; a core that did not sleep would spin through the other's.
      for (const core of [0, 1]) expect(machine.core(core).retired).toBeLessThan(ROUNDS * (4000 + 100));
    });
  test("a machine restored elsewhere while a core sleeps wakes it by the same store", async () => {
    const machine = await Machine.create({ cores: 2 });
    machine.start(play);
    for (let at = 0; at < 5; at++) {
      machine.run({ limit: 3001, seed: 4 });
      const restored = await Machine.create({ cores: 2 });
      restored.restore(machine.snapshot());
      expect(restored.run({ limit: 1e7, seed: 4 })).toBe("halted");
      expect(restored.read(BALL, 4)).toBe(BigInt(2 * ROUNDS));
    }
  });
});
