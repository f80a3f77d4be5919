// The firmware's assembler, and its one door to iced-x86: instructions are written as calls, `op.mov(eax, 1)`,
// labels as strings. It knows no instruction by name: iced's operand tables say which encodings a mnemonic
// has, the operands choose among them, and the shortest that encodes is taken. Branches start short and grow
// until all reach. 16- and 32-bit code.
// Invariant: a label has one value in the finished image, and every reference was encoded with that value.

import { createRequire } from "node:module";
import type * as Iced from "iced-x86";

// Required, not imported: Node would search the whole of that large CommonJS file for the names of its exports.
const iced = createRequire(import.meta.url)("iced-x86") as typeof Iced;
const { Code, Encoder, EncodingKind, Instruction, MemorySizeExt, Mnemonic } = iced;
const { OpCodeOperandKind: Kind, OpKind, Register } = iced;
type Code = Iced.Code;
type Instruction = Iced.Instruction;
type Kind = Iced.OpCodeOperandKind;
type Mnemonic = Iced.Mnemonic;
type OpCodeInfo = Iced.OpCodeInfo;
type OpKind = Iced.OpKind;
type Register = Iced.Register;

export class RegisterOperand {
  constructor(readonly register: Register) {}
}

const named = (name: keyof typeof Register) => new RegisterOperand(Register[name] as unknown as Register);
export const [al, bl, cl, dl, ah, bh, dh] = (["AL", "BL", "CL", "DL", "AH", "BH", "DH"] as const).map(named);
export const [ax, bx, cx, dx] = (["AX", "BX", "CX", "DX"] as const).map(named);
export const [eax, ebx, ecx, edx, esi, edi, ebp, esp] = (
  ["EAX", "EBX", "ECX", "EDX", "ESI", "EDI", "EBP", "ESP"] as const
).map(named);
export const [cs, ds, es, fs, gs, ss] = (["CS", "DS", "ES", "FS", "GS", "SS"] as const).map(named);
export const [cr0, cr3, cr4] = (["CR0", "CR3", "CR4"] as const).map(named);

/** A number, or an address known only when the image is laid out. */
export class Address {
  constructor(
    readonly label: string,
    readonly plus = 0,
    /** Bits that are kept: 0xffff for an offset within the segment of the reset vector. */
    readonly mask = 0xffff_ffff,
  ) {}
}

export class MemoryOperand {
  segment: Register = Register.None;
  constructor(
    /** In bytes; 0 where the instruction leaves no choice. */
    readonly size: number,
    readonly base: Register,
    readonly displacement: number | Address,
  ) {}

  in(segment: RegisterOperand): this {
    this.segment = segment.register;
    return this;
  }
}

export class FarOperand {
  constructor(
    readonly selector: number,
    readonly offset: Address,
  ) {}
}

type Place = number | string | Address;
const placed = (place: Place): number | Address => (typeof place === "string" ? new Address(place) : place);
const memory =
  (size: number) =>
  (at: RegisterOperand | Place, displacement: Place = 0): MemoryOperand =>
    at instanceof RegisterOperand
      ? new MemoryOperand(size, at.register, placed(displacement))
      : new MemoryOperand(size, Register.None, placed(at));
export const byte = memory(1);
export const word = memory(2);
export const dword = memory(4);
/** Memory of the size that the instruction says, such as LGDT's. */
export const memoryAt = memory(0);

export type Operand = RegisterOperand | MemoryOperand | FarOperand | Address | string | number;
type Operations = {
  readonly [Name in keyof typeof Mnemonic as Uncapitalize<Name>]: (...operands: Operand[]) => void;
};

interface Item {
  readonly name: string;
  readonly bits: 16 | 32;
  readonly operands: readonly Operand[];
  readonly rep: boolean;
  readonly candidates: readonly Code[];
  /** Encodings not yet found too short. */
  tried: number;
  bytes: Uint8Array;
}

interface Pointer {
  readonly pointer: Address;
  readonly bytes: 2 | 4;
}
type Part = Item | Uint8Array | Pointer | { label: string } | { org: number } | { align: number };

