// Cases of bytes at random: prefixes in any order and number, REX anywhere, opcodes that are none. Whatever a decoder makes
// of them, registers and memory are such that something comes of it; what it finds invalid stands there in full length, so
// that the host's processor may think otherwise. Every other one is single-stepped, but in 16-bit code.
// A case's seed says everything: `makeBytes(bits, seed)` is always the same.

import {
  Code,
  CodeExt,
  type ConstantOffsets,
  Decoder,
  DecoderOptions,
  type Instruction,
  MemorySizeExt,
  Mnemonic,
  OpKind,
  Register,
} from "iced-x86";
import { instructionSets } from "../../emulator/cpu/features.js";
import type { Definition } from "../../emulator/cpu/instructions/define.js";
import { rowOf } from "../../emulator/cpu/instructions/index.js";
import { Random } from "../../emulator/random.js";
import { Builder } from "./cases.js";
import { type Bits, encodingOf, type Form, featuresOf, operandKind } from "./forms.js";
import * as map from "./map.js";
import type { Case } from "./scene.js";
import { between, chance, pick } from "./values.js";

const LENGTH_MAX = 15;
const RSP = 4;

const PREFIXES = [
  0x66, 0x66, 0x67, 0xf2, 0xf2, 0xf3, 0xf3, 0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
] as const;

/** Some prefixes, an opcode of any map, and more than any instruction needs behind it. */
function draw(random: Random, bits: Bits): Uint8Array {
  const bytes: number[] = [];
  const count = pick(random, [0, 0, 0, 1, 1, 1, 2, 2, 3, 5]);
  for (let i = 0; i < count; i++) bytes.push(pick(random, PREFIXES));
  if (bits === 64 && chance(random, 50)) {
    // REX counts in front of the opcode only
    const at = chance(random, 85) ? bytes.length : random.below(bytes.length + 1);
    bytes.splice(at, 0, 0x40 | random.below(16));
  }
  const opcodeMap = random.below(20);
  if (opcodeMap >= 9) bytes.push(0x0f);
  if (opcodeMap >= 16) bytes.push(opcodeMap >= 18 ? 0x3a : 0x38);
  while (bytes.length < LENGTH_MAX) bytes.push(random.bits() & 0xff);
  return Uint8Array.from(bytes.slice(0, LENGTH_MAX));
}

/** What an encoding needs that has no row, or none at all: it is #UD. */
const NO_ROW: Definition = { op: Mnemonic.INVALID, does: () => {} };

/** SYSCALL, SYSENTER, INT 80H: not even in the middle of something else, where the host may see them and this decoder not. */
const CALLS = [
  [0x0f, 0x05],
  [0x0f, 0x34],
  [0xcd, 0x80],
] as const;
/** What a hypervisor of the host would take for a call of its own: 0F 01 /0 with a register, and VMMCALL. */
const isHypercall = (bytes: Uint8Array): boolean =>
  bytes.some((b, i) => b === 0x0f && bytes[i + 1] === 0x01 && bytes[i + 2]! >= 0xc0);

/** What depends on the operating system's tables and registers, on time, on chance, or on what CPUID promises. */
const SYSTEMS =
  /^(S[gi]dt|Sldt|Str|Smsw|Lar|Lsl|Ver[rw]|L[def-gs]s|Retf|Iret|Rd(tsc|tscp|pmc|rand|seed|pid|[fg]sbase|pkru)|Wr([fg]sbase|pkru)|Cpuid|Xgetbv|Xsave|Xrstor|Xsetbv|Vm|Ud0|Tzcnt|Monitor|Mwait|Clac|Stac|Invlpg[ab]|Fxsave|Fxrstor|Ldmxcsr|Clflushopt|Clwb)/;
/**
 * INT1, whose address a hypervisor below may have got wrong; SYSEXIT, which AMD has not in long mode and which may be #GP
 * first; LOOPE and LOOPNE, which on AMD's processors REPNE and REP turn into each other: no manual tells of that.
 */
const PECULIAR = /^(Int1|Sysexit|Loopn?e$)/;

/** Far transfers and pointers, through memory and not. */
const FAR = /^(Jmp|Call)_(ptr|m16)/;

function isLeftOut(form: Form, bytes: Uint8Array): boolean {
  if (CALLS.some(([a, b]) => bytes.some((byte, i) => byte === a && bytes[i + 1] === b))) return true;
  if (isHypercall(bytes)) return true;
  if (form.mnemonic === Mnemonic.INVALID) return false;
  const name = Mnemonic[form.mnemonic]!;
  if (SYSTEMS.test(name) || PECULIAR.test(name) || FAR.test(Code[form.code]!)) return true;
  if (form.kinds.some((kind) => operandKind(kind, false) === "segment")) return true;
  // What the host's processor has and this one does not promise
  return form.row === NO_ROW && !featuresOf(form.code).every((name) => instructionSets.has(name));
}

/** The form that a decoder finds at random bytes. */
function formOf(instruction: Instruction, bits: Bits): Form {
  const nothing = {
    code: instruction.code,
    mnemonic: instruction.mnemonic,
    bits,
    memory: -1,
    memoryBytes: 0,
  };
  if (instruction.code === Code.INVALID) return { ...nothing, kinds: [], row: NO_ROW };
  const info = CodeExt.opCode(instruction.code);
  const { kinds } = encodingOf(instruction.code, info);
  info.free();
  const memory = kinds.findIndex((_, i) => instruction.opKind(i) === OpKind.Memory);
  const named = kinds.map((kind, i) => operandKind(kind, i === memory));
  return {
    ...nothing,
    kinds,
    memory,
    memoryBytes: MemorySizeExt.size(instruction.memorySize),
    row: rowOf(instruction.mnemonic, instruction.code, named) ?? NO_ROW,
  };
}
class FromBytes extends Builder {
  #offsets: ConstantOffsets | undefined;

