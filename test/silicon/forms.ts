// Every form of every instruction that has a row, from iced's own operand tables, so that none is forgotten. A form is
// one encoding (iced's Code) with each r/m operand decided to be a register or memory, with or without LOCK or REP.

import {
  Code,
  CodeExt,
  CpuidFeature,
  EncodingKind,
  Instruction,
  OpCodeOperandKind as Kind,
  MemorySizeExt,
  type Mnemonic,
  type OpCodeInfo,
} from "iced-x86";
import type { Definition, Operand } from "../../emulator/cpu/instructions/define.js";
import { rowOf } from "../../emulator/cpu/instructions/index.js";

export type Bits = 16 | 32 | 64;
export type Prefix = "lock" | "rep" | "repne";

export interface Form {
  readonly code: Code;
  readonly mnemonic: Mnemonic;
  readonly bits: Bits;
  readonly kinds: readonly Kind[];
  /** Where the memory operand stands, or -1. */
  readonly memory: number;
  readonly memoryBytes: number;
  readonly prefix?: Prefix;
  readonly row: Definition;
}

/** Kinds of operand that are a register or memory, and what they are as a register. */
const REGISTER_OR_MEMORY = new Map<Kind, Operand["kind"]>([
  [Kind.r8_or_mem, "general"],
  [Kind.r16_or_mem, "general"],
  [Kind.r32_or_mem, "general"],
  [Kind.r64_or_mem, "general"],
  [Kind.mm_or_mem, "mm"],
  [Kind.xmm_or_mem, "xmm"],
]);

const FIXED_KINDS: readonly (readonly [Operand["kind"], readonly Kind[]])[] = [
  ["memory", [Kind.mem, Kind.mem_offs, Kind.seg_rSI, Kind.es_rDI, Kind.seg_rDI, Kind.seg_rBX_al]],
  ["segment", [Kind.seg_reg, Kind.es, Kind.cs, Kind.ss, Kind.ds, Kind.fs, Kind.gs]],
  ["control", [Kind.cr_reg]],
  ["debug", [Kind.dr_reg]],
  ["xmm", [Kind.xmm_reg, Kind.xmm_rm]],
  ["mm", [Kind.mm_reg, Kind.mm_rm]],
  ["st", [Kind.st0, Kind.sti_opcode]],
  ["far", [Kind.farbr2_2, Kind.farbr4_2]],
  ["branch", [Kind.br16_1, Kind.br32_1, Kind.br64_1, Kind.br16_2, Kind.br32_4, Kind.br64_4]],
  [
    "immediate",
    [
      Kind.imm8,
      Kind.imm8_const_1,
      Kind.imm8sex16,
      Kind.imm8sex32,
      Kind.imm8sex64,
      Kind.imm16,
      Kind.imm32,
      Kind.imm32sex64,
      Kind.imm64,
    ],
  ],
];
const KIND = new Map(FIXED_KINDS.flatMap(([kind, all]) => all.map((k) => [k, kind] as const)));

export function operandKind(kind: Kind, asMemory: boolean): Operand["kind"] {
  const either = REGISTER_OR_MEMORY.get(kind);
  if (either !== undefined) return asMemory ? "memory" : either;
  return KIND.get(kind) ?? "general";
}

/** Encodings that a decoder with default options never produces, or that other processors alone have. */
function isForeign(code: Code): boolean {
  const name = Code[code]!;
  return /^(Cmpxchg486|Umov|Undoc|Popw_CS|Nop[wdq]$|Mov_r32_tr|Mov_tr_r32|.*_alt)/.test(name);
}

export interface Encoding {
  readonly code: Code;
  readonly mnemonic: Mnemonic;
  readonly kinds: readonly Kind[];
  readonly memoryBytes: number;
  readonly mode16: boolean;
  readonly mode32: boolean;
  readonly mode64: boolean;
  readonly lock: boolean;
  readonly rep: boolean;
  readonly repne: boolean;
}

export const encodingOf = (code: Code, info: OpCodeInfo): Encoding => ({
  code,
  mnemonic: info.mnemonic,
  kinds: Array.from({ length: info.opCount }, (_, i) => info.opKind(i)),
  memoryBytes: MemorySizeExt.size(info.memorySize),
  mode16: info.mode16,
  mode32: info.mode32,
  mode64: info.mode64,
  lock: info.canUseLockPrefix,
  rep: info.canUseRepPrefix,
  repne: info.canUseRepnePrefix,
});

/** All encodings without VEX, EVEX and the like; and without FWAIT, which is decoded on its own. */
export function legacyEncodings(): Encoding[] {
  const all: Encoding[] = [];
  for (const code of Object.values(Code)) {
    if (typeof code !== "number" || isForeign(code)) continue;
    const info = CodeExt.opCode(code);
    if (info.encoding === EncodingKind.Legacy && info.isInstruction && !info.fwait)
      all.push(encodingOf(code, info));
    info.free();
  }
  return all;
}

/** The forms of one encoding: with and without memory, each prefix. `row` is undefined where the machine has none. */
export function formsOf(e: Encoding, bits: Bits): (Omit<Form, "row"> & { row: Definition | undefined })[] {
  const either = e.kinds.findIndex((k) => REGISTER_OR_MEMORY.has(k));
  const fixed = e.kinds.findIndex((k) => k === Kind.mem || k === Kind.mem_offs);
  const forms = [];
  for (const memory of either >= 0 ? [-1, either] : [fixed]) {
    const kinds = e.kinds.map((k, i) => operandKind(k, i === memory));
    const row = rowOf(e.mnemonic, e.code, kinds);
    const prefixes: (Prefix | undefined)[] = [undefined];
    if (e.lock && memory >= 0) prefixes.push("lock");
    if (e.rep && row?.repeat !== undefined) prefixes.push("rep");
    if (e.repne && row?.repeat !== undefined) prefixes.push("repne");
    for (const prefix of prefixes)
      forms.push({
        code: e.code,
        mnemonic: e.mnemonic,
        bits,
        kinds: e.kinds,
        memory,
        memoryBytes: e.memoryBytes,
        ...(prefix === undefined ? {} : { prefix }),
        row,
      });
  }
  return forms;
}

export const existsIn = (e: Encoding, bits: Bits): boolean =>
  bits === 64 ? e.mode64 : bits === 32 ? e.mode32 : e.mode16;

export function allForms(bits: Bits): Form[] {
  return legacyEncodings()
    .filter((e) => existsIn(e, bits))
    .flatMap((e) => formsOf(e, bits))
    .filter((f): f is Form => f.row !== undefined);
}

/** Operands that are no business of user space. */
const NOT_BUILT = new Set<Kind>([
  ...[Kind.seg_reg, Kind.es, Kind.cs, Kind.ss, Kind.ds, Kind.fs, Kind.gs, Kind.farbr2_2, Kind.farbr4_2],
  Kind.tr_reg,
]);
export const isBuildable = (form: Pick<Form, "kinds">): boolean => !form.kinds.some((k) => NOT_BUILT.has(k));

/** The instruction sets that an encoding needs, by iced's names. */
export function featuresOf(code: Code): string[] {
  const instruction = new Instruction();
  instruction.code = code;
  const names = [...instruction.cpuidFeatures()].map((feature) => CpuidFeature[feature]!);
  instruction.free();
  return names;
}

export const formName = (f: Omit<Form, "row">): string =>
  `${f.prefix === undefined ? "" : f.prefix + " "}${Code[f.code]}${f.memory >= 0 ? " (memory)" : ""}, ${f.bits} bit`;