/** What each operand kind means to us: a fixed register, a class of registers, memory or a kind of number. */
const fixedRegister = new Map<Kind, Register>([
  [Kind.es, Register.ES],
  [Kind.cs, Register.CS],
  [Kind.ss, Register.SS],
  [Kind.ds, Register.DS],
  [Kind.fs, Register.FS],
  [Kind.gs, Register.GS],
  [Kind.al, Register.AL],
  [Kind.cl, Register.CL],
  [Kind.ax, Register.AX],
  [Kind.dx, Register.DX],
  [Kind.eax, Register.EAX],
]);
const between = (first: Register, last: Register) => (register: Register) =>
  register >= first && register <= last;
const registerClass = new Map<Kind, (register: Register) => boolean>([
  ...[Kind.r8_or_mem, Kind.r8_reg, Kind.r8_opcode].map(
    (k) => [k, between(Register.AL, Register.BH)] as const,
  ),
  ...[Kind.r16_or_mem, Kind.r16_reg, Kind.r16_rm, Kind.r16_opcode].map(
    (k) => [k, between(Register.AX, Register.DI)] as const,
  ),
  ...[Kind.r32_or_mem, Kind.r32_reg, Kind.r32_rm, Kind.r32_opcode].map(
    (k) => [k, between(Register.EAX, Register.EDI)] as const,
  ),
  [Kind.seg_reg, between(Register.ES, Register.GS)],
  [Kind.cr_reg, between(Register.CR0, Register.CR8)],
]);
const memoryKinds = new Set([Kind.mem, Kind.mem_offs, Kind.r8_or_mem, Kind.r16_or_mem, Kind.r32_or_mem]);
/** Immediates: operand kind of the instruction, range, and whether the range is that of a signed byte. */
const immediate = new Map<Kind, { kind: OpKind; bits: number; signed: boolean }>([
  [Kind.imm8_const_1, { kind: OpKind.Immediate8, bits: 1, signed: false }],
  [Kind.imm8, { kind: OpKind.Immediate8, bits: 8, signed: false }],
  [Kind.imm8sex16, { kind: OpKind.Immediate8to16, bits: 8, signed: true }],
  [Kind.imm8sex32, { kind: OpKind.Immediate8to32, bits: 8, signed: true }],
  [Kind.imm16, { kind: OpKind.Immediate16, bits: 16, signed: false }],
  [Kind.imm32, { kind: OpKind.Immediate32, bits: 32, signed: false }],
]);
const branch = new Map<Kind, OpKind>([
  [Kind.br16_1, OpKind.NearBranch16],
  [Kind.br16_2, OpKind.NearBranch16],
  [Kind.br32_1, OpKind.NearBranch32],
  [Kind.br32_4, OpKind.NearBranch32],
]);
const nearBranch = { 16: OpKind.NearBranch16, 32: OpKind.NearBranch32 } as const;
const far = new Map<Kind, OpKind>([
  [Kind.farbr2_2, OpKind.FarBranch16],
  [Kind.farbr4_2, OpKind.FarBranch32],
]);
/** Operands of string instructions, which are not written. */
const implied = new Map<Kind, readonly [bits16: OpKind, bits32: OpKind]>([
  [Kind.seg_rSI, [OpKind.MemorySegSI, OpKind.MemorySegESI]],
  [Kind.es_rDI, [OpKind.MemoryESDI, OpKind.MemoryESEDI]],
]);
const IMPLIED_NAMES = /^(movs|stos|lods|cmps|scas)[bwd]$/;

/** Encodings by mnemonic, from iced's table, made at the first use. */
let table: Map<Mnemonic, Code[]> | undefined;
const kindsOf = new Map<Code, readonly Kind[]>();
/** Bytes of an encoding's memory operand; 0 where any will do. */
const memoryBytes = new Map<Code, number>();

function encodings(mnemonic: Mnemonic): readonly Code[] {
  if (table === undefined) {
    table = new Map();
    for (const code of Object.values(Code)) {
      if (typeof code !== "number" || code === Code.INVALID) continue;
      const info = Instruction.create(code).opCode;
      if (info.isInstruction && info.encoding === EncodingKind.Legacy && (info.mode16 || info.mode32))
        describe(info);
      info.free();
    }
  }
  return table.get(mnemonic) ?? [];
}

