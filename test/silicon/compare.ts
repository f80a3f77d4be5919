// Two outcomes of one case, field by field. Masked out: flags that the manual leaves undefined (iced's tables, made
// exact for shift counts), and a few differences between models, each with its reason.

import {
  Code,
  Decoder,
  DecoderOptions,
  Formatter,
  FormatterSyntax,
  type Instruction,
  Mnemonic,
  OpKind,
  RegisterExt,
  RflagsBits,
} from "iced-x86";
import { formName } from "./forms.js";
import * as map from "./map.js";
import { type Case, usesMmx } from "./scene.js";

const CF = 0x001;
const PF = 0x004;
const AF = 0x010;
const ZF = 0x040;
const SF = 0x080;
const OF = 0x800;
const RFLAGS_COMPARED = 0x244dd5 & ~0x3000 & ~0x100; // neither RF, nor IOPL, which user code cannot change, nor TF

export const FLAG_BITS: readonly (readonly [number, number])[] = [
  [RflagsBits.CF, CF],
  [RflagsBits.PF, PF],
  [RflagsBits.AF, AF],
  [RflagsBits.ZF, ZF],
  [RflagsBits.SF, SF],
  [RflagsBits.OF, OF],
];

const SHIFTS = new Set<Mnemonic>([Mnemonic.Shl, Mnemonic.Sal, Mnemonic.Shr, Mnemonic.Sar]);
const ROTATES = new Set<Mnemonic>([Mnemonic.Rol, Mnemonic.Ror, Mnemonic.Rcl, Mnemonic.Rcr]);
const DOUBLE_SHIFTS = new Set<Mnemonic>([Mnemonic.Shld, Mnemonic.Shrd]);

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function decode(c: Case): Instruction {
  const code = c.record.subarray(map.CASE_CODE, map.CASE_CODE + c.length);
  const decoder = new Decoder(c.form.bits, code, DecoderOptions.NoInvalidCheck); // LOCK may stand anywhere
  decoder.ip = BigInt(view(c.record).getUint32(map.CASE_FAR_POINTER, true));
  decoder.position = c.prelude ?? 0;
  const instruction = decoder.decode();
  decoder.free();
  return instruction;
}

/** RFLAGS bits that the manual leaves undefined after this very case. */
function undefinedFlags(c: Case, native: DataView): number {
  if (c.undefinedAt !== undefined) {
    const rip = native.getUint32(map.OUTCOME_GREGS + 8 * map.GREG_RIP, true);
    const ended = native.getUint32(map.OUTCOME_GREGS + 8 * map.GREG_VECTOR, true) === INT3_VECTOR;
    const offset = rip - view(c.record).getUint32(map.CASE_FAR_POINTER, true) - (ended ? 1 : 0);
    return c.undefinedAt.get(offset) ?? 0;
  }
  const { mnemonic, kinds, memory, memoryBytes } = c.form;
  const instruction = decode(c);
  try {
    const counted = SHIFTS.has(mnemonic) || ROTATES.has(mnemonic) || DOUBLE_SHIFTS.has(mnemonic);
    if (!counted) {
      const bits = instruction.rflagsUndefined;
      return FLAG_BITS.reduce((mask, [theirs, ours]) => (bits & theirs ? mask | ours : mask), 0);
    }
    const last = kinds.length - 1;
    const cl = Number(view(c.record).getBigUint64(map.CASE_GPR + 8, true) & 0xffn);
    const given = instruction.opKind(last) === OpKind.Register ? cl : instruction.immediate8;
    const width = memory === 0 ? memoryBytes * 8 : RegisterExt.size(instruction.op0Register) * 8;
    const count = given & (width === 64 ? 63 : 31);
    if (count === 0) return 0;
    let mask = count > 1 ? OF : 0;
    if (!ROTATES.has(mnemonic)) mask |= AF;
    if (mnemonic !== Mnemonic.Sar && !ROTATES.has(mnemonic) && count > width) mask |= CF;
    if (SHIFTS.has(mnemonic) && mnemonic !== Mnemonic.Sar && count === width) mask |= CF;
    return mask;
  } finally {
    instruction.free();
  }
}

/** Cases that say nothing, because processors differ or the manual leaves the result open. */
const SKIPPED: readonly { readonly applies: (c: Case) => boolean; readonly why: string }[] = [
  {
    applies: (c) => /^(Jmp|Call)_m1664$/.test(Code[c.form.code]!),
    why: "far transfers with REX.W: a 64-bit offset of Intel's processors and here, no prefix to AMD's",
  },
  {
    applies: (c) => c.form.mnemonic === Mnemonic.Tzcnt,
    why: "CPUID does not promise BMI1: here F3 0F BC is BSF",
  },
  {
    applies: (c) => /^Sh[lr]d_rm16/.test(Code[c.form.code]!) && shiftCount(c) > 16,
    why: "16-bit double shifts by more than 16: undefined, and processors differ",
  },
];
export const skipped = (c: Case): boolean => SKIPPED.some((s) => s.applies(c));

