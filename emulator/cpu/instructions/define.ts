// The vocabulary of instruction rows. A row says what one instruction means, once; meaning.ts lowers it to
// WebAssembly for every form (operand kinds and widths) in which the instruction occurs. `does` runs while code is
// generated, never per executed instruction. Reference: Intel SDM vol. 2, AMD APM vol. 3.
//
// Rules that make rows precise:
// - A Value is a computed wasm local (an i64, zero-extended from its width): operations emit code at once, in
//   order; using a value twice costs nothing. Rows never use the host's `if` on values: use select() or when().
// - set(), setRegister(), setFlags... are *deferred*: at the end of the row memory is stored first, then registers
//   and flags in written order. So a fault in any get() or in a store leaves the machine unchanged.
// - A row that stores to memory twice, or must probe first, calls writable() before, or is microcode.

import type { Code, Mnemonic, Register } from "iced-x86";

/** The six arithmetic flags, as `flags` of a row names them. */
export const OSZAPC = "CF PF AF ZF SF OF";
export const none = "";

export type Width = 8 | 16 | 32 | 64;
export type Condition =
  | "o" | "no" | "b" | "ae" | "e" | "ne" | "be" | "a" | "s" | "ns" | "p" | "np" | "l" | "ge" | "le" | "g"; // biome-ignore format: a table
export type Flag = "CF" | "PF" | "AF" | "ZF" | "SF" | "OF" | "TF" | "IF" | "DF" | "AC" | "ID";
export type Segment = "es" | "cs" | "ss" | "ds" | "fs" | "gs";
/** General register numbers in encoding order; the width comes with the access. */
export type General = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15;
export const RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7; // biome-ignore format: a table

/** A scalar of at most 64 bits: opaque outside meaning.ts. */
export interface Value {
  readonly width: Width;
}
/** A 128-bit vector: opaque. */
export interface Vector {
  readonly vector: true;
}
/** An explicit operand of the form being generated. */
export interface Operand {
  readonly kind:
    | "general"
    | "xmm"
    | "segment"
    | "control"
    | "debug"
    | "st"
    | "mm"
    | "memory"
    | "immediate"
    | "branch"
    | "far";
  /** Bits, as this form accesses it: 8..64 for scalars, 80, 128, ... */
  readonly width: number;
}

/** What a row may say. All binary operations want equal widths and give that width unless told otherwise. */
export interface Meaning {
  /** The form: operand size of the instruction in bits, and address and stack sizes. */
  readonly operandSize: 16 | 32 | 64;
  readonly addressSize: 16 | 32 | 64;
  readonly mode64: boolean;

  // --- operands ---
  get(o: Operand): Value; // memory: loads; immediate: sign-extended by the encoding's rule to the operand's width
  // ... a far immediate: selector << 32 | offset, 64 wide; a segment register: its selector
  // 32-bit general registers zero-extend, 8 and 16-bit ones merge; above an MMX register the x87 one gets ones
  set(o: Operand, v: Value): void;
  getVector(o: Operand): Vector; // xmm, or 16 bytes of memory; `aligned` rows fault with #GP(0) when it is not
  setVector(o: Operand, v: Vector): void; // all 128 bits
  xmm0(): Vector; // where it is an operand that the encoding does not name
  setXmm0(v: Vector): void; // deferred
  /** Scalar in the low bits of an xmm register or in memory of that width (MOVSD, ADDSS, MOVD ... sources). */
  getLow(o: Operand, width: 32 | 64): Value;
  setLow(o: Operand, v: Value): void; // memory: stores that width; xmm: merges into the low bits
  address(o: Operand): Value; // the effective address of a memory operand, without segment base, addressSize wide
  writable(o: Operand): void; // faults now if a store to it would
  /**
   * The same memory operand that many bytes further (signed, any width; the offset wraps at the address size):
   * BT with a register offset, the second word of BOUND. LOCK covers it as it would cover `o`.
   */
  displaced(o: Operand, bytes: Value): Operand;
  isMemory(o: Operand): boolean; // decided while generating
  /** Number of a segment (ES CS SS DS FS GS), control or debug register operand, width 32. */
  registerNumber(o: Operand): Value;
  /** Memory at `segment:offset` outside the operands (string instructions, stack, XLAT). Load now, store deferred. */
  load(segment: Segment, offset: Value, width: Width): Value;
  store(segment: Segment, offset: Value, v: Value): void;
  probe(segment: Segment, offset: Value, width: Width): void; // faults now if a store there would
  /** The segment of a memory operand, or the override of an implicit one (default DS). */
  segmentOf(o?: Operand): Segment;
  /** As microcode takes it; in 64-bit mode it is SS where the address comes from RSP or RBP. */
  segmentNumber(o: Operand): Value;

