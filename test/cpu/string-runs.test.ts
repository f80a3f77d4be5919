// Repeated string instructions do many iterations at once where nobody can tell (emulator/cpu/lowering/runs.ts). Here
// somebody tries: the same random case runs at once, in pieces, and one iteration a run, which no run is short enough
// for; registers, flags, memory, faults and the count of instructions have to be the same.

import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { ACTIVE } from "../../emulator/cpu/layout.js";
import { Random } from "../../emulator/random.js";
import { CODE, Cpu, PAGE_TABLES, selectors } from "../support/cpu.js";

const CASES = 500;
const RAM = 8 << 20;
/** 4 KiB pages from here on, in 64-bit mode. Guest and host pages are the same elsewhere. */
const ARENA = 0x40_0000;
const ARENA_PAGES = 8;
const PAGE_TABLE = 0x2_0000;
const HANDLER = 0x3_0000;
const PAGE = 4096;
const NAMES = ["rax", "rcx", "rdx", "rsi", "rdi", "rsp", "cr2"] as const;

interface Case {
  readonly bits: 64 | 32 | 16;
  readonly text: string;
  readonly rflags: number;
  readonly rax: bigint;
  readonly rcx: bigint;
  readonly rsi: bigint;
  readonly rdi: bigint;
  /** Page-table entries of the arena. */
  readonly pages: readonly bigint[];
  /** Limit of ES and DS outside 64-bit mode. */
  readonly limit: number;
  readonly base: number;
  readonly bytes: Uint8Array;
  /** An offset in the arena from which code is decoded before. */
  readonly code: number;
}

function makeCase(random: Random): Case {
  const pick = <T>(...of: readonly T[]): T => of[random.below(of.length)] as T;
  const bits = pick<64 | 32 | 16>(64, 64, 32, 16);
  const size = pick(..."bwd", ...(bits === 64 ? ["q"] : []));
  const bytes = { b: 1, w: 2, d: 4, q: 8 }[size] as number;
  const name = pick("movs", "movs", "stos", "scas", "cmps", "lods");
  const repeat = name === "scas" || name === "cmps" ? pick("repe", "repne") : "rep";
  const down = random.below(3) === 0;
  const count = pick(random.below(6), random.below(300), random.below(6000));
  const base = bits === 64 ? 0 : pick(0, 0, 0x123 * 16);
  // In 16-bit code offsets are of one segment; elsewhere the arena is aimed at, its page edges most.
  const start = bits === 16 ? 0 : ARENA - base;
  const room = bits === 16 ? 0x1_0000 : ARENA_PAGES * PAGE;
  const place = () => {
    const at = pick(random.below(room), random.below(room / PAGE) * PAGE + random.below(17) - 8);
    return start + Math.min(Math.max(at, 0), room - 1);
  };
  const rdi = place();
  const rsi = pick(place(), rdi + (random.below(41) - 20), rdi + bytes * (random.below(9) - 4));
  const ofBytes = pick(1, 2, 256);
  const present = () => pick(7n, 7n, 7n, 7n, 7n, 7n, 5n, 0n, 0x67n);
  return {
    bits,
    text: `${repeat} ${name}${size}`,
    rflags: 2 | (down ? 0x400 : 0),
    rax: pick(0n, 1n, 0x0101_0101_0101_0101n, BigInt(random.below(2 ** 31))),
    rcx: BigInt(count),
    rsi: BigInt(Math.max(rsi, 0)),
    rdi: BigInt(rdi),
    pages: Array.from({ length: ARENA_PAGES }, (_, i) => BigInt(ARENA + i * PAGE) | present()),
    limit: bits === 64 ? 0xffff_ffff : bits === 16 ? 0xffff : pick(0xffff_ffff, start + random.below(room)),
    base,
    bytes: Uint8Array.from({ length: ARENA_PAGES * PAGE }, () => random.below(ofBytes)),
    code: random.below(ARENA_PAGES) * PAGE + 64 * random.below(64),
  };
}