const countRegister = (c: Case) => {
  const rcx = view(c.record).getBigUint64(map.CASE_GPR + 8, true);
  return Number(rcx & (c.form.bits === 16 ? 0xffffn : 0xffff_ffffn));
};
function shiftCount(c: Case): number {
  const instruction = decode(c);
  const byRegister = instruction.opKind(instruction.opCount - 1) === OpKind.Register;
  const count = byRegister ? countRegister(c) : instruction.immediate8;
  instruction.free();
  return count & 31;
}

/** RCPPS and RSQRTPS: what is promised is an error of at most 1.5 * 2^-12, of either processor. */
const APPROXIMATE = new Set<Mnemonic>([Mnemonic.Rcpss, Mnemonic.Rcpps, Mnemonic.Rsqrtss, Mnemonic.Rsqrtps]);
const TOLERANCE = 2 * 1.5 * 2 ** -12;
function approximatelyEqual(n: DataView, e: DataView, at: number): boolean {
  for (let i = 0; i < 16; i += 4) {
    const [a, b] = [n.getFloat32(at + i, true), e.getFloat32(at + i, true)];
    const same = n.getUint32(at + i, true) === e.getUint32(at + i, true);
    // At the edge of the range a result may or may not have been flushed to zero or infinity.
    const edge = Math.abs(a) < 2 ** -125 || Math.abs(a) > 2 ** 127.9;
    if (!same && !edge && !(Math.abs(a - b) <= TOLERANCE * Math.abs(b))) return false;
  }
  return true;
}

export const vectorOf = (outcome: Uint8Array): number =>
  Number(view(outcome).getBigUint64(map.OUTCOME_GREGS + 8 * map.GREG_VECTOR, true));

const GPR_NAMES = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split(" ");
const INT3_VECTOR = 3;
/** Processors touch these long operands from either end. */
const ENVIRONMENTS = new Set<Mnemonic>([
  ...[Mnemonic.Fnstenv, Mnemonic.Fldenv, Mnemonic.Fnsave, Mnemonic.Frstor],
  ...[Mnemonic.Fxsave, Mnemonic.Fxsave64, Mnemonic.Fxrstor, Mnemonic.Fxrstor64],
]);
const POPS_ALL = new Set<Mnemonic>([Mnemonic.Popa, Mnemonic.Popad]);
const VECTOR_GP = 13;
const VECTOR_PF = 14;
const HIGH_HALF = 1n << 63n;
/** Linux tells users that all of the kernel's addresses are present. */
function errorCodeOf(emulated: DataView): bigint {
  const greg = (i: number) => emulated.getBigUint64(map.OUTCOME_GREGS + 8 * i, true);
  const inKernel = greg(map.GREG_VECTOR) === BigInt(VECTOR_PF) && greg(map.GREG_CR2) >= HIGH_HALF;
  return greg(map.GREG_ERROR) | (inKernel ? 1n : 0n);
}
const ERRORS = new Set([8, 10, 11, 12, 13, 14, 17]);
const hex = (n: bigint | number) => "0x" + n.toString(16);

