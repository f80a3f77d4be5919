// A run may be cut anywhere: two runs of a core are the same as one of their sum, so that a debugger that stops and
// steps sees the run that it did not disturb.
import { describe, expect, test } from "vitest";
import { assemble } from "../../emulator/assembler.js";
import { ACTIVE, MODE_64 } from "../../emulator/cpu/layout.js";
import { archive, firmware, kernelPath, program, readImage } from "../../emulator/images.js";
import { Machine } from "../../emulator/machine.js";
import { Random } from "../../emulator/random.js";
import { Schedule, type Scheduled } from "../../emulator/schedule.js";

/** The same machine, each of its slices in pieces. */
function inPieces(
  machine: Machine,
  random: Random,
  longest: number,
  before: (core: number) => void = () => {},
): Scheduled {
  return {
    cores: machine.cores,
    get powered() {
      return machine.powered;
    },
    runnable: (core) => machine.runnable(core),
    nextDeadline: () => machine.nextDeadline(),
    advance: (now) => machine.advance(now),
    runCore: (core, budget) => {
      let done = 0;
      while (done < budget && machine.powered) {
        const piece = Math.min(budget - done, 1 + random.below(longest));
        before(core);
        const ran = machine.runCore(core, piece);
        done += ran;
        if (ran < piece) break;
      }
      return done;
    },
  };
}

async function machineOf(): Promise<Machine> {
  const { initrd, words } = archive(program("hello"));
  return await Machine.create({
    cores: 2,
    memory: 32 << 20,
    firmware: await firmware(),
    kernel: readImage("kernel", kernelPath),
    initrd,
    commandLine: `node=1 nodes=1 ${words.join(" ")} exit=f4`,
  });
}

async function boot(longest: number | null): Promise<object> {
  const machine = await machineOf();
  const scheduled = longest === null ? machine : inPieces(machine, new Random(9), longest);
  const schedule = new Schedule([scheduled], [], new Random(1));
  while (schedule.turn(10e9) !== "off") expect(schedule.now).toBeLessThan(10e9);
  return { instructions: machine.instructions, exit: machine.exitCode, now: schedule.now };
}

const IDT = 0x8000;
const HANDLER = 0x2_0000;
const VECTOR = 0x40;

describe("runs cut in pieces", () => {
  test("an interrupt that the core sends to itself comes after the store that sent it, in the middle of a block", async () => {
    const machine = await Machine.create({ memory: 4 << 20 });
    machine.load(HANDLER, assemble("mov rbx, rax\ncli\nhlt", { bits: 64, origin: HANDLER }));
    const gate = BigInt(HANDLER & 0xffff) | (8n << 16n) | (0x8en << 40n) | (BigInt(HANDLER >> 16) << 48n);
    machine.write(IDT + VECTOR * 16, 8, gate);
    // the spurious vector register enables the local APIC; shorthand "self" with the vector: Intel SDM vol. 3A, 12.6.1
    const source = `
      mov ebx, 0xfee00000
      mov dword ptr [rbx + 0xf0], 0x1ff
      xor eax, eax
      sti
      nop
      mov dword ptr [rbx + 0x300], 0x40040
      ${"inc eax\n".repeat(10)}
      hlt`;
    machine.start(source);
    machine.core().idtr = { base: BigInt(IDT), limit: 0xfff };
    expect(machine.run()).toBe("halted");
    expect(machine.core().register("rbx")).toBe(0n);
  });

  test("of up to 100 instructions: the boot of our kernel is the same", async () => {
    const whole = await boot(null);
    expect(await boot(100)).toEqual(whole);
  });

  test("by breakpoints: the boot is the same, and each address is met as often as single steps come to it", async () => {
    const whole = await boot(null);
    const visits = new Map<bigint, number>();
    const stepped = await machineOf();
    const linear = (machine: Machine, core: number): bigint => {
      const state = machine.core(core);
      return (state.mode & MODE_64) !== 0 ? state.rip : state.segment("cs").base + state.rip;
    };
    const watched = inPieces(stepped, new Random(9), 1, (core) => {
      if (stepped.core(core).activity !== ACTIVE) return;
      const at = linear(stepped, core);
      visits.set(at, (visits.get(at) ?? 0) + 1);
    });
    const steps = new Schedule([watched], [], new Random(1));
    while (steps.turn(10e9) !== "off") expect(steps.now).toBeLessThan(10e9);

    expect({ instructions: stepped.instructions, exit: stepped.exitCode, now: steps.now }).toEqual(whole);
    const rare = [...visits].filter(([, times]) => times < 50).map(([at]) => at);
    const chosen = new Set(rare.filter((_, i) => i % 50 === 0));
    expect(chosen.size).toBeGreaterThan(40);
    const machine = await machineOf();
    machine.setBreakpoints(chosen);
    const schedule = new Schedule([machine], [], new Random(1));
    const stops = new Map<bigint, number>();
    for (;;) {
      const turn = schedule.turn(10e9);
      if (turn === "off") break;
      if (turn !== "paused") continue;
      const at = linear(machine, machine.pausedCore);
      stops.set(at, (stops.get(at) ?? 0) + 1);
      machine.pausedCore = -1;
    }
    expect({
      instructions: machine.instructions,
      exit: machine.exitCode,
      now: schedule.now,
    }).toEqual(whole);
    for (const at of chosen) {
      // An interrupt that comes at the very address is a visit of single steps, and no stop.
      expect(stops.get(at) ?? 0, at.toString(16)).toBeLessThanOrEqual(visits.get(at)!);
      expect(stops.get(at) ?? 0, at.toString(16)).toBeGreaterThanOrEqual(visits.get(at)! - 1);
    }
    expect([...stops.keys()].every((at) => chosen.has(at))).toBe(true);
  });
});