  constructor(
    form: Form,
    seed: number,
    readonly bytes: Uint8Array,
  ) {
    super(form, seed);
  }

  /** The length of the instruction; all bytes where there is none. */
  decode(): number {
    const decoder = new Decoder(this.form.bits, this.bytes, DecoderOptions.AMD);
    decoder.ip = BigInt(this.address - this.codeBase);
    decoder.decodeOut(this.instruction);
    this.#offsets?.free();
    this.#offsets = decoder.getConstantOffsets(this.instruction);
    decoder.free();
    return this.form.code === Code.INVALID ? LENGTH_MAX : this.instruction.length;
  }

  #put(at: number, bytes: number, value: number): void {
    for (let i = 0; i < bytes; i++) this.bytes[at + i] = Number((BigInt(value) >> BigInt(8 * i)) & 0xffn);
  }

  /** Branches go where code is, and not round and round; displacements are not so long that nothing is there. */
  settle(length: number): void {
    const { random, instruction: ins } = this;
    const { displacementOffset, displacementSize, immediateOffset, immediateSize } = this.#offsets!;
    const next = this.address + length;
    if (ins.opCount > 0 && BRANCHES.has(ins.opKind(0))) {
      const to = this.codeTarget(immediateSize === 1 ? 100 : undefined) + this.codeBase;
      this.#put(immediateOffset, immediateSize, to - next);
    }
    if (displacementSize < 2) return;
    const goal = this.place(this.form.memoryBytes) - this.dataBase;
    const absolute = ins.memoryBase === Register.None && ins.memoryIndex === Register.None;
    if (ins.isIpRelMemoryOperand) this.#put(displacementOffset, displacementSize, goal - next);
    else if (absolute) this.#put(displacementOffset, displacementSize, goal);
    else if (displacementSize > 2)
      this.#put(displacementOffset, displacementSize, between(random, -300, 300));
  }

  /** Registers by which the memory operand is somewhere. */
  reach(): void {
    const { instruction: ins, random, form } = this;
    if (ins.isIpRelMemoryOperand || form.memory < 0) return;
    this.target = this.place(form.memoryBytes);
    const segmentBase = form.bits === 64 && ins.memorySegment === Register.FS ? map.FS_BASE : 0;
    let goal = BigInt(this.target - segmentBase - this.dataBase) - ins.memoryDisplacement;
    const [base, index] = [numberOf(ins.memoryBase), numberOf(ins.memoryIndex)];
    if (index !== undefined) {
      if (!this.pinned.has(index)) this.pin(index, BigInt(between(random, -40, 40)));
      goal -= this.registers[index]! * BigInt(ins.memoryIndexScale);
    }
    if (base === undefined || this.pinned.has(base)) return;
    const odd = chance(random, 2) ? 1n << 62n : 0n; // not canonical
    this.pin(base, BigInt.asUintN(64, goal) ^ odd);
  }

  /** As the address-size prefix has it. */
  sizeAddresses(): void {
    const { bits } = this.form;
    const opcode = this.bytes.findIndex((b) => !PREFIX_BYTES.has(b) && !(bits === 64 && (b & 0xf0) === 0x40));
    const other = this.bytes.subarray(0, opcode).includes(ADDRESS_SIZE);
    this.stringBits = !other ? bits : bits === 32 ? 16 : 32;
  }

  override build(): Case | undefined {
    try {
      const length = this.decode();
      if (this.form.code !== Code.INVALID) {
        this.settle(length);
        this.decode();
        this.sizeAddresses();
        this.implicitOperands();
        this.reach();
        this.adjust();
      }
      const prelude = this.form.bits !== 16 && chance(this.random, 50) ? SETS_TF : [];
      if (prelude.length > 0 && !this.pinned.has(RSP)) this.pinAddress(RSP, this.place(16));
      if (prelude.length > 0 && this.registers[RSP]! & 7n) return undefined; // the prelude is not on trial
      const made = this.finish(Uint8Array.from([...prelude, ...this.bytes.subarray(0, length)]));
      return { ...made, prelude: prelude.length };
    } finally {
      this.#offsets?.free();
      this.instruction.free();
    }
  }
}

const ADDRESS_SIZE = 0x67;
const PREFIX_BYTES: ReadonlySet<number> = new Set(PREFIXES);
/** PUSHF; OR dword [rSP], 100H; POPF */
const SETS_TF = [0x9c, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00, 0x9d] as const;
const BRANCHES: ReadonlySet<OpKind> = new Set([
  ...[OpKind.NearBranch16, OpKind.NearBranch32, OpKind.NearBranch64],
]);

function numberOf(r: Register): number | undefined {
  for (const first of [Register.RAX, Register.EAX, Register.AX])
    if (r >= first && r < first + 16) return r - first;
  return undefined;
}

/** undefined: left out. */
export function makeBytes(bits: Bits, seed: number): Case | undefined {
  const random = new Random(seed).fork(`bytes ${bits}`);
  const bytes = draw(random, bits);
  const decoder = new Decoder(bits, bytes, DecoderOptions.AMD);
  const instruction = decoder.decode();
  decoder.free();
  const form = formOf(instruction, bits);
  instruction.free();
  if (isLeftOut(form, bytes)) return undefined;
  return new FromBytes(form, seed, bytes).build();
}