/** The case from its beginning to the HLT behind it, or in the handler of its fault; `budget` gives the pieces. */
function outcome(cpu: Cpu, c: Case, budget: () => number) {
  const { engine } = cpu;
  const arena = c.bits === 16 ? c.base : ARENA;
  for (const at of [c.base, ARENA]) cpu.ram.fill(0, at, at + 0x2_0000);
  cpu.place(ARENA, c.bytes);
  if (c.bits === 16) cpu.place(c.base, c.bytes.subarray(0, 0x1_0000));
  cpu.place(HANDLER, "hlt");
  cpu.place(ARENA + c.code, [0xf4]);
  engine.reset(0);
  cpu.start(`${c.text}\nhlt`, { bits: c.bits, at: c.bits === 16 ? 0x5_0000 : CODE });
  const s = cpu.state();
  if (c.bits === 64) {
    for (const [i, entry] of c.pages.entries()) cpu.write(PAGE_TABLE + 8 * i, 8, entry);
    for (let i = ARENA_PAGES; i < 512; i++) cpu.write(PAGE_TABLE + 8 * i, 8, BigInt(ARENA + i * PAGE) | 7n);
    cpu.write(PAGE_TABLES + 0x2000 + 8 * (ARENA / 0x20_0000), 8, BigInt(PAGE_TABLE) | 7n);
    cpu.gate(14, HANDLER);
  } else if (c.bits === 32) {
    const gate = BigInt(HANDLER & 0xffff) | (BigInt(selectors.code32) << 16n) | 0x8e00_0000_0000n;
    cpu.write(0x9000 + 13 * 8, 8, gate | (BigInt(HANDLER >>> 16) << 48n));
  } else cpu.write(13 * 4, 4, (HANDLER >>> 4) << 16);
  if (c.bits !== 64)
    for (const name of ["ds", "es"] as const)
      s.setSegment(name, {
        selector: c.bits === 16 ? c.base >>> 4 : selectors.data,
        base: BigInt(c.base),
        limit: c.limit,
        attributes: c.bits === 16 ? 0x9300 : 0xc0_9300,
      });
  // Code decoded from one line of the arena: its page is stored to the slow way until the line is hit.
  if (c.bits === 64 && (c.pages[c.code >>> 12] as bigint) & 1n) {
    s.set({ rip: ARENA + c.code });
    cpu.run(1);
    s.set({ rip: CODE });
    s.activity = ACTIVE;
  }
  s.rflags = c.rflags;
  s.set({ rax: c.rax, rcx: c.rcx, rsi: c.rsi, rdi: c.rdi });
  const before = engine.retired(0);
  for (let i = 0; i < 100_000 && engine.runnable(0); i++) {
    const most = budget();
    const ran = engine.run(0, most);
    if (ran > most) throw new Error(`${ran} instructions with a budget of ${most}`);
  }
  const registers = Object.fromEntries(NAMES.map((name) => [name, s.register(name)]));
  const tables = Array.from({ length: ARENA_PAGES }, (_, i) => cpu.read(PAGE_TABLE + 8 * i, 8));
  return {
    registers: { ...registers, rip: s.rip, rflags: s.rflags },
    retired: engine.retired(0) - before,
    tables,
    memory: createHash("sha256")
      .update(cpu.ram.slice(arena, arena + 0x2_0000))
      .digest("hex"),
  };
}

// SDM vol. 2, REP: REP goes on where it was interrupted or faulted
test("repeated string instructions: at once, in pieces and one by one", async () => {
  const cpu = await Cpu.create({ ramBytes: RAM });
  let faults = 0;
  for (let seed = 1; seed <= CASES; seed++) {
    const random = new Random(seed);
    const c = makeCase(random);
    const told = `seed ${seed}: ${c.bits} bit ${c.text}, rcx ${c.rcx} rsi ${c.rsi.toString(16)} rdi ${c.rdi.toString(16)}`;
    const slow = outcome(cpu, c, () => 1);
    expect(
      outcome(cpu, c, () => 1_000_000),
      told,
    ).toEqual(slow);
    expect(
      outcome(cpu, c, () => 1 + random.below(1 << random.below(13))),
      `${told}, in pieces`,
    ).toEqual(slow);
    if (slow.registers.rip === BigInt(HANDLER + 1)) faults++;
  }
  expect(faults).toBeGreaterThan(CASES / 20);
});

test("a run in the middle of a block keeps to the budget", async () => {
  const cpu = await Cpu.create({ ramBytes: RAM });
  cpu.start(`mov rcx, 1000;; rep stosb;; inc rax;; inc rax;; inc rax;; hlt`.replaceAll(";;", "\n"));
  cpu.state().set({ rdi: ARENA });
  expect(cpu.engine.run(0, 3)).toBe(3);
  expect(cpu.state().register("rcx")).toBe(998n);
});
