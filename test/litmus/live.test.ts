// x86-TSO between cores on threads of their own, on the bare machine: no kernel, no board, no seed. The host's processors
// order what the guest's do (ARCHITECTURE.md, Memory order). Each round of a test has cells of its own, and begins when all
// threads have come to it, or have let the others wait too long. What x86-TSO forbids may never be seen (SDM vol. 3A, 9.2.3); how much of the rest is seen is up to the host.
import { beforeAll, expect, test } from "vitest";
import { Cpu } from "../support/cpu.js";
import { assembly, loadsOf, REGISTERS } from "../support/litmus.js";
import { allowedBy, textOf } from "../support/shapes.js";
import { runOnThreads } from "../support/threads.js";
import { parseShape } from "../support/tso.js";

const CORES = 4;
const ROUNDS = 1000;
/** How often a thread looks whether the others have come: they may not be running. */
const PATIENCE = 1000;
const LINE = 64;
const CELLS_OF_ROUND = 4 * LINE; // x, y, z, and who has come
const COME = 3 * LINE;
const LOADS_MAX = 4;

const plain = [
  "SB",
  "MP",
  "LB",
  "R",
  "S",
  "2+2W",
  "IRIW",
  "WRC",
  "ISA2",
  "n5",
  "n6",
  "CoRR",
  "CoRW2",
  "CoWR",
  "MP+qword",
];
const names = [
  ...plain, "SB-xchgs", "IRIW-xchgs", "SB+mfence", "SB+lock", "SB+xchg", "R+mfence", "2+2W+xchg", "IRIW+lock", "n6+mfence",
]; // biome-ignore format: a list

const CODE = 0x1_0000;
const CODE_BYTES = 0x1_0000;
const OWN = 0x18_0000;
const BARRIER = 0x1f_0000;
const CELLS = 0x20_0000;
const TEST_BYTES = ROUNDS * CELLS_OF_ROUND;
const RESULTS = CELLS + names.length * TEST_BYTES;
const RESULT_BYTES = ROUNDS * LOADS_MAX * 8;
const resultsOf = (index: number, core: number) => RESULTS + (index * CORES + core) * RESULT_BYTES;

/** All threads come to it, then all go on. R15 counts them. */
const together = (label: string) => `
  add r15, ${CORES}
  lock inc qword ptr [${BARRIER}]
  ${label}: pause
  cmp [${BARRIER}], r15
  jb ${label}`;

/** What a core does: all rounds of all tests; in those that have no thread for it it only waits. */
function program(core: number): string {
  return names
    .map((name, index) => {
      const { threads } = parseShape(textOf(name));
      const steps = threads[core];
      if (steps === undefined) return together(`all${index}`);
      const body = assembly(steps, (cell, offset) => `r9+${LINE * cell + offset}`);
      const loads = loadsOf(steps).map((_, i) => REGISTERS[i]![8]!);
      return `
        mov r9d, ${CELLS + index * TEST_BYTES}
        mov r10d, ${resultsOf(index, core)}
        ${together(`all${index}`)}
        mov r11d, ${ROUNDS}
        round${index}:
        ${loads.map((register) => `xor ${register}, ${register}`).join("\n")}
        mov r13d, ${PATIENCE}
        lock inc dword ptr [r9+${COME}]
        come${index}: cmp dword ptr [r9+${COME}], ${threads.length}
        je go${index}
        dec r13d
        jnz come${index}
        go${index}: ${body}
        ${loads.map((register, i) => `mov [r10+${8 * i}], ${register}`).join("\n")}
        add r9, ${CELLS_OF_ROUND}
        add r10, ${8 * LOADS_MAX}
        dec r11d
        jnz round${index}`;
    })
    .join("\n");
}

let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create({
    cores: CORES,
    live: true,
    ramBytes: RESULTS + names.length * CORES * RESULT_BYTES,
  });
  for (let core = 0; core < CORES; core++) {
    const at = CODE + core * CODE_BYTES;
    cpu.place(at, `${program(core)}\nhlt`);
    cpu.setUp({ core, at, rsp: 0x8_0000 + core * 0x1000 });
    cpu.state(core).set({ r12: OWN + core * 0x1000, r15: 0 });
  }
  await runOnThreads(cpu.memory, cpu.engine.plan, cpu.modules);
}, 120_000);

// SDM vol. 3A, 9.2.3
test.each(names.map((name, index) => ({ name, index })))("$name", ({ name, index }) => {
  const { threads, finals } = parseShape(textOf(name));
  const seen = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    const loaded = threads.flatMap((steps, core) =>
      loadsOf(steps).map((_, i) => cpu.read(resultsOf(index, core) + round * LOADS_MAX * 8 + 8 * i, 8)),
    );
    const cells = CELLS + index * TEST_BYTES + round * CELLS_OF_ROUND;
    const final = finals.map((p) => cpu.read(cells + LINE * p.cell + p.offset, p.bytes as 1 | 2 | 4 | 8));
    const outcome = [...loaded, ...final].join();
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
  }
  const allowed = allowedBy(name);
  expect(
    [...seen].filter(([outcome]) => !allowed.has(outcome)).map(([outcome, count]) => `${outcome}: ${count}`),
  ).toEqual([]);
  expect([...seen.values()].reduce((a, b) => a + b)).toBe(ROUNDS);
});
