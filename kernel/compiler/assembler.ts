// The back end's one door to iced-x86: an assembler for one stretch of code. An operand is a register, a
// memory reference or a number; `op` finds the encoding by the manual's mnemonic and the operand kinds.
// Jumps are kept apart from the other bytes until `finish`, which gives each the short form when it reaches.
// Encodings are remembered by their operands, since iced needs about 3 us for each.
//
// Invariant: what iced encodes here never depends on the address it will run at; addresses enter by
// relocations, which the linker (link.ts) fills in.
import { Code, Encoder, Instruction, MemoryOperand, Register } from "iced-x86";

/** A general register, by its number in the encoding. */
export type Reg = number & { readonly reg?: never };
export const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [0, 1, 2, 3, 4, 5, 6, 7];
export const [R8, R9, R10, R11, R12, R13, R14, R15] = [8, 9, 10, 11, 12, 13, 14, 15];

export type Size = 8 | 16 | 32 | 64;

export interface Memory {
  readonly base?: Reg;
  readonly index?: Reg;
  readonly scale?: 1 | 2 | 4 | 8;
  readonly displacement?: number;
  /** The symbol's address below 4 GiB is added to the displacement by the linker. */
  readonly symbol?: string;
  readonly segment?: "cs" | "gs";
}

/** An operand that is a register; distinct from a plain number, which is an immediate. */
export class R {
  private constructor(readonly number: Reg) {}
  static readonly all = Array.from({ length: 16 }, (_, number) => new R(number));
}
export const r = (number: Reg): R => R.all[number]!;

export type Operand = R | Memory | number;

export type Condition =
  | "o"
  | "no"
  | "b"
  | "ae"
  | "e"
  | "ne"
  | "be"
  | "a"
  | "s"
  | "ns"
  | "l"
  | "ge"
  | "le"
  | "g";
/** In the order of their encoding. */
const conditions = ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"];
export const inverse = (condition: Condition): Condition =>
  conditions[conditions.indexOf(condition) ^ 1] as Condition;

export interface Relocation {
  readonly at: number;
  /** relative: 4 bytes counted from behind them; address32: below 4 GiB; address64: virtual. */
  readonly kind: "relative" | "address32" | "address64";
  readonly symbol: string;
  readonly addend: number;
}

/** Bytes that still name symbols. */
export interface Chunk {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly relocations: readonly Relocation[];
  readonly align: number;
  /** Symbols inside the chunk, by offset. */
  readonly symbols: ReadonlyMap<string, number>;
}

export class Label {
  /** Offset in the bytes without jumps, and how many jumps stand before it. */
  at = -1;
  jumpsBefore = 0;
  uses = 0;
}

interface Jump {
  readonly at: number;
  readonly target: Label;
  /** Number in the encoding; -1 jumps always. */
  readonly condition: number;
  long: boolean;
}

interface Encoded {
  readonly bytes: Uint8Array;
  readonly displacementAt: number;
  readonly immediateAt: number;
}

type Bitness = 16 | 32 | 64;

const registers = {
  8: "AL CL DL BL SPL BPL SIL DIL R8L R9L R10L R11L R12L R13L R14L R15L",
  16: "AX CX DX BX SP BP SI DI R8W R9W R10W R11W R12W R13W R14W R15W",
  32: "EAX ECX EDX EBX ESP EBP ESI EDI R8D R9D R10D R11D R12D R13D R14D R15D",
  64: "RAX RCX RDX RBX RSP RBP RSI RDI R8 R9 R10 R11 R12 R13 R14 R15",
} as const;

const icedRegisters = Object.fromEntries(
  Object.entries(registers).map(([size, names]) => [
    size,
    names.split(" ").map((name) => Register[name as keyof typeof Register] as Register),
  ]),
) as Record<Size, Register[]>;

/** They leave the flags as TEST of their result does. */
const logical = new Set(["And", "Or", "Xor"]);

const fitsByte = (value: number) => value >= -128 && value <= 127;
export const fits32 = (value: bigint | number) => value >= -0x8000_0000 && value <= 0x7fff_ffff;

function codeOf(candidates: readonly string[]): Code {
  for (const name of candidates) {
    const code = Code[name as keyof typeof Code];
    if (typeof code === "number") return code;
  }
  throw new Error(`assembler: no encoding among ${candidates.join(", ")}`);
}

/** Everything remembered of earlier encodings, for each processor mode. */
const remembered: Record<Bitness, Map<string, Encoded>> = { 16: new Map(), 32: new Map(), 64: new Map() };
const encoders: Partial<Record<Bitness, Encoder>> = {};

