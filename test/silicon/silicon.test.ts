// Every form of every instruction that user space has, on the emulated core and on the host's own processor: the same
// bytes, registers, flags, vectors and memory, compared after each. Random from seeds; a failure prints the line that
// repeats it.

import { Mnemonic } from "iced-x86";
import { beforeAll, expect, test } from "vitest";
import { instructionSets } from "../../emulator/cpu/features.js";
import type { Definition, Meaning, Operand, Value } from "../../emulator/cpu/instructions/define.js";
import { rows } from "../../emulator/cpu/instructions/index.js";
import { Emulated } from "./emulated.js";
import { existsIn, featuresOf, formName, formsOf, legacyEncodings } from "./forms.js";
import {
  isSystem,
  judge,
  judgeBytes,
  judgeRounds,
  judgeSequences,
  privilegedForms,
  report,
  userForms,
} from "./judge.js";
import { absent, absentIn16Bit } from "./native.js";

/** How many cases the quick run draws in each mode, 20,000 in all; `npm run silicon` draws more. */
const CASES_OF = { 64: 8000, 32: 6000, 16: 6000 } as const;
const FIRST_SEED = 1;
const onSilicon = test.skipIf(absent !== undefined);
if (absent !== undefined) console.log(`silicon tests are skipped: ${absent}`);

let emulated: Emulated;
beforeAll(async () => {
  if (absent === undefined) emulated = await Emulated.create();
});

onSilicon.each([64, 32] as const)("the core agrees with silicon in %i-bit code", (bits) => {
  const forms = userForms(bits);
  const verdict = judgeRounds(emulated, forms, FIRST_SEED, CASES_OF[bits]);
  expect(verdict.failed, report(verdict)).toBe(0);
});

onSilicon.each([64, 32] as const)(
  "what is the system's alone faults as on silicon in %i-bit code",
  (bits) => {
    const verdict = judge(emulated, privilegedForms(bits), [FIRST_SEED, FIRST_SEED + 1]);
    expect(verdict.failed, report(verdict)).toBe(0);
  },
);

test("the core agrees with silicon in 16-bit code", ({ skip }) => {
  const why = absentIn16Bit();
  skip(why !== undefined, why);
  const verdict = judgeRounds(emulated, userForms(16), FIRST_SEED, CASES_OF[16]);
  expect(verdict.failed, report(verdict)).toBe(0);
});

/** How many sequences the quick run draws in each mode. */
const SEQUENCES = 800;

onSilicon.each([64, 32] as const)("sequences of instructions agree with silicon in %i-bit code", (bits) => {
  const all = Array.from({ length: SEQUENCES }, (_, i) => i + 1);
  const verdict = judgeSequences(emulated, bits, all);
  expect(verdict.failed, report(verdict)).toBe(0);
});

/** How many the quick run draws in each mode; some are left out. */
const BYTES = 3000;

onSilicon.each([64, 32] as const)(
  "bytes at random are on silicon what they are here in %i-bit code",
  (bits) => {
    const verdict = judgeBytes(emulated, bits, FIRST_SEED, BYTES);
    expect(verdict.tested).toBeGreaterThan(BYTES / 2);
    expect(verdict.failed, report(verdict)).toBe(0);
  },
);

test("bytes at random are on silicon what they are here in 16-bit code", ({ skip }) => {
  const why = absentIn16Bit();
  skip(why !== undefined, why);
  const verdict = judgeBytes(emulated, 16, FIRST_SEED, BYTES);
  expect(verdict.failed, report(verdict)).toBe(0);
});

// --- is anything forgotten? ---

test("every promised encoding has a row, and every form with a row is tested", () => {
  const missing: string[] = [];
  const untested = new Set<string>();
  let [withRow, tested] = [0, 0];
  for (const bits of [64, 32, 16] as const) {
    const forms = new Set(userForms(bits).map(formName));
    tested += forms.size;
    for (const encoding of legacyEncodings()) {
      if (!existsIn(encoding, bits)) continue;
      for (const form of formsOf(encoding, bits)) {
        if (form.row === undefined) {
          if (featuresOf(encoding.code).every((f) => instructionSets.has(f))) missing.push(formName(form));
          continue;
        }
        withRow++;
        if (!forms.has(formName(form)) && !isSystem(form.row)) untested.add(Mnemonic[form.mnemonic]!);
      }
    }
  }
  console.log(
    `silicon: ${withRow} forms have rows, ${tested} of them are compared (the rest are the system's), ` +
      `${missing.length} promised forms have none`,
  );
  expect(missing).toEqual([]);
  expect([...untested]).toEqual([]);
});

