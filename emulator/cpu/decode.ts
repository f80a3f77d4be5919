// The one door to iced-x86 for the CPU: turns instruction bytes into forms and decoded-op fields. Asking iced costs
// microseconds: shapes.ts asks once for all instructions that differ in their constants only. iced knows lengths,
// operands, LOCK's validity and which encodings exist; the rows know what they mean. Everything that can be said of
// an op independently of where its block is mapped is said here.
// Invariant: iced's objects are reused or freed; none outlives a call.

import type { ConstantOffsets, Decoder, Register as RegisterNumber } from "iced-x86";
import { Code, iced, Mnemonic } from "../iced.js";
import type { Form, FormOperand } from "./form.js";
import {
  type Condition,
  type Definition,
  type Operand,
  RBP,
  RSP,
  type Segment,
} from "./instructions/define.js";
import { rowOf } from "./instructions/index.js";
import {
  BLOCK_RIP,
  GPR,
  MODE_64,
  MODE_CODE32,
  MODE_PROTECTED,
  MODE_STACK32,
  ST,
  XMM,
  ZERO,
} from "./layout.js";

export { Code, Mnemonic } from "../iced.js";

const { ConditionCode, DecoderError, FlowControl, MemorySizeExt, OpKind, Register } = iced;

/** The bits of MODE by which decoding differs. */
export const MODE_KEY = MODE_64 | MODE_CODE32 | MODE_STACK32 | MODE_PROTECTED;
const LENGTH_MAX = 15;
const REPEATS: ReadonlySet<number> = new Set([0xf2, 0xf3]);
const CS_OVERRIDE = 0x2e;
/** LOCK, REP and segment overrides change no instruction's length; operand and address sizes may. */
const LENGTHLESS: ReadonlySet<number> = new Set([0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]);
const RESIZING: ReadonlySet<number> = new Set([0x66, 0x67]);

/** What iced says of a Code, kept: asking creates an object. */
interface CodeFacts {
  readonly operandSize: number;
  readonly addressSize: number;
}

/** A displacement or an immediate: where it stands in the instruction and what becomes of it. */
export interface Constant {
  /** From the instruction's first byte. */
  readonly at: number;
  /** Bytes; sign-extended when it is read. */
  readonly size: 1 | 2 | 4 | 8;
  /** Added to it; then `width` bits count, sign-extended (`signed`) or not. */
  readonly add: number;
  readonly width: number;
  readonly signed: boolean;
}

/** An instruction but for its displacement and its immediate, which are read from its own bytes. */
export interface Shape {
  /** What to run: a form of a row, or a reason why there is none. */
  readonly form: Form | "invalid" | "too long" | "unimplemented";
  readonly code: Code;
  readonly length: number;
  /** How many first bytes say all that is here (shapes.ts). 0: there is more to it, and it stands for this one instruction. */
  readonly skeleton: number;
  /** A near branch to an address of its own. */
  readonly branches: boolean;
  /** The block cannot go on after it. */
  readonly ends: boolean;
  /** By operand number: offset of the register in the core block, or a register's number. */
  readonly registers: readonly { readonly at: number; readonly isAddress: boolean }[];
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly stackBased: boolean;
  readonly immediate2: number;
  /** With BLOCK_RIP as the base: from the instruction's start. A bigint: this very one, as it was decoded. */
  readonly displacement: Constant | bigint;
  /** Of a branch: from the instruction's start to its target. */
  readonly immediate: Constant | bigint;
}

const FAR_INDIRECT: ReadonlySet<Code> = new Set([
  Code.Jmp_m1616,
  Code.Jmp_m1632,
  Code.Call_m1616,
  Code.Call_m1632,
]);

const SEGMENT_NAMES: Record<number, Segment> = {
  [Register.ES]: "es",
  [Register.CS]: "cs",
  [Register.SS]: "ss",
  [Register.DS]: "ds",
  [Register.FS]: "fs",
  [Register.GS]: "gs",
};

const instruction = new iced.Instruction();
const facts = new Map<Code, CodeFacts>();

function factsOf(code: Code): CodeFacts {
  let known = facts.get(code);
  if (known === undefined) {
    const info = instruction.opCode;
    known = { operandSize: info.operandSize, addressSize: info.addressSize };
    info.free();
    facts.set(code, known);
  }
  return known;
}

/** Has iced read the instructions of a copy of some code. */
export class InstructionReader {
  readonly #bytes: Uint8Array;
  readonly #mode: number;
  #decoder: Decoder | undefined;