function describe(info: OpCodeInfo): void {
  const kinds = Array.from({ length: info.opCount }, (_, index) => info.opKind(index));
  kindsOf.set(info.code, kinds);
  memoryBytes.set(info.code, MemorySizeExt.size(info.memorySize));
  const list = table?.get(info.mnemonic) ?? [];
  list.push(info.code);
  table?.set(info.mnemonic, list);
}

export class Assembler {
  /** One method a mnemonic: `op.mov(eax, dword(ebx, 8))`; `rep` puts the prefix in front. */
  readonly op: Operations = this.#operations(false);
  readonly rep: Operations = this.#operations(true);
  readonly #origin: number;
  readonly #parts: Part[] = [];
  readonly #strings = new Map<string, string>();
  readonly #labels = new Map<string, number>();
  #bits: 16 | 32 = 16;

  constructor(origin: number) {
    this.#origin = origin;
  }

  bits(bits: 16 | 32): void {
    this.#bits = bits;
  }

  label(label: string): void {
    if (this.#labels.has(label)) throw new Error(`label ${label} is defined twice`);
    this.#labels.set(label, Number.NaN);
    this.#parts.push({ label });
  }

  bytes(...bytes: number[]): void {
    this.#parts.push(Uint8Array.from(bytes));
  }

  /** An address as data, 4 bytes. */
  address(label: string): void {
    this.#parts.push({ pointer: new Address(label), bytes: 4 });
  }

  /** The offset of an address in its segment as data, 2 bytes. */
  offset(address: Address): void {
    this.#parts.push({ pointer: new Address(address.label, address.plus, 0xffff), bytes: 2 });
  }

  /** The address of a zero-terminated ASCII text, which `strings` lays down. */
  string(text: string): Address {
    const label = this.#strings.get(text) ?? `string ${this.#strings.size}`;
    this.#strings.set(text, label);
    return new Address(label);
  }

  /** Lays down the texts asked for. */
  strings(): void {
    for (const [text, label] of this.#strings) {
      this.label(label);
      this.bytes(...Buffer.from(text, "latin1"), 0);
    }
  }

  align(align: number): void {
    this.#parts.push({ align });
  }

  /** Goes on at an address further up. */
  org(org: number): void {
    this.#parts.push({ org });
  }

  #operations(rep: boolean): Operations {
    const get =
      (_: object, name: string) =>
      (...operands: Operand[]) =>
        this.#emit(name, operands, rep);
    return new Proxy({}, { get }) as Operations;
  }