  // --- registers ---
  register(r: General, width: Width): Value;
  setRegister(r: General, v: Value): void;
  nextRip(): Value; // address of the following instruction, 64 wide
  /** Near transfer: target truncated to the operand size, canonical and limit checks (#GP), ends the row. */
  /** `of`: a call notes where its return will lead, and a return looks there first. */
  jump(target: Value, of?: "call" | "return"): void;
  jumpWhen(condition: Value, target: Value): void;
  branchTarget(o: Operand): Value; // of a relative branch operand
  /** Stack width from mode; several follow each other; the new RSP is committed with the rest. */
  push(v: Value): void;
  /** Loads now; RSP's change is committed with the rest, before an explicit set of RSP. */
  pop(width: Width): Value;
  stackPointer(): Value; // as wide as the stack is (SS.B, 64-bit mode), after the pushes and pops written so far

  // --- pure operations: no flags ---
  constant(n: number | bigint, width: Width): Value;
  plus(a: Value, b: Value): Value;
  minus(a: Value, b: Value): Value;
  times(a: Value, b: Value): Value;
  timesHighUnsigned(a: Value, b: Value): Value; // upper half of the double-width product
  timesHighSigned(a: Value, b: Value): Value;
  /** Unsigned or signed division of high:low by d, widths equal; the caller has excluded 0 and overflow. */
  divide(
    high: Value,
    low: Value,
    d: Value,
    signed: boolean,
  ): { quotient: Value; remainder: Value; overflow: Value };
  and(a: Value, b: Value): Value;
  or(a: Value, b: Value): Value;
  xor(a: Value, b: Value): Value;
  not(a: Value): Value;
  shiftLeft(a: Value, count: Value): Value; // count of any width, taken modulo 64 after the caller's masking; >= width gives 0
  shiftRight(a: Value, count: Value): Value;
  shiftRightSigned(a: Value, count: Value): Value; // >= width gives the sign
  rotateLeft(a: Value, count: Value): Value; // modulo the width
  countLeadingZeros(a: Value): Value; // of the width; 0 gives the width
  countTrailingZeros(a: Value): Value;
  populationCount(a: Value): Value;
  byteSwap(a: Value): Value;
  equal(a: Value, b: Value): Value; // comparisons give width 8: 0 or 1
  notEqual(a: Value, b: Value): Value;
  lessUnsigned(a: Value, b: Value): Value;
  lessSigned(a: Value, b: Value): Value;
  isZero(a: Value): Value;
  signBit(a: Value): Value; // width 8
  select(condition: Value, yes: Value, no: Value): Value;
  selectVector(condition: Value, yes: Vector, no: Vector): Vector;
  zeroExtend(a: Value, width: Width): Value;
  signExtend(a: Value, width: Width): Value;
  truncate(a: Value, width: Width): Value;
  bitsOf(a: Value, low: number, count: number): Value; // same width
  tableWord(table: number, index: Value): Value; // a u32 of a table of the machine's memory (layout.ts)

  // --- operations that also define CF OF AF SF ZF PF by the arithmetic rules ---
  add(a: Value, b: Value): Value;
  addWithCarry(a: Value, b: Value): Value;
  sub(a: Value, b: Value): Value;
  subWithBorrow(a: Value, b: Value): Value;
  negate(a: Value): Value;
  increment(a: Value): Value; // keeps CF
  decrement(a: Value): Value;
  /** SF ZF PF from v, CF = OF = 0, AF as silicon leaves it (0): AND OR XOR TEST. Gives v. */
  logic(v: Value): Value;

  // --- flags ---
  flag(f: Flag): Value; // width 8: 0 or 1, the value before this row
  condition(c: Condition): Value;
  conditionOf(): Value; // of the mnemonic's own condition code (Jcc SETcc CMOVcc)
  setFlag(f: Flag, v: Value): void; // deferred, in written order after an arithmetic operation's flags
  setResultFlags(v: Value): void; // SF ZF PF only
  /** The flags that this row defined take effect only when the condition holds (shifts by 0). */
  keepFlagsUnless(condition: Value): void;
  rflags(): Value; // all, 64 wide
  setRflags(v: Value, mask: bigint): void; // deferred