function encode(bitness: Bitness, key: string, make: () => Instruction): Encoded {
  const known = remembered[bitness].get(key);
  if (known !== undefined) return known;
  encoders[bitness] ??= new Encoder(bitness);
  const encoder = encoders[bitness];
  const instruction = make();
  try {
    encoder.encode(instruction, 0n);
  } catch (error) {
    throw new Error(`assembler: ${key}: ${String(error)}`);
  }
  const offsets = encoder.getConstantOffsets();
  const encoded = {
    bytes: encoder.takeBuffer(),
    displacementAt: offsets.hasDisplacement ? offsets.displacementOffset : -1,
    immediateAt: offsets.hasImmediate ? offsets.immediateOffset : -1,
  };
  offsets.free();
  instruction.free();
  remembered[bitness].set(key, encoded);
  return encoded;
}

const operandKey = (operand: Operand): string => {
  if (typeof operand === "number") return `${operand}`;
  if (operand instanceof R) return `r${operand.number}`;
  const m = operand;
  const place = m.symbol === undefined ? m.displacement : "?";
  return `[${m.base},${m.index},${m.scale},${place},${m.segment}]`;
};

function icedMemory(m: Memory, bitness: Bitness): MemoryOperand {
  const at = (reg: Reg | undefined) => (reg === undefined ? Register.None : icedRegisters[bitness][reg]!);
  // A symbol's displacement is filled in by the linker, so it takes the four-byte form.
  const displacement = m.symbol === undefined ? (m.displacement ?? 0) : 0x1234_5678;
  const absolute = m.base === undefined && m.index === undefined;
  let size = displacement === 0 ? 0 : 1;
  if (absolute || m.symbol !== undefined || !fitsByte(displacement)) size = bitness / 8;
  else if (m.base === undefined) size = bitness / 8;
  const segment = m.segment === undefined ? Register.None : { cs: Register.CS, gs: Register.GS }[m.segment];
  return MemoryOperand.new64(
    at(m.base),
    at(m.index),
    m.scale ?? 1,
    BigInt(displacement),
    size,
    false,
    segment,
  );
}

export class Assembler {
  #bytes = new Uint8Array(256);
  #length = 0;
  readonly #jumps: Jump[] = [];
  /** Where a label was bound last, without counting jumps. */
  #lastBound = -1;
  /** The flags tell of this register, as TEST would, while nothing has been added behind the instruction that changed it. */
  #tested = { at: -1, jumps: 0, key: "" };
  readonly #relocations: (Relocation & { jumpsBefore: number })[] = [];
  readonly #symbols = new Map<string, Label>();

  constructor(readonly bitness: Bitness = 64) {}