  #emit(name: string, operands: readonly Operand[], rep: boolean): void {
    const mnemonic = Mnemonic[(name[0].toUpperCase() + name.slice(1)) as keyof typeof Mnemonic];
    if (mnemonic === undefined) throw new Error(`there is no instruction ${name}`);
    const bits = this.#bits;
    const fitting = encodings(mnemonic as unknown as Mnemonic).filter((code) =>
      fits(code, name, bits, operands),
    );
    const sized = fitting
      .map((code) => ({ code, length: trial(code, bits, operands, rep) }))
      .filter(({ length }) => length > 0)
      .sort((a, b) => a.length - b.length);
    if (sized.length === 0) throw new Error(`${name}: no encoding takes these operands`);
    const candidates = sized.map(({ code }) => code);
    this.#parts.push({
      name,
      bits,
      operands,
      rep,
      candidates,
      tried: 0,
      bytes: new Uint8Array(sized[0].length),
    });
  }

  /** The image, from the origin on, and its labels. */
  assemble(): { bytes: Uint8Array; labels: ReadonlyMap<string, number> } {
    // Each pass encodes with the addresses of the pass before; sizes only grow, so this ends.
    for (let stable = false; !stable; ) {
      stable = true;
      this.#walk((part, at) => {
        if ("label" in part) {
          stable &&= this.#labels.get(part.label) === at;
          this.#labels.set(part.label, at);
        } else if ("candidates" in part) {
          const before = part.bytes.length;
          this.#encode(part, at);
          stable &&= part.bytes.length === before;
        }
      });
    }
    return this.#collect();
  }

  #collect(): { bytes: Uint8Array; labels: ReadonlyMap<string, number> } {
    const placed: [at: number, bytes: Uint8Array][] = [];
    const end = this.#walk((part, at) => {
      const bytes = this.#bytesOf(part);
      placed.push([at, bytes]);
    });
    const image = new Uint8Array(end - this.#origin);
    for (const [at, bytes] of placed) image.set(bytes, at - this.#origin);
    return { bytes: image, labels: this.#labels };
  }

  #bytesOf(part: Part): Uint8Array {
    if (part instanceof Uint8Array) return part;
    if ("candidates" in part) return part.bytes;
    if (!("pointer" in part)) return new Uint8Array(0);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, this.#resolve(part.pointer, 0), true);
    return bytes.subarray(0, part.bytes);
  }

  /** In the first pass a label ahead is not known; `unknown` stands in for it. */
  #resolve(address: Address, unknown: number): number {
    const value = this.#labels.get(address.label);
    if (value === undefined) throw new Error(`there is no label ${address.label}`);
    return (((Number.isNaN(value) ? unknown : value) + address.plus) & address.mask) >>> 0;
  }

  #walk(visit: (part: Part, at: number) => void): number {
    let at = this.#origin;
    for (const part of this.#parts) {
      if ("org" in part) {
        if (part.org < at)
          throw new Error(`the code reaches ${at.toString(16)}, beyond ${part.org.toString(16)}`);
        at = part.org;
      } else if ("align" in part) at = Math.ceil(at / part.align) * part.align;
      else {
        visit(part, at);
        at += this.#bytesOf(part).length;
      }
    }
    return at;
  }

  #encode(item: Item, at: number): void {
    for (const operand of item.operands) for (const label of labelsOf(operand)) this.#resolve(label, at);
    // Here is near enough for a short branch.
    const resolve = (address: Address) => this.#resolve(address, at);
    for (; item.tried < item.candidates.length; item.tried++) {
      const bytes = encode(item.candidates[item.tried], item.bits, item.operands, item.rep, at, resolve);
      if (bytes === undefined) continue;
      item.bytes = bytes;
      return;
    }
    throw new Error(`${item.name}: its operands are out of reach at ${at.toString(16)}`);
  }
}

/** The labels that an operand names. */
function labelsOf(operand: Operand): Address[] {
  if (typeof operand === "string") return [new Address(operand)];
  if (operand instanceof FarOperand) return [operand.offset];
  const address = operand instanceof MemoryOperand ? operand.displacement : operand;
  return address instanceof Address ? [address] : [];
}

function fits(code: Code, name: string, bits: 16 | 32, operands: readonly Operand[]): boolean {
  const info = Instruction.create(code).opCode;
  const available = bits === 16 ? info.mode16 : info.mode32;
  info.free();
  const kinds = kindsOf.get(code) ?? [];
  if (!available) return false;
  if (IMPLIED_NAMES.test(name)) return operands.length === 0;
  return (
    kinds.length === operands.length &&
    kinds.every((kind, index) => matches(kind, operands[index], bits, memoryBytes.get(code) ?? 0))
  );
}

/** Near branches keep the width of the mode: a 16-bit one would be shorter, and cut the address. */
function matches(kind: Kind, operand: Operand, bits: 16 | 32, bytes: number): boolean {
  if (operand instanceof RegisterOperand)
    return (
      fixedRegister.get(kind) === operand.register || (registerClass.get(kind)?.(operand.register) ?? false)
    );
  if (operand instanceof MemoryOperand)
    return memoryKinds.has(kind) && (bytes === operand.size || bytes === 0 || operand.size === 0);
  if (operand instanceof FarOperand) return far.has(kind);
  if (typeof operand !== "number")
    return branch.get(kind) === nearBranch[bits] || kind === Kind.imm16 || kind === Kind.imm32;
  const number = immediate.get(kind);
  if (number === undefined) return false;
  if (kind === Kind.imm8_const_1) return operand === 1;
  return number.signed
    ? operand === (operand << 24) >> 24
    : operand >= -(2 ** (number.bits - 1)) && operand < 2 ** number.bits;
}