/** What differs, one line a field; empty when the outcomes agree. */
export function differences(c: Case, native: Uint8Array, emulated: Uint8Array): string[] {
  const found: string[] = [];
  const [n, e] = [view(native), view(emulated)];
  const greg = (v: DataView, i: number) => v.getBigUint64(map.OUTCOME_GREGS + 8 * i, true);
  const check = (field: string, theirs: bigint, ours: bigint) => {
    if (theirs !== ours) found.push(`${field}: silicon ${hex(theirs)}, here ${hex(ours)}`);
  };
  check("vector", greg(n, map.GREG_VECTOR), greg(e, map.GREG_VECTOR));
  const vector = vectorOf(native);
  // What is no instruction has no length: 15 bytes that might go on are #GP to some processors.
  if (c.form.mnemonic === Mnemonic.INVALID && vector === VECTOR_GP) return [];
  const push = c.form.mnemonic === Mnemonic.Call && faults(native) && faults(emulated);
  if (push && found.length > 0) return []; // the push and the target are both at fault: either may come first
  if (found.length === 0 && ERRORS.has(vector)) check("error code", greg(n, map.GREG_ERROR), errorCodeOf(e));
  if (found.length === 0 && vector === VECTOR_PF && !ENVIRONMENTS.has(c.form.mnemonic))
    check("cr2", greg(n, map.GREG_CR2), greg(e, map.GREG_CR2));
  const mask = c.form.bits === 64 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
  if (vector !== INT3_VECTOR && POPS_ALL.has(c.form.mnemonic)) return found; // AMD keeps what it had popped
  check("rip", greg(n, map.GREG_RIP) & mask, greg(e, map.GREG_RIP) & mask);
  GPR_NAMES.slice(0, c.form.bits === 64 ? 16 : 8).forEach((name, i) => {
    const at = map.GREG_OF_GPR[i]!;
    check(name, greg(n, at) & mask, greg(e, at) & mask);
  });
  const flags = BigInt(RFLAGS_COMPARED & ~undefinedFlags(c, n));
  check("rflags", greg(n, map.GREG_RFLAGS) & flags, greg(e, map.GREG_RFLAGS) & flags);
  compareVectors(found, n, e, c);
  // AMD has entered the state of MMX when MASKMOVQ's store faults.
  if (c.form.mnemonic !== Mnemonic.Maskmovq || vector === INT3_VECTOR) compareStackUnit(found, n, e, c);
  // A fault within these may leave some of what they write written, or not.
  const partly = c.form.mnemonic === Mnemonic.Enter || ENVIRONMENTS.has(c.form.mnemonic);
  if (!partly || !faults(native)) compareMemory(found, native, emulated);
  return found;
}

function compareVectors(found: string[], n: DataView, e: DataView, { form }: Case): void {
  const mxcsr = (v: DataView) => v.getUint32(map.OUTCOME_FX + 24, true);
  if (mxcsr(n) !== mxcsr(e)) found.push(`mxcsr: silicon ${hex(mxcsr(n))}, here ${hex(mxcsr(e))}`);
  for (let i = 0; i < (form.bits === 64 ? 16 : 8); i++) {
    const at = map.OUTCOME_FX + 160 + 16 * i;
    if (n.getBigUint64(at, true) === e.getBigUint64(at, true))
      if (n.getBigUint64(at + 8, true) === e.getBigUint64(at + 8, true)) continue;
    const text = (v: DataView) =>
      hex(v.getBigUint64(at + 8, true)) + "_" + v.getBigUint64(at, true).toString(16).padStart(16, "0");
    if (APPROXIMATE.has(form.mnemonic) && approximatelyEqual(n, e, at)) continue;
    if (text(n) !== text(e)) found.push(`xmm${i}: silicon ${text(n)}, here ${text(e)}`);
  }
}

const C1 = 0x200;
const C2 = 0x400;
const C0_C2_C3 = 0x4500;
const STACK_FAULT = 0x40;
const SUMMARY = 0x80;
/** These say what they found in C0, C2 and C3; all others leave them undefined. */
const SETS_CONDITIONS = /^F(u?comp*|icomp?|tst|xam|prem1?|nstenv|ldenv|nsave|rstor)$/;
const SETS_C2 = /^F(sin|cos|sincos|ptan)$/;

/**
 * Promised within a unit of the last place, exact results or not: the direction of rounding (C1) tells nothing. A result
 * that the directions separate may be one further off.
 */
const TRANSCENDENTAL = /^F(2xm1|yl2x|yl2xp1|patan|sin|cos|sincos|ptan)$/;
function withinAUnit(n: DataView, e: DataView, at: number): boolean {
  const value = (v: DataView) =>
    (BigInt(v.getUint16(at + 8, true) & 0x7fff) << 63n) + (v.getBigUint64(at, true) & (2n ** 63n - 1n));
  if ((n.getUint16(at + 8, true) ^ e.getUint16(at + 8, true)) & 0x8000) return false;
  const apart = value(n) - value(e);
  return apart >= -1n && apart <= 1n;
}

