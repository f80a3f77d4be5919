// CPUID against the rows: iced knows which instructions come with which CPUID feature, the rows are what exists.

import { Code, CpuidFeature, Instruction, Mnemonic } from "iced-x86";
import { describe, expect, test } from "vitest";
import { cpuid } from "../../emulator/cpu/cpuid.js";
import { baseInstructions, features, instructionSets } from "../../emulator/cpu/features.js";
import { rows } from "../../emulator/cpu/instructions/index.js";

const context = { core: 3, cores: 4, apicEnabled: true };

/** Rows without a CPUID bit of their own: NOPs where the feature is missing, and what does no harm. */
const optional = new Set([
  ...[
    "Tzcnt",
    "Endbr64",
    "Endbr32",
    "Rdsspd",
    "Rdsspq",
    "Prefetchwt1",
    "Cldemote",
    "Prefetchit0",
    "Prefetchit1",
  ],
]);

/** Mnemonics that CPUID promises through the given instruction sets, with the codes that need nothing else. */
function promisedMnemonics(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const instruction = new Instruction();
  for (const name of Object.keys(Code).filter((key) => Number.isNaN(Number(key)))) {
    const code = Code[name as keyof typeof Code];
    if (code === Code.INVALID || name.startsWith("Declare") || name.startsWith("Zero_bytes")) continue;
    instruction.code = code;
    const needed = [...instruction.cpuidFeatures()].map((f) => CpuidFeature[f]);
    // FWAIT and the instruction after it in one name: decoded as two instructions.
    const info = instruction.opCode;
    const waits = info.fwait;
    info.free();
    if (waits || needed.length === 0 || !needed.every((f) => instructionSets.has(f))) continue;
    const mnemonic = Mnemonic[instruction.mnemonic];
    found.set(mnemonic, [...(found.get(mnemonic) ?? []), name]);
  }
  instruction.free();
  return found;
}

const has = new Set(
  rows.flatMap((row) => (typeof row.op === "number" ? [row.op] : row.op)).map((op) => Mnemonic[op]),
);

describe("CPUID", () => {
  test("every instruction that a bit promises has a row", () => {
    const missing = [...promisedMnemonics()].filter(([mnemonic]) => !has.has(mnemonic));
    expect(missing.map(([mnemonic, codes]) => `${mnemonic}: ${codes.join(" ")}`)).toEqual([]);
  });

  test("every row belongs to an instruction set that CPUID promises", () => {
    const promised = promisedMnemonics();
    const extra = [...has].filter((mnemonic) => !promised.has(mnemonic) && !optional.has(mnemonic));
    expect(extra).toEqual([]);
  });

  test("iced knows every instruction set named here, and no bit is listed twice", () => {
    for (const name of instructionSets) expect(CpuidFeature).toHaveProperty(name);
    const places = features.map(({ leaf, register, bit }) => `${leaf} ${register} ${bit}`);
    expect(new Set(places).size).toBe(places.length);
    expect(new Set(baseInstructions).size).toBe(baseInstructions.length);
  });

  test("what 64-bit Linux cannot do without is there: fpu msr pae cx8 cmov fxsr sse sse2 lm syscall", () => {
    const [, , , edx] = cpuid(1, 0, context);
    for (const bit of [0, 5, 6, 8, 15, 24, 25, 26]) expect((edx >>> bit) & 1).toBe(1);
    const [, , , extended] = cpuid(0x8000_0001, 0, context);
    for (const bit of [11, 29]) expect((extended >>> bit) & 1).toBe(1);
  });

  const text = (...words: number[]) =>
    words.map((w) => String.fromCharCode(w & 255, (w >> 8) & 255, (w >> 16) & 255, w >>> 24)).join("");

  test("vendor, family, brand, APIC ID and the enabled APIC", () => {
    for (const leaf of [0, 0x8000_0000]) {
      const [, b, c, d] = cpuid(leaf, 0, context);
      expect(text(b, d, c)).toBe("AuthenticAMD");
    }
    const brand = [2, 3, 4].map((n) => text(...cpuid(0x8000_0000 + n, 0, context))).join("");
    expect(brand.replace(/\0+$/, "")).toBe("Buslock x86-64 processor");
    // Family 17H = 0FH + 08H, model 31H (APM vol. 3, Fn0000_0001_EAX)
    expect(cpuid(1, 0, context)[0]).toBe(0x0083_0f10);
    expect(cpuid(1, 0, context)[1] >>> 24).toBe(3);
    expect((cpuid(1, 0, context)[3] >>> 9) & 1).toBe(1);
    expect((cpuid(1, 0, { ...context, apicEnabled: false })[3] >>> 9) & 1).toBe(0);
    expect((cpuid(0x8000_0001, 0, { ...context, apicEnabled: false })[3] >>> 9) & 1).toBe(0);
    expect(cpuid(0x4000_0000, 0, context)).toEqual([0, 0, 0, 0]);
  });

  test("leaf 8000_0001 EDX repeats leaf 1's bits as the APM lists them", () => {
    const shared = 0x0183_f3ff;
    expect(cpuid(0x8000_0001, 0, context)[3] & shared).toBe(cpuid(1, 0, context)[3] & shared);
  });

  // APM vol. 3, appendix E: Fn0000_0001_EBX, Fn0000_000B, Fn8000_0008_ECX, Fn8000_001E all tell the same topology.
  test("topology: every way to ask gives one package of single-threaded cores", () => {
    for (const [cores, bits] of [
      [1, 0],
      [2, 1],
      [3, 2],
      [4, 2],
      [8, 3],
    ] as const) {
      const last = { core: cores - 1, cores, apicEnabled: true };
      expect((cpuid(1, 0, last)[1] >>> 16) & 0xff).toBe(cores);
      expect((cpuid(1, 0, last)[3] >>> 28) & 1).toBe(cores > 1 ? 1 : 0);
      expect((cpuid(0x8000_0001, 0, last)[2] >>> 1) & 1).toBe(cores > 1 ? 1 : 0);
      expect(cpuid(0xb, 0, last)).toEqual([0, 1, 0x100, cores - 1]);
      expect(cpuid(0xb, 1, last)).toEqual([bits, cores, 0x201, cores - 1]);
      expect(cpuid(0xb, 2, last)).toEqual([0, 0, 2, cores - 1]);
      expect(cpuid(0x8000_0008, 0, last)[2]).toBe((bits << 12) | (cores - 1));
      expect(cpuid(0x8000_001e, 0, last)).toEqual([cores - 1, cores - 1, 0, 0]);
    }
  });

  test("cache sizes are the same in leaves 8000_0005, 8000_0006 and 8000_001D", () => {
    const bytes = (subleaf: number) => {
      const [, b, c] = cpuid(0x8000_001d, subleaf, context);
      return ((b >>> 22) + 1) * (((b >>> 12) & 0x3ff) + 1) * ((b & 0xfff) + 1) * (c + 1);
    };
    const first = cpuid(0x8000_0005, 0, context);
    const others = cpuid(0x8000_0006, 0, context);
    const kibibytes = [first[2] >>> 24, first[3] >>> 24, others[2] >>> 16, (others[3] >>> 18) * 512];
    expect([0, 1, 2, 3].map((n) => bytes(n) / 1024)).toEqual(kibibytes);
    expect(cpuid(0x8000_001d, 4, context)[0]).toBe(0);
    expect((cpuid(0x8000_001d, 3, context)[0] >>> 14) & 0xfff).toBe(3); // shared by four cores
  });
});