// --- would a mistake be seen? ---

type Does = Definition["does"];
interface Plant {
  readonly bug: string;
  readonly op: Mnemonic;
  /** The mistaken meaning, given the right one. */
  readonly does: (right: Does) => Does;
}

/** A Meaning that differs from the real one in a few words. */
function twisted(m: Meaning, changes: Partial<Meaning>): Meaning {
  return new Proxy(m, {
    get: (target, name) => {
      const changed = changes[name as keyof Meaning];
      if (changed !== undefined) return changed;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
const twist =
  (changes: (m: Meaning) => Partial<Meaning>) =>
  (right: Does): Does =>
  (m, ...operands) =>
    right(twisted(m, changes(m)), ...operands);

/** Enough cases of each form for every plant to show. */
const PLANT_SEEDS = Array.from({ length: 8 }, (_, i) => i + 1);

// biome-ignore format: a table
const PLANTS: readonly Plant[] = [
  { bug: "ADC forgets the carry coming in", op: Mnemonic.Adc, does: twist((m) => ({ addWithCarry: (a, b) => m.add(a, b) })) },
  { bug: "INC changes CF", op: Mnemonic.Inc, does: twist((m) => ({ increment: (a) => m.add(a, m.constant(1, a.width)) })) },
  { bug: "AND keeps the old flags", op: Mnemonic.And, does: twist(() => ({ logic: (v) => v })) },
  { bug: "NEG borrows the wrong way", op: Mnemonic.Neg, does: () => (m, dst) => m.set(dst, m.minus(m.constant(0, dst.width as 8), m.get(dst))) },
  { bug: "a 16-bit MOV clears what is above it", op: Mnemonic.Mov, does: (right) => (m, dst, src) =>
      dst.kind === "general" && dst.width === 16 ? m.setRegister(0, m.zeroExtend(m.get(src), 64)) : right(m, dst, src) },
  { bug: "MOVSX extends with zeros", op: Mnemonic.Movsx, does: twist((m) => ({ signExtend: (v, w) => m.zeroExtend(v, w) })) },
  { bug: "SHL changes flags when the count is 0", op: Mnemonic.Shl, does: twist(() => ({ keepFlagsUnless: () => {} })) },
  { bug: "SAR shifts zeros in", op: Mnemonic.Sar, does: twist((m) => ({ shiftRightSigned: (a, n) => m.shiftRight(a, n) })) },
  { bug: "RCL loses the old carry", op: Mnemonic.Rcl, does: twist((m) => ({ flag: () => m.constant(0, 8) })) },
  { bug: "BTS stays within the operand", op: Mnemonic.Bts, does: twist(() => ({ displaced: (o: Operand) => o })) },
  { bug: "BSF clears the destination for 0", op: Mnemonic.Bsf, does: twist(() => ({ when: (_c: Value, then: () => void) => then() })) },
  { bug: "IMUL never overflows", op: Mnemonic.Imul, does: twist((m) => ({ notEqual: () => m.constant(0, 8) })) },
  { bug: "DIV lets the quotient overflow", op: Mnemonic.Div, does: twist((m) => ({ divide: (h, l, d, s) => ({ ...m.divide(h, l, d, s), overflow: m.constant(0, 8) }) })) },
  { bug: "CMPXCHG leaves the accumulator", op: Mnemonic.Cmpxchg, does: twist(() => ({ setRegister: () => {} })) },
  { bug: "XADD swaps its writes", op: Mnemonic.Xadd, does: () => (m, dst, src) => {
      const old = m.get(dst);
      m.set(dst, m.add(old, m.get(src)));
      m.set(src, old);
    } },
  { bug: "PUSHF shows RF", op: Mnemonic.Pushfq, does: twist((m) => ({ and: (a) => m.or(a, m.constant(1n << 16n, 64)) })) },
  { bug: "MOVSB only goes up", op: Mnemonic.Movsb, does: twist((m) => ({ flag: () => m.constant(0, 8) })) },
  { bug: "LOOP counts in 32 bits", op: Mnemonic.Loop, does: twist((m) => ({ setRegister: (r, v) => m.setRegister(r, m.truncate(v, 32)) })) },
  { bug: "LEA adds the segment", op: Mnemonic.Lea, does: twist((m) => ({ address: (o) => m.plus(m.address(o), m.constant(1, m.addressSize)) })) },
  { bug: "SETcc negates", op: Mnemonic.Setb, does: twist((m) => ({ conditionOf: () => m.isZero(m.conditionOf()) })) },
  { bug: "PSRAW is PSRLW", op: Mnemonic.Psraw, does: twist((m) => ({ simd: (n, ...a) => m.simd(n.replace("shr_s", "shr_u"), ...a) })) },
  { bug: "PUNPCKLBW takes its operands the other way round", op: Mnemonic.Punpcklbw, does: (right) => (m, dst, src) =>
      right(twisted(m, { shuffle: (a, b, bytes) => m.shuffle(b, a, bytes) }), dst, src) },
  { bug: "MMX leaves the x87 stack alone", op: Mnemonic.Paddb, does: twist(() => ({ enterMmx: () => {} })) },
  { bug: "MMX overlooks a pending x87 exception", op: Mnemonic.Pxor, does: twist(() => ({ waitForX87: () => {} })) },
  { bug: "EMMS leaves the registers valid", op: Mnemonic.Emms, does: twist((m) => ({ enterMmx: () => m.enterMmx("valid") })) },
  { bug: "PACKSSWB takes its operands the other way round", op: Mnemonic.Packsswb, does: (right) => (m, dst, src) =>
      dst.kind === "mm" ? right(twisted(m, { withLane: (v, _i, s) => m.withLane(v, 0, s) }), dst, src) : right(m, dst, src) },
  { bug: "FSIN is FCOS", op: Mnemonic.Fsin, does: twist((m) => ({ assist: (n, op, ...rest) => m.assist(n, n === "x87Function" ? 2 : op!, ...rest) })) },
  { bug: "FPATAN is FYL2X", op: Mnemonic.Fpatan, does: twist((m) => ({ assist: (n, ..._rest) => m.assist(n, 5) })) },
  { bug: "FBSTP loses the sign", op: Mnemonic.Fbstp, does: twist((m) => ({ truncate: (v) => m.bitsOf(m.truncate(v, 16), 0, 15) })) },
  { bug: "MINSD gives the first operand for NaNs", op: Mnemonic.Minsd, does: twist((m) => ({ assist: (_n, _o, a) => a as Value, float: (n, ...a) => m.float(n, ...a) })) },
  { bug: "ADDSD raises no flags", op: Mnemonic.Addsd, does: twist((m) => ({ assist: (_n, _o, a, b) => m.float("f64.add", a as Value, b as Value) })) },
  { bug: "CVTTSD2SI rounds", op: Mnemonic.Cvttsd2si, does: twist((m) => ({ float: (n, ...a) => m.float(n.replace(".trunc", ".nearest").replace(/^(i..)\.nearest_sat/, "$1.trunc_sat"), ...a) })) },
  { bug: "COMISD has CF and ZF exchanged", op: Mnemonic.Comisd, does: twist((m) => ({ setRflags: (v, mask) => m.setRflags(m.xor(v, m.constant(0x41, 64)), mask) })) },
];

onSilicon("without a plant the same forms agree", () => {
  const ops = new Set(PLANTS.map(({ op }) => op));
  const forms = userForms(64).filter((form) => ops.has(form.mnemonic) && form.prefix === undefined);
  const verdict = judge(emulated, forms, PLANT_SEEDS);
  expect(verdict.failed, report(verdict)).toBe(0);
});

onSilicon.each(PLANTS.map((plant) => [plant.bug, plant] as const))(
  "planted: %s",
  async (_bug, { op, does }) => {
    const planted = rows.filter((row) => [row.op].flat().includes(op)) as { does: Does }[];
    const right = planted.map((row) => row.does);
    const rights = new Map(planted.map((row, i) => [row, right[i]!]));
    try {
      for (const [row, meaning] of rights) row.does = does(meaning);
      const forms = userForms(64).filter((form) => form.mnemonic === op);
      const verdict = judge(await Emulated.create("fresh"), forms, PLANT_SEEDS);
      expect(verdict.failed).toBeGreaterThan(0);
    } finally {
      for (const [row, meaning] of rights) row.does = meaning;
    }
  },
);