  #append(bytes: ArrayLike<number>): number {
    const at = this.#length;
    while (at + bytes.length > this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, at);
    this.#length = at + bytes.length;
    return at;
  }

  #relocate(at: number, kind: Relocation["kind"], symbol: string, addend: number): void {
    this.#relocations.push({ at, kind, symbol, addend, jumpsBefore: this.#jumps.length });
  }

  #emit(key: string, memory: Memory | undefined, make: () => Instruction): number {
    const encoded = encode(this.bitness, key, make);
    const at = this.#append(encoded.bytes);
    if (memory?.symbol !== undefined)
      this.#relocate(at + encoded.displacementAt, "address32", memory.symbol, memory.displacement ?? 0);
    return at + encoded.immediateAt;
  }

  /** An instruction by mnemonic and operand size; `lock` gives it the prefix. */
  op(mnemonic: string, size: Size, first?: Operand, second?: Operand, lock = false): void {
    if (mnemonic === "Test" && first instanceof R && first === second && this.#isTested(size, first)) return;
    const key = `${mnemonic}${size}${lock ? "L" : ""} ${first === undefined ? "" : operandKey(first)} ${second === undefined ? "" : operandKey(second)}`;
    this.#emit(key, memoryOf(first, second), () => {
      const instruction = this.#build(mnemonic, size, first, second);
      if (lock) instruction.hasLockPrefix = true;
      return instruction;
    });
    if (first instanceof R && logical.has(mnemonic))
      this.#tested = { at: this.#length, jumps: this.#jumps.length, key: `${size} ${first.number}` };
  }

  #isTested(size: Size, { number }: R): boolean {
    const { at, jumps, key } = this.#tested;
    const here = at === this.#length && jumps === this.#jumps.length && this.#lastBound !== this.#length;
    return here && key === `${size} ${number}`;
  }

  #build(mnemonic: string, size: Size, first?: Operand, second?: Operand): Instruction {
    if (first === undefined) return Instruction.create(codeOf([mnemonic]));
    if (second === undefined) return this.#buildOne(mnemonic, size, first);
    if (typeof first === "number") throw new Error(`assembler: ${mnemonic} writes to a number`);
    if (typeof second === "number") return this.#buildImmediate(mnemonic, size, first, second);
    const reg = (operand: R) => icedRegisters[size][operand.number]!;
    const stores = codeOf.bind(null, [`${mnemonic}_rm${size}_r${size}`]);
    if (!(first instanceof R)) {
      if (!(second instanceof R)) throw new Error(`assembler: ${mnemonic} with two memory operands`);
      return Instruction.createMemReg(stores(), icedMemory(first, this.bitness), reg(second));
    }
    const loads = [`${mnemonic}_r${size}_rm${size}`, `${mnemonic}_r${size}_m`];
    if (second instanceof R) {
      const both = codeOf([loads[0]!, `${mnemonic}_rm${size}_r${size}`]);
      return Instruction.createRegReg(both, reg(first), reg(second));
    }
    // TEST and XCHG have the memory operand first; their order does not matter.
    if (mnemonic === "Test" || mnemonic === "Xchg")
      return Instruction.createMemReg(stores(), icedMemory(second, this.bitness), reg(first));
    return Instruction.createRegMem(codeOf(loads), reg(first), icedMemory(second, this.bitness));
  }

  #buildOne(mnemonic: string, size: Size, first: Operand): Instruction {
    if (typeof first === "number") {
      const form = fitsByte(first) ? [`${mnemonic}_imm8`] : [];
      return Instruction.createI32(codeOf([...form, `${mnemonic}_imm32`]), first);
    }
    if (first instanceof R) {
      const code = codeOf([`${mnemonic}_r${size}`, `${mnemonic}_rm${size}`]);
      return Instruction.createReg(code, icedRegisters[size][first.number]!);
    }
    const far = this.bitness === 64 ? "m1664" : "m1632";
    const code = codeOf([
      `${mnemonic}_rm${size}`,
      `${mnemonic}_m`,
      `${mnemonic}_${far}`,
      `${mnemonic}_m512byte`,
    ]);
    return Instruction.createMem(code, icedMemory(first, this.bitness));
  }

  #buildImmediate(mnemonic: string, size: Size, first: R | Memory, value: number): Instruction {
    const wide = `${mnemonic}_rm${size}_imm${Math.min(size, 32)}`;
    const code = codeOf(fitsByte(value) ? [`${mnemonic}_rm${size}_imm8`, wide] : [wide]);
    return first instanceof R
      ? Instruction.createRegI32(code, icedRegisters[size][first.number]!, value)
      : Instruction.createMemI32(code, icedMemory(first, this.bitness), value);
  }

  /** An instruction named by iced's code, without operands or with what the code implies. */
  plain(...codes: (keyof typeof Code)[]): void {
    for (const name of codes)
      this.#emit(name, undefined, () => Instruction.create(Code[name] as unknown as Code));
  }

  /** Movzx, Movsx, Movsxd: from a smaller size to a larger. */
  extend(mnemonic: "Movzx" | "Movsx" | "Movsxd", size: Size, from: Size, to: R, source: R | Memory): void {
    this.#emit(`${mnemonic}${size}.${from} ${operandKey(to)} ${operandKey(source)}`, memoryOf(source), () => {
      const code = codeOf([`${mnemonic}_r${size}_rm${from}`]);
      const target = icedRegisters[size][to.number]!;
      return source instanceof R
        ? Instruction.createRegReg(code, target, icedRegisters[from][source.number]!)
        : Instruction.createRegMem(code, target, icedMemory(source, this.bitness));
    });
  }

  /** Shl, Shr, Sar, Rol, Ror by a constant, or by CL when none is given. */
  shift(mnemonic: string, size: Size, to: R | Memory, count?: number): void {
    this.#emit(`${mnemonic}${size} ${operandKey(to)} ${count ?? "CL"}`, memoryOf(to), () => {
      if (count === undefined) {
        const code = codeOf([`${mnemonic}_rm${size}_CL`]);
        return to instanceof R
          ? Instruction.createRegReg(code, icedRegisters[size][to.number]!, Register.CL)
          : Instruction.createMemReg(code, icedMemory(to, this.bitness), Register.CL);
      }
      const code = codeOf([`${mnemonic}_rm${size}_${count === 1 ? "1" : "imm8"}`]);
      return to instanceof R
        ? Instruction.createRegU32(code, icedRegisters[size][to.number]!, count)
        : Instruction.createMemU32(code, icedMemory(to, this.bitness), count);
    });
  }

  /** IMUL with a constant: to = source * value. */
  multiply(size: 32 | 64, to: R, source: R | Memory, value: number): void {
    this.#emit(`Imul${size} ${operandKey(to)} ${operandKey(source)} ${value}`, memoryOf(source), () => {
      const code = codeOf([`Imul_r${size}_rm${size}_imm${fitsByte(value) ? 8 : 32}`]);
      const target = icedRegisters[size][to.number]!;
      return source instanceof R
        ? Instruction.createRegRegI32(code, target, icedRegisters[size][source.number]!, value)
        : Instruction.createRegMemI32(code, target, icedMemory(source, this.bitness), value);
    });
  }

  /** The shortest MOV of a constant; it leaves the flags alone. */
  constant(to: R, value: bigint | number): void {
    const wide = BigInt.asIntN(64, BigInt(value));
    this.#emit(`Const ${to.number} ${wide}`, undefined, () => {
      if (wide >= 0n && wide <= 0xffff_ffffn)
        return Instruction.createRegU32(Code.Mov_r32_imm32, icedRegisters[32][to.number]!, Number(wide));
      if (this.bitness !== 64) throw new Error(`assembler: constant ${wide} outside 64-bit code`);
      const full = icedRegisters[64][to.number]!;
      if (fits32(wide)) return Instruction.createRegI32(Code.Mov_rm64_imm32, full, Number(wide));
      return Instruction.createRegU64(Code.Mov_r64_imm64, full, BigInt.asUintN(64, wide));
    });
  }

  /** MOV of a symbol's address: 32 bits of it (zero-extended), or all 64 of the virtual one. */
  address(to: R, symbol: string, bits: 32 | 64 = 32, addend = 0): void {
    const at =
      bits === 32
        ? this.#emit(`Address32 ${to.number}`, undefined, () =>
            Instruction.createRegU32(Code.Mov_r32_imm32, icedRegisters[32][to.number]!, 0),
          )
        : this.#emit(`Address64 ${to.number}`, undefined, () =>
            Instruction.createRegU64(Code.Mov_r64_imm64, icedRegisters[64][to.number]!, 0n),
          );
    this.#relocate(at, bits === 32 ? "address32" : "address64", symbol, addend);
  }

  /** SETcc */
  set(condition: Condition, to: R): void {
    this.op(`Set${condition}`, 8, to);
  }

  /** Instructions whose operands no general form covers: system registers and port I/O. */
  special(name: keyof typeof Code, ...operands: (keyof typeof Register)[]): void {
    const [first, second] = operands.map((operand) => Register[operand] as unknown as Register);
    this.#emit(`${name} ${operands.join()}`, undefined, () => {
      const code = Code[name] as unknown as Code;
      if (first === undefined) return Instruction.create(code);
      if (second === undefined) return Instruction.createReg(code, first);
      return Instruction.createRegReg(code, first, second);
    });
  }

  /** REP MOVS, REP STOS: the name of iced's constructor, in this mode's address size. */
  repeat(name: "Movsb" | "Movsq" | "Stosb" | "Stosq"): void {
    this.#emit(`Rep${name}`, undefined, () => {
      if (name === "Movsb") return Instruction.createRepMovsb(this.bitness);
      if (name === "Movsq") return Instruction.createRepMovsq(this.bitness);
      if (name === "Stosb") return Instruction.createRepStosb(this.bitness);
      return Instruction.createRepStosq(this.bitness);
    });
  }

  /** A far jump to selector:symbol, with a 32-bit offset, from 16- or 32-bit code. */
  farJump(selector: number, symbol: string): void {
    const at = this.#emit(`FarJump ${selector}`, undefined, () =>
      Instruction.createFarBranch(Code.Jmp_ptr1632, selector, 0x1234_5678),
    );
    this.#relocate(at, "address32", symbol, 0);
  }

  call(symbol: string): void {
    this.#append([0xe8]);
    this.#relocate(this.#append([0, 0, 0, 0]), "relative", symbol, 0);
  }

  /** A jump to another chunk; always long. */
  jumpTo(symbol: string): void {
    this.#append([0xe9]);
    this.#relocate(this.#append([0, 0, 0, 0]), "relative", symbol, 0);
  }

  jump(target: Label): void {
    target.uses++;
    this.#jumps.push({ at: this.#length, target, condition: -1, long: false });
  }

  jumpIf(condition: Condition, target: Label): void {
    target.uses++;
    const number = conditions.indexOf(condition);
    this.#jumps.push({ at: this.#length, target, condition: number, long: false });
  }

  bind(label: Label): void {
    if (label.at >= 0) throw new Error("assembler: a label is bound twice");
    this.#dropJumpTo(label);
    this.#lastBound = this.#length;
    label.at = this.#length;
    label.jumpsBefore = this.#jumps.length;
  }

  /** A jump to what follows it is none, as long as nothing else refers to the place behind it. */
  #dropJumpTo(label: Label): void {
    const last = this.#jumps.at(-1);
    if (last?.target !== label || last.at !== this.#length || this.#lastBound === this.#length) return;
    this.#jumps.pop();
    label.uses--;
  }

  /** Gives this place a name that other chunks may use. */
  symbol(name: string): void {
    const label = new Label();
    this.bind(label);
    this.#symbols.set(name, label);
  }

  /** Gives a bound or later bound label a name. */
  nameLabel(name: string, label: Label): void {
    label.uses++;
    this.#symbols.set(name, label);
  }

  raw(bytes: ArrayLike<number>): void {
    this.#append(bytes);
  }

  /** A pointer-sized or 32-bit cell that holds a symbol's address. */
  cell(symbol: string, bits: 32 | 64, addend = 0): void {
    const at = this.#append(new Uint8Array(bits / 8));
    this.#relocate(at, bits === 32 ? "address32" : "address64", symbol, addend);
  }

  align(bytes: number, fill = 0): void {
    if (this.#jumps.length > 0) throw new Error("assembler: align after jumps");
    while (this.#length % bytes !== 0) this.#append([fill]);
  }

  /** Lengths are monotone: a jump that became long stays long, so this ends. */
  #relax(): number[] {
    const jumps = this.#jumps;
    // starts[n]: bytes that the first n jumps take up.
    const starts = new Array<number>(jumps.length + 1).fill(0);
    for (let changed = true; changed; ) {
      changed = false;
      for (let n = 0; n < jumps.length; n++) starts[n + 1] = starts[n]! + jumpBytes(jumps[n]!);
      for (let n = 0; n < jumps.length; n++) {
        const jump = jumps[n]!;
        if (jump.target.at < 0) throw new Error("assembler: a jump to a label that was never bound");
        const from = jump.at + starts[n + 1]!;
        const distance = jump.target.at + starts[jump.target.jumpsBefore]! - from;
        if (!jump.long && !fitsByte(distance)) {
          jump.long = true;
          changed = true;
        }
      }
    }
    return starts;
  }

  /** The finished bytes: jumps in place, relocations and symbols at their final offsets. */
  finish(name: string, align = 16): Chunk {
    const starts = this.#relax();
    const bytes = new Uint8Array(this.#length + starts[this.#jumps.length]!);
    const place = (label: Label) => label.at + starts[label.jumpsBefore]!;
    let copied = 0;
    this.#jumps.forEach((jump, n) => {
      const at = jump.at + starts[n]!;
      bytes.set(this.#bytes.subarray(copied, jump.at), copied + starts[n]!);
      copied = jump.at;
      const distance = place(jump.target) - (at + jumpBytes(jump));
      bytes.set(jumpEncoding(jump, distance), at);
    });
    bytes.set(this.#bytes.subarray(copied, this.#length), copied + starts[this.#jumps.length]!);
    const relocations = this.#relocations.map(({ at, jumpsBefore, ...rest }) => ({
      ...rest,
      at: at + starts[jumpsBefore]!,
    }));
    const symbols = new Map([...this.#symbols].map(([symbol, label]) => [symbol, place(label)]));
    return { name, bytes, relocations, align, symbols };
  }
}

const memoryOf = (...operands: (Operand | undefined)[]): Memory | undefined =>
  operands.find((operand): operand is Memory => typeof operand === "object" && !(operand instanceof R));

const jumpBytes = (jump: Jump): number => {
  if (!jump.long) return 2;
  return jump.condition < 0 ? 5 : 6;
};

function jumpEncoding(jump: Jump, distance: number): number[] {
  if (!jump.long) return [jump.condition < 0 ? 0xeb : 0x70 + jump.condition, distance & 0xff];
  const rel32 = [distance, distance >> 8, distance >> 16, distance >> 24].map((byte) => byte & 0xff);
  return jump.condition < 0 ? [0xe9, ...rel32] : [0x0f, 0x80 + jump.condition, ...rel32];
}