/** Length with labels at the origin: good enough to sort encodings by, and 0 where none is possible. */
function trial(code: Code, bits: 16 | 32, operands: readonly Operand[], rep: boolean): number {
  return encode(code, bits, operands, rep, 0, (address) => address.plus & address.mask)?.length ?? 0;
}

function encode(
  code: Code,
  bits: 16 | 32,
  operands: readonly Operand[],
  rep: boolean,
  at: number,
  resolve: (address: Address) => number,
): Uint8Array | undefined {
  const instruction = Instruction.create(code);
  const encoder = new Encoder(bits);
  try {
    for (const [index, kind] of (kindsOf.get(code) ?? []).entries())
      set(instruction, index, kind, bits, operands[index], resolve);
    if (rep) instruction.hasRepPrefix = true;
    encoder.encode(instruction, BigInt(at));
    return encoder.takeBuffer();
  } catch {
    return undefined; // iced refuses: this encoding cannot hold these operands
  } finally {
    encoder.free();
    instruction.free();
  }
}

function set(
  instruction: Instruction,
  index: number,
  kind: Kind,
  bits: 16 | 32,
  operand: Operand | undefined,
  resolve: (address: Address) => number,
): void {
  const value = (of: number | string | Address) =>
    typeof of === "number" ? of : resolve(of instanceof Address ? of : new Address(of));
  if (operand === undefined) setImplied(instruction, index, kind, bits);
  else if (operand instanceof RegisterOperand) setRegister(instruction, index, operand.register);
  else if (operand instanceof MemoryOperand) {
    instruction.setOpKind(index, OpKind.Memory);
    instruction.memoryBase = operand.base;
    instruction.memoryDisplacement = BigInt(value(operand.displacement)) & 0xffff_ffffn;
    // A displacement is left out where there is none, short where it is a small number, else full.
    const { displacement, base } = operand;
    const small = typeof displacement === "number" && displacement >= -128 && displacement < 128;
    const full = bits === 16 && base === Register.None ? 2 : 4;
    instruction.memoryDisplSize = base === Register.None ? full : displacement === 0 ? 0 : small ? 1 : full;
    instruction.segmentPrefix = operand.segment;
  } else if (operand instanceof FarOperand) {
    instruction.setOpKind(index, far.get(kind) as OpKind);
    instruction.farBranchSelector = operand.selector;
    if (kind === Kind.farbr4_2) instruction.farBranch32 = value(operand.offset);
    else if (value(operand.offset) > 0xffff) throw new RangeError("far offset");
    else instruction.farBranch16 = value(operand.offset);
  } else if (branch.has(kind)) {
    instruction.setOpKind(index, branch.get(kind) as OpKind);
    const wide = branch.get(kind) === OpKind.NearBranch32;
    if (wide) instruction.nearBranch32 = value(operand);
    else instruction.nearBranch16 = value(operand) & 0xffff;
  } else {
    const { kind: opKind, bits: width } = immediate.get(kind) as { kind: OpKind; bits: number };
    instruction.setOpKind(index, opKind);
    setImmediate(instruction, opKind, width, value(operand));
  }
}

function setImmediate(instruction: Instruction, kind: OpKind, bits: number, value: number): void {
  if (kind === OpKind.Immediate8to16) instruction.immediate8to16 = value;
  else if (kind === OpKind.Immediate8to32) instruction.immediate8to32 = value;
  else if (bits <= 8) instruction.immediate8 = value & 0xff;
  else if (bits === 16) {
    if (value > 0xffff || value < -0x8000) throw new RangeError("immediate");
    instruction.immediate16 = value & 0xffff;
  } else instruction.immediate32 = value >>> 0;
}

function setRegister(instruction: Instruction, index: number, register: Register): void {
  instruction.setOpKind(index, OpKind.Register);
  instruction.setOpRegister(index, register);
}

function setImplied(instruction: Instruction, index: number, kind: Kind, bits: 16 | 32): void {
  const register = fixedRegister.get(kind);
  if (register !== undefined) setRegister(instruction, index, register);
  else instruction.setOpKind(index, (implied.get(kind) as readonly [OpKind, OpKind])[bits === 16 ? 0 : 1]);
}