  // --- control ---
  faultWhen(condition: Value, vector: number, error?: Value | number): void;
  fault(vector: number, error?: Value | number): void;
  /** Structured condition. What the body sets is committed at the body's end: nothing after it may fault. */
  when(condition: Value, then: () => void, otherwise?: () => void): void;
  /** Calls a microcode function (microcode/index.ts) with i64 arguments; stops here if it raised a fault. */
  assist(name: string, ...args: (Value | number)[]): Value;
  /** The same of a function that can neither fault nor store to memory nor ask the host: it costs less. */
  compute(name: string, ...args: (Value | number)[]): Value;
  /** CPL, width 8 (3 in virtual-8086 mode, 0 in real mode). */
  privilege(): Value;
  /** MFENCE: no later access overtakes an earlier one. */
  fence(): void;
  /** Interrupts stay off until the next instruction has run (STI, MOV SS, POP SS). */
  shadow(kind: number): void;
  /** Explicit immediate operand as a number while generating is impossible: forms are shared; use get(). */

  // --- the x87 unit, as MMX shares it ---
  /** FIP, FOP, and FDP when there is an operand in memory: the last x87 instruction's (deferred). */
  noteX87Pointers(memory?: Operand): void;
  /** #MF now if an x87 exception is pending. */
  waitForX87(): void;
  /** The state that MMX leaves (deferred): top of stack 0, all registers valid; EMMS: all empty. */
  enterMmx(tags?: "valid" | "empty"): void;

  // --- MXCSR, width 32 ---
  mxcsr(): Value;
  setMxcsr(v: Value): void; // deferred

  // --- vectors: WebAssembly SIMD, by its names ("i8x16.add", "f64x2.mul", "v128.and" ...) ---
  simd(operation: string, ...args: (Vector | Value)[]): Vector;
  simdToScalar(operation: string, ...args: Vector[]): Value; // i8x16.bitmask and the like: width 32
  lane(v: Vector, width: Width, index: number): Value;
  withLane(v: Vector, index: number, scalar: Value): Vector;
  splat(v: Value): Vector; // every lane of that width
  shuffle(a: Vector, b: Vector, bytes: readonly number[]): Vector; // i8x16.shuffle
  vectorConstant(low: bigint, high: bigint): Vector;
  /**
   * IEEE doubles and singles on scalars' bit patterns, by WebAssembly's names: "f64.add", "f64.sqrt", "f32.lt" (gives
   * 0/1), conversions "f64.convert_i64_s", "i64.trunc_sat_f64_s", "f64.promote_f32", "f32.demote_f64" ...
   * An integer argument is sign-extended from its width when the operation takes a signed one.
   */
  float(operation: string, ...args: Value[]): Value;
}

/** One row. */
export interface Definition {
  readonly op: Mnemonic | readonly Mnemonic[];
  /**
   * Several rows may share a mnemonic (MOV to a control register, string MOVSD, far CALL, MMX): the first row of
   * the table whose `forms` accepts the form has it; a row without `forms` takes what is left.
   */
  readonly forms?: (code: Code, kinds: readonly Operand["kind"][]) => boolean;
  /** How each explicit operand is accessed; checked against iced's own table by a test. */
  readonly access?: readonly ("r" | "w" | "rw" | "-")[];
  /** LOCK is allowed with a memory destination; the engine then makes the row one atomic step. "always": XCHG. */
  readonly lock?: boolean | "always";
  /** Flags that the row defines or leaves undefined ("CF OF"); checked against iced. */
  readonly flags?: string;
  /** REP prefixes: the row is one iteration; the engine counts RCX/ECX/CX, and for "while" stops on ZF. */
  readonly repeat?: "count" | "while";
  /** What a repeated one has checked before it looks at its count, which may be zero. */
  readonly beforeCount?: (m: Meaning) => void;
  /** 16-byte memory operands must be aligned (#GP). */
  readonly aligned?: boolean;
  /** The decoder starts afresh after it: it may change RIP, the mode, translations or pending events. */
  readonly ends?: boolean;
  /**
   * An assist of the row writes RIP in the core block itself (far transfers, IRET, SYSCALL, INT n), unless it raised
   * a fault: the engine leaves the block and must not store the next instruction's address over it.
   */
  readonly transfers?: boolean;
  /** Most privileged instructions: #GP(0) unless CPL is 0. */
  readonly privileged?: boolean;
  /** Checked before anything else, as vector names: "fpu" (#NM on CR0.TS|EM), "sse" (#UD/#NM by CR0.EM, CR4.OSFXSR, TS), "mmx" (#UD on EM, #NM on TS). */
  readonly needs?: "fpu" | "sse" | "mmx";
  /** Only in, or not in, 64-bit mode / protected mode: else #UD. */
  readonly only?: "mode64" | "legacy" | "protected";
  readonly does: (m: Meaning, ...operands: Operand[]) => void;
}

export type { Code, Mnemonic, Register };