function compareStackUnit(found: string[], n: DataView, e: DataView, { form }: Case): void {
  const check = (field: string, theirs: number, ours: number) => {
    if (theirs !== ours) found.push(`${field}: silicon ${hex(theirs)}, here ${hex(ours)}`);
  };
  check("fcw", n.getUint16(map.OUTCOME_FX, true), e.getUint16(map.OUTCOME_FX, true));
  const name = Mnemonic[form.mnemonic]!;
  const transcendental = TRANSCENDENTAL.test(name);
  let ignored = SETS_CONDITIONS.test(name) ? 0 : C0_C2_C3;
  if (SETS_C2.test(name)) ignored &= ~C2;
  if (transcendental && !(n.getUint16(map.OUTCOME_FX + 2, true) & STACK_FAULT)) ignored |= C1;
  const status = (v: DataView) => v.getUint16(map.OUTCOME_FX + 2, true) & ~ignored;
  check("fsw", status(n), status(e));
  // AMD saves the pointers to the last instruction only while an exception is pending.
  if (n.getUint16(map.OUTCOME_FX + 2, true) & SUMMARY) {
    check("fop", n.getUint16(map.OUTCOME_FX + 6, true), e.getUint16(map.OUTCOME_FX + 6, true));
    for (const [field, at] of [
      ["fip", map.OUTCOME_FX + 8],
      ["fdp", map.OUTCOME_FX + 16],
    ] as const)
      check(field, Number(n.getBigUint64(at, true)), Number(e.getBigUint64(at, true)));
  }
  check("tags", n.getUint8(map.OUTCOME_FX + 4), e.getUint8(map.OUTCOME_FX + 4));
  for (let i = 0; i < 8; i++) {
    const at = map.OUTCOME_FX + 32 + 16 * i;
    const text = (v: DataView) =>
      `${hex(v.getUint16(at + 8, true))}_${v.getBigUint64(at, true).toString(16)}`;
    if (transcendental && withinAUnit(n, e, at)) continue;
    if (text(n) !== text(e)) found.push(`st${i}: silicon ${text(n)}, here ${text(e)}`);
  }
}

function compareMemory(found: string[], native: Uint8Array, emulated: Uint8Array): void {
  const whole = (outcome: Uint8Array) =>
    Buffer.from(
      outcome.buffer,
      outcome.byteOffset + map.OUTCOME_WINDOWS,
      map.OUTCOME_BYTES - map.OUTCOME_WINDOWS,
    );
  if (whole(native).equals(whole(emulated))) return;
  map.WINDOWS.forEach((window, w) => {
    const start = map.OUTCOME_WINDOWS + w * map.WINDOW_BYTES;
    for (let i = 0; i < map.WINDOW_BYTES; i++)
      if (native[start + i] !== emulated[start + i])
        found.push(
          `[${hex(window + i)}]: silicon ${hex(native[start + i]!)}, here ${hex(emulated[start + i]!)}`,
        );
  });
}

const formatter = new Formatter(FormatterSyntax.Intel);

function disassemble(c: Case): string[] {
  const code = c.record.subarray(map.CASE_CODE, map.CASE_CODE + c.length);
  const decoder = new Decoder(c.form.bits, code, DecoderOptions.NoInvalidCheck); // LOCK may stand anywhere
  decoder.ip = BigInt(view(c.record).getUint32(map.CASE_FAR_POINTER, true));
  const lines: string[] = [];
  while (decoder.canDecode) {
    const instruction = decoder.decode();
    lines.push(formatter.format(instruction));
    instruction.free();
  }
  decoder.free();
  return lines;
}

const faults = (outcome: Uint8Array): boolean => ERRORS.has(vectorOf(outcome));

/** Everything needed to see and repeat a case. */
export function describe(c: Case, lines: readonly string[]): string {
  const bytes = Buffer.from(c.record.subarray(map.CASE_CODE, map.CASE_CODE + c.length)).toString("hex");
  const text = disassemble(c).join("; ");
  const v = view(c.record);
  const stack = Array.from({ length: 8 }, (_, i) => {
    const at = map.CASE_FX + 32 + 16 * i;
    return `${hex(v.getUint16(at + 8, true))}_${v.getBigUint64(at, true).toString(16)}`;
  });
  const words = [0, 2, 4].map((at) => hex(v.getUint16(map.CASE_FX + at, true)));
  const registers = GPR_NAMES.slice(0, c.form.bits === 64 ? 16 : 8).map(
    (name, i) => `${name}=${hex(v.getBigUint64(map.CASE_GPR + 8 * i, true))}`,
  );
  const flags = hex(v.getBigUint64(map.CASE_RFLAGS, true));
  const [kind, row] =
    c.prelude !== undefined
      ? ["bytes at random", `bytes ${c.form.bits}`]
      : c.undefinedAt !== undefined
        ? ["a sequence", `sequence ${c.form.bits}`]
        : [formName(c.form), formName(c.form)];
  return [
    `${kind}: ${text}  (${bytes})`,
    ...lines.slice(0, 12).map((line) => `    ${line}`),
    `    before: ${registers.join(" ")} rflags=${flags}`,
    ...(c.form.row.needs === "fpu" || usesMmx(c.form)
      ? [`    before: fcw fsw tags ${words.join(" ")} st ${stack.join(" ")}`]
      : []),
    `    again: npm run silicon -- --row "${row}" --seed ${c.seed} --cases 1`,
  ].join("\n");
}