  constructor(bytes: Uint8Array, mode: number) {
    this.#bytes = bytes;
    this.#mode = mode;
  }
  free(): void {
    this.#decoder?.free();
  }

  /** undefined: the bytes end in the middle of it. */
  read(offset: number): Shape | undefined {
    const decoder = this.#decoderAt(offset);
    decoder.decodeOut(instruction);
    if (FAR_INDIRECT.has(instruction.code)) return this.#farIndirect(offset);
    const { length, code } = instruction;
    if (code === Code.Pause && this.#exchanges(offset, length)) return this.#exchange(offset, length);
    if (code === Code.INVALID) {
      const cut = decoder.lastError === DecoderError.NoMoreBytes && length < LENGTH_MAX;
      if (cut && offset + length >= this.#bytes.length) return undefined;
      const tooLong =
        length >= LENGTH_MAX && !endsWithin(this.#bytes.slice(offset, offset + length), this.#mode);
      return withoutForm(tooLong ? "too long" : "invalid", code, length);
    }
    const constants = decoder.getConstantOffsets(instruction);
    const shape = this.#withX87Opcode(withConstants(shapeOf(this.#mode), constants), offset);
    constants.free();
    return shape;
  }
  /**
   * Far JMP and CALL through memory with REX.W: a 64-bit offset. Only Intel documents it (SDM vol. 2, JMP and CALL: m16:64);
   * AMD's processors ignore the prefix there, which no code can want, while systems' code uses it.
   */
  #farIndirect(offset: number): Shape {
    const decoder = new iced.Decoder(bitnessOf(this.#mode), this.#bytes, iced.DecoderOptions.None);
    decoder.position = offset;
    decoder.ip = 0n;
    decoder.decodeOut(instruction);
    decoder.free();
    return shapeOf(this.#mode);
  }
  /** 90 with REX.B: XCHG of R8 and rAX, before which F3 says nothing. iced takes F3 41 90 for PAUSE. */
  #exchanges(offset: number, length: number): boolean {
    return (this.#mode & MODE_64) !== 0 && ((this.#bytes[offset + length - 2] as number) & 0xf1) === 0x41;
  }
  #exchange(offset: number, length: number): Shape {
    const bytes = this.#bytes.slice(offset, offset + length);
    const decoder = new iced.Decoder(
      64,
      bytes.map((b) => (REPEATS.has(b) ? CS_OVERRIDE : b)),
      iced.DecoderOptions.AMD,
    );
    decoder.decodeOut(instruction);
    decoder.free();
    return shapeOf(this.#mode);
  }
  /** x87's last opcode (FOP): the low 3 bits of its first byte, D8 to DF, and the ModRM byte. */
  #withX87Opcode(shape: Shape, offset: number): Shape {
    if (typeof shape.form !== "object" || shape.form.row.needs !== "fpu") return shape;
    for (let at = offset; at < offset + shape.length - 1; at++) {
      const byte = this.#bytes[at];
      if (byte >= 0xd8 && byte <= 0xdf)
        return { ...shape, immediate2: ((byte & 7) << 8) | this.#bytes[at + 1] };
    }
    return shape;
  }
  /** Each instruction is read as if it stood at address 0: distances count from its start. */
  #decoderAt(offset: number): Decoder {
    this.#decoder ??= new iced.Decoder(bitnessOf(this.#mode), this.#bytes, iced.DecoderOptions.AMD);
    this.#decoder.position = offset;
    this.#decoder.ip = 0n;
    return this.#decoder;
  }
}
const bitnessOf = (mode: number): number => (mode & MODE_64 ? 64 : mode & MODE_CODE32 ? 32 : 16);

/** The same with its constants' places instead of their values, where its first bytes say all else. */
function withConstants(shape: Shape, offsets: ConstantOffsets): Shape {
  if (typeof shape.form !== "object") return shape;
  const { displacementOffset, displacementSize, immediateOffset, immediateSize } = offsets;
  const skeleton = shape.length - displacementSize - immediateSize;
  // Two immediates are rare; an opcode behind its displacement is 3DNow!'s.
  const first = displacementSize > 0 ? displacementOffset : immediateSize > 0 ? immediateOffset : skeleton;
  if (offsets.hasImmediate2 || first !== skeleton) return shape;
  const value = shape.form.operands.find((o) => o.kind === "immediate" || o.kind === "branch");
  return {
    ...shape,
    skeleton,
    displacement:
      displacementSize === 0
        ? shape.displacement
        : {
            at: displacementOffset,
            size: displacementSize as Constant["size"],
            add: shape.base === BLOCK_RIP ? shape.length : popped(shape.form.operands, shape.base),
            width: shape.form.addressSize,
            signed: false,
          },
    immediate:
      immediateSize === 0 || value === undefined
        ? shape.immediate
        : {
            at: immediateOffset,
            size: immediateSize as Constant["size"],
            add: shape.branches ? shape.length : 0,
            width: value.width,
            signed: shape.branches,
          },
  };
}

/**
 * Whether what iced finds invalid, at the most bytes that an instruction has, ends there: #UD then, else #GP. It does when it
 * ends earlier without one of its prefixes, of those that change no length.
 */
function endsWithin(bytes: Uint8Array, mode: number): boolean {
  const needless = bytes.findIndex(
    (b, i) => LENGTHLESS.has(b) || (RESIZING.has(b) && bytes.indexOf(b, i + 1) > i),
  );
  const decoder = new iced.Decoder(
    bitnessOf(mode),
    bytes.filter((_, i) => i !== needless),
    iced.DecoderOptions.AMD,
  );
  decoder.decodeOut(instruction);
  const ends = needless >= 0 && decoder.lastError !== DecoderError.NoMoreBytes;
  decoder.free();
  return ends;
}

const NOTHING = { registers: [], base: ZERO, index: ZERO, scale: 0, stackBased: false } as const;

function withoutForm(form: "invalid" | "too long" | "unimplemented", code: Code, length: number): Shape {
  const none = { displacement: 0n, immediate: 0n, immediate2: 0 };
  return { form, code, length, skeleton: 0, branches: false, ends: true, ...NOTHING, ...none };
}

/** The instruction just decoded, constants and all. */
function shapeOf(mode: number): Shape {
  const { code, length } = instruction;
  const operands = operandsOf();
  const row = rowOf(
    instruction.mnemonic,
    code,
    operands.map((o) => o.kind),
  );
  const locked = lockOf(row, operands);
  if (row === undefined || locked === undefined) return withoutForm("unimplemented", code, length);
  const form = formOf(row, mode, locked, operands);
  const flow = instruction.flowControl;
  const ends =
    row.ends === true ||
    row.transfers === true ||
    form.repeat !== "no" ||
    (flow !== FlowControl.Next && flow !== FlowControl.ConditionalBranch);
  const address = addressOf(operands);
  const branches = operands.some((o) => o.kind === "branch");
  const values = valuesOf(operands);
  const { base, index, scale, stackBased, displacement } = address;
  const { registers, immediate, immediate2 } = values;
  const where = { registers, base, index, scale, stackBased, displacement, immediate, immediate2 };
  return { form, code, length, skeleton: 0, branches, ends, ...where };
}

/** undefined: LOCK on an instruction whose row does not know it. */
function lockOf(row: Definition | undefined, operands: readonly FormOperand[]): Form["lock"] | undefined {
  const memory = operands.find((o) => o.kind === "memory");
  if (instruction.hasLockPrefix && row?.lock === undefined) return undefined;
  if (memory === undefined || !(instruction.hasLockPrefix || row?.lock === "always")) return "no";
  return memory.width > 64 ? "bus" : "atomic";
}

function formOf(row: Definition, mode: number, lock: Form["lock"], operands: readonly FormOperand[]): Form {
  const mode64 = (mode & MODE_64) !== 0;
  const { operandSize } = factsOf(instruction.code);
  const fallback = mode64 || mode & MODE_CODE32 ? 32 : 16;
  const repeats = row.repeat !== undefined;
  const condition = instruction.conditionCode;
  return {
    row,
    mnemonic: instruction.mnemonic,
    name: Code[instruction.code],
    condition: condition === ConditionCode.None ? undefined : (ConditionCode[condition] as Condition),
    operands: operands.map((o, i) => ({ ...o, access: row.access?.[i] ?? "-" })),
    operandSize: (operandSize || fallback) as 16 | 32 | 64,
    addressSize: addressSize(operands, mode64 ? 64 : fallback) as 16 | 32 | 64,
    stackSize: mode64 ? 64 : mode & MODE_STACK32 ? 32 : 16,
    mode64,
    protectedMode: (mode & MODE_PROTECTED) !== 0,
    segment: segmentOf(operands, mode64),
    indexed: isModrm(operands) && instruction.memoryIndex !== Register.None,
    lock,
    repeat:
      repeats && instruction.hasRepPrefix
        ? "equal"
        : repeats && instruction.hasRepnePrefix
          ? "unequal"
          : "no",
  };
}

const isModrm = (operands: readonly FormOperand[]) => operands.some((o) => o.place === "modrm");

function segmentOf(operands: readonly FormOperand[], mode64: boolean): Segment {
  if (!operands.some((o) => o.kind === "memory")) {
    if (instruction.mnemonic !== Mnemonic.Monitor) return "ds";
    const prefix = SEGMENT_NAMES[instruction.segmentPrefix] ?? "ds"; // its address is in rAX
    return mode64 && prefix !== "fs" && prefix !== "gs" ? "ds" : prefix;
  }
  const segment = SEGMENT_NAMES[instruction.memorySegment];
  return mode64 && segment !== "fs" && segment !== "gs" ? "ds" : segment;
}

function addressSize(operands: readonly FormOperand[], fallback: number): number {
  for (const { place, kind } of operands) {
    if (kind !== "memory") continue;
    if (place === "modrm") {
      const register = instruction.memoryBase || instruction.memoryIndex;
      return register === Register.None ? instruction.memoryDisplSize * 8 : generalWidth(register);
    }
    return stringAddressSize();
  }
  return factsOf(instruction.code).addressSize || fallback;
}
function stringAddressSize(): number {
  for (let i = 0; i < instruction.opCount; i++) {
    const kind = instruction.opKind(i);
    if (kind === OpKind.MemorySegSI || kind === OpKind.MemoryESDI || kind === OpKind.MemorySegDI) return 16;
    if (kind === OpKind.MemorySegESI || kind === OpKind.MemoryESEDI || kind === OpKind.MemorySegEDI)
      return 32;
  }
  return 64;
}

// --- operands ---

function operandsOf(): FormOperand[] {
  const operands: FormOperand[] = [];
  for (let i = 0; i < instruction.opCount; i++) operands.push(operandOf(i));
  return operands;
}
function operandOf(index: number): FormOperand {
  const operand = (kind: Operand["kind"], width: number, place: FormOperand["place"]): FormOperand => ({
    kind,
    width,
    index,
    place,
    access: "-",
  });
  switch (instruction.opKind(index)) {
    case OpKind.Register: {
      const { kind, width } = registerFacts(instruction.opRegister(index));
      return operand(kind, width, "register");
    }
    case OpKind.NearBranch16:
      return operand("branch", 16, "immediate");
    case OpKind.NearBranch32:
      return operand("branch", 32, "immediate");
    case OpKind.NearBranch64:
      return operand("branch", 64, "immediate");
    case OpKind.FarBranch16:
      return operand("far", 32, "immediate");
    case OpKind.FarBranch32:
      return operand("far", 48, "immediate");
    case OpKind.Immediate8:
      return operand("immediate", 8, "immediate");
    case OpKind.Immediate8_2nd:
      return operand("immediate", 8, "immediate2");
    case OpKind.Immediate16:
    case OpKind.Immediate8to16:
      return operand("immediate", 16, "immediate");
    case OpKind.Immediate32:
    case OpKind.Immediate8to32:
      return operand("immediate", 32, "immediate");
    case OpKind.Immediate64:
    case OpKind.Immediate8to64:
    case OpKind.Immediate32to64:
      return operand("immediate", 64, "immediate");
    case OpKind.MemorySegSI:
    case OpKind.MemorySegESI:
    case OpKind.MemorySegRSI:
      return operand("memory", memoryWidth(), "si");
    case OpKind.Memory:
      return operand("memory", memoryWidth(), "modrm");
    default: // [es:rDI], and MASKMOVQ's [seg:rDI], whose rows address it themselves
      return operand("memory", memoryWidth(), "di");
  }
}
const memoryWidth = (): number => MemorySizeExt.size(instruction.memorySize) * 8;

interface RegisterFacts {
  readonly kind: Operand["kind"];
  readonly width: number;
  /** Offset in the core block, or the register's number. */
  readonly at: number;
  readonly isAddress: boolean;
}

const generalWidth = (r: RegisterNumber): number =>
  r >= Register.RAX && r <= Register.R15
    ? 64
    : r === Register.RIP
      ? 64
      : r < Register.AX
        ? 8
        : r < Register.EAX
          ? 16
          : 32;

function registerFacts(r: RegisterNumber): RegisterFacts {
  const general = (width: number, at: number) => ({ kind: "general", width, at, isAddress: true }) as const;
  if (r < Register.AX) {
    const n = r - Register.AL;
    if (n < 4) return general(8, GPR + 8 * n);
    if (n < 8) return general(8, GPR + 8 * (n - 4) + 1); // AH CH DH BH
    return general(8, GPR + 8 * (n - 4)); // SPL ... R15L
  }
  if (r < Register.EAX) return general(16, GPR + 8 * (r - Register.AX));
  if (r < Register.RAX) return general(32, GPR + 8 * (r - Register.EAX));
  if (r <= Register.R15) return general(64, GPR + 8 * (r - Register.RAX));
  const numbered = (kind: Operand["kind"], width: number, first: RegisterNumber): RegisterFacts => ({
    kind,
    width,
    at: r - first,
    isAddress: false,
  });
  if (r >= Register.ES && r <= Register.GS) return numbered("segment", 16, Register.ES);
  if (r >= Register.CR0 && r <= Register.CR15) return numbered("control", 64, Register.CR0);
  if (r >= Register.DR0 && r <= Register.DR15) return numbered("debug", 64, Register.DR0);
  if (r >= Register.ST0 && r <= Register.ST7) return numbered("st", 80, Register.ST0);
  if (r >= Register.MM0 && r <= Register.MM7)
    return { kind: "mm", width: 64, at: ST + 16 * (r - Register.MM0), isAddress: true };
  if (r >= Register.XMM0 && r <= Register.XMM15)
    return { kind: "xmm", width: 128, at: XMM + 16 * (r - Register.XMM0), isAddress: true };
  // Wider vectors and the like: no row takes them.
  return { kind: "xmm", width: 0, at: 0, isAddress: false };
}

// --- what goes into the record ---

function addressOf(operands: readonly FormOperand[]) {
  if (!isModrm(operands)) return { base: ZERO, index: ZERO, scale: 0, stackBased: false, displacement: 0n };
  const { memoryBase, memoryIndex } = instruction;
  let base: number = ZERO;
  if (instruction.isIpRelMemoryOperand) {
    base = BLOCK_RIP;
  } else if (memoryBase !== Register.None) base = registerFacts(memoryBase).at;
  return {
    base,
    index: memoryIndex === Register.None ? ZERO : registerFacts(memoryIndex).at,
    scale: Math.log2(instruction.memoryIndexScale),
    // In 64-bit mode, where alone it counts, overrides by ES, CS, SS and DS are ignored (AMD APM vol. 1, 2.5.4).
    stackBased: (base === GPR + 8 * RSP || base === GPR + 8 * RBP) && !isOverridden(),
    displacement: instruction.memoryDisplacement + BigInt(popped(operands, base)),
  };
}

/** POP addresses its destination with the stack pointer already moved. */
const popped = (operands: readonly FormOperand[], base: number): number =>
  instruction.mnemonic === Mnemonic.Pop && base === GPR + 8 * RSP ? operands[0].width / 8 : 0;

const isOverridden = () =>
  instruction.memorySegment === Register.FS || instruction.memorySegment === Register.GS;

function valuesOf(operands: readonly FormOperand[]) {
  let immediate = 0n;
  let immediate2 = 0;
  const registers = operands.map(({ kind, width, place, index }) => {
    if (place === "register") {
      const { at, isAddress } = registerFacts(instruction.opRegister(index));
      return { at, isAddress };
    }
    if (place === "immediate2") immediate2 = instruction.immediate8_2nd;
    else if (kind === "branch") immediate = BigInt.asIntN(width, instruction.nearBranchTarget);
    else if (kind === "far") immediate = farPointer(width);
    else if (kind === "immediate") immediate = BigInt.asUintN(width, instruction.immediate(index));
    return { at: 0, isAddress: false };
  });
  return { registers, immediate, immediate2 };
}
/** The selector above an offset of 32 bits. */
function farPointer(width: number): bigint {
  const offset = width === 32 ? instruction.farBranch16 : instruction.farBranch32;
  return (BigInt(instruction.farBranchSelector) << 32n) | BigInt(offset >>> 0);
}

/** The name that reports give an instruction. */
export const codeName = (code: Code): string => Code[code] ?? `code ${code}`;

const mnemonics = new Map<Code, Mnemonic>();
export function mnemonicOf(code: Code): Mnemonic {
  let mnemonic = mnemonics.get(code);
  if (mnemonic === undefined) {
    const info = iced.CodeExt.opCode(code);
    mnemonic = info.mnemonic;
    info.free();
    mnemonics.set(code, mnemonic);
  }
  return mnemonic;
}
