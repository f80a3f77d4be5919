// RFLAGS: the six arithmetic flags live as two words (layout.ts, FLAGS_RESULT and FLAGS_CARRIES), the others in
// FLAGS_OTHER. Arithmetic defines the words; a row's single-flag changes edit what it has defined so far.
// Invariant: reading operations see the flags as they were before the row; writes are kept in locals until commit.

import type { Condition, Flag, Value } from "../instructions/define.js";
import { FLAGS_CARRIES, FLAGS_OTHER, FLAGS_RESULT } from "../layout.js";
import { type Scalar, Values } from "./values.js";

/** The local of `core`, the first parameter of every handler. */
export const CORE = 0;

/** Bit numbers in RFLAGS. */
const BIT: Record<Flag, number> = {
  CF: 0,
  PF: 2,
  AF: 4,
  ZF: 6,
  SF: 7,
  TF: 8,
  IF: 9,
  DF: 10,
  OF: 11,
  AC: 18,
  ID: 21,
};
const ARITHMETIC = 0x8d5n;
/** All bits of RFLAGS that exist, without the arithmetic six: what FLAGS_OTHER may hold. */
const OTHER = 0x3f_7fd5n & ~ARITHMETIC;
const ALWAYS_SET = 2n;
const TOP = 1n << 63n;

/** Flags that the row has defined, as locals; absent: as before. */
interface Defined {
  result?: Scalar;
  carries?: Scalar;
  other?: Scalar;
  unless: Value[];
}

export class Flags extends Values {
  #defined: Defined = { unless: [] };

  // --- reading: the values before the row ---
  #load(offset: number): void {
    this.code.get(CORE).access("i64.load", offset);
  }
  /** CF as bit 63 of an i64. */
  #sign(offset: number): Scalar {
    this.#load(offset);
    this.code.i64(0n).op("i64.lt_s");
    return this.takeBit();
  }

  flag(f: Flag): Scalar {
    const { code } = this;
    if (f === "CF") return this.#sign(FLAGS_CARRIES);
    if (f === "ZF") {
      this.#load(FLAGS_RESULT);
      code.op("i64.eqz");
      return this.takeBit();
    }
    if (f === "SF") this.#signAndCarries();
    else if (f === "PF") {
      this.#load(FLAGS_RESULT);
      this.#evenParity();
      this.#load(FLAGS_CARRIES);
      code.i64(1n).op("i64.shr_u").i64(1n).op("i64.and").op("i64.xor").op("i32.wrap_i64");
      return this.takeBit();
    } else if (f === "OF") {
      this.#load(FLAGS_CARRIES);
      this.#load(FLAGS_CARRIES);
      code.i64(1n).op("i64.shl").op("i64.xor");
    } else if (f === "AF") {
      this.#load(FLAGS_CARRIES);
      code.i64(60n).op("i64.shl");
    } else {
      this.#load(FLAGS_OTHER);
      code.i64(BigInt(63 - BIT[f])).op("i64.shl");
    }
    code.i64(0n).op("i64.lt_s"); // the flag is the top bit
    return this.takeBit();
  }
  /** RESULT with its sign corrected by CARRIES bit 0: SF is the top bit. */
  #signAndCarries(): void {
    this.#load(FLAGS_RESULT);
    this.#load(FLAGS_CARRIES);
    this.code.i64(63n).op("i64.shl").op("i64.xor");
  }
  /** Of the i64 on the stack: 1 when its low byte has an even number of ones. */
  #evenParity(): void {
    this.code.i64(0xffn).op("i64.and").op("i64.popcnt").i64(1n).op("i64.and").i64(1n).op("i64.xor");
  }

  condition(c: Condition): Scalar {
    switch (c) {
      case "o":
        return this.flag("OF");
      case "b":
        return this.flag("CF");
      case "e":
        return this.flag("ZF");
      case "be":
        return this.or(this.flag("CF"), this.flag("ZF"));
      case "s":
        return this.flag("SF");
      case "p":
        return this.flag("PF");
      case "l":
        this.#signAndCarries();
        this.#load(FLAGS_CARRIES);
        this.#load(FLAGS_CARRIES);
        this.code.i64(1n).op("i64.shl").op("i64.xor").op("i64.xor").i64(0n).op("i64.lt_s");
        return this.takeBit();
      case "le":
        return this.or(this.condition("l"), this.flag("ZF"));
      default: {
        const opposite = { no: "o", ae: "b", ne: "e", a: "be", ns: "s", np: "p", ge: "l", g: "le" } as const;
        return this.isZero(this.condition(opposite[c]));
      }
    }
  }

  /** All of RFLAGS from the three words. */
  #compose(result: Scalar, carries: Scalar, other: Scalar): Scalar {
    const { code } = this;
    this.push64(other);
    this.push64(carries).i64(63n).op("i64.shr_u").op("i64.or"); // CF
    this.push64(carries).i64(8n).op("i64.and").i64(1n).op("i64.shl").op("i64.or"); // AF: bit 3 to 4
    this.push64(result).op("i64.eqz").op("i64.extend_i32_u").i64(6n).op("i64.shl").op("i64.or"); // ZF
    this.push64(result).i64(63n).op("i64.shr_u");
    this.push64(carries).i64(1n).op("i64.and").op("i64.xor").i64(7n).op("i64.shl").op("i64.or"); // SF
    this.push64(carries);
    this.push64(carries).i64(1n).op("i64.shl").op("i64.xor");
    code.i64(63n).op("i64.shr_u").i64(11n).op("i64.shl").op("i64.or"); // OF
    this.push64(result);
    this.#evenParity();
    this.push64(carries).i64(1n).op("i64.shr_u").i64(1n).op("i64.and").op("i64.xor");
    code.i64(2n).op("i64.shl").op("i64.or"); // PF
    return this.take(64);
  }
  rflags(): Scalar {
    return this.#compose(this.#before("result"), this.#before("carries"), this.#before("other"));
  }

  // --- defining: in locals ---
  #before(word: "result" | "carries" | "other"): Scalar {
    this.#load({ result: FLAGS_RESULT, carries: FLAGS_CARRIES, other: FLAGS_OTHER }[word]);
    return this.take(64);
  }
  #present(word: "result" | "carries" | "other"): Scalar {
    return this.#defined[word] ?? this.#before(word);
  }
  #defineResult(v: Scalar): void {
    this.pushSigned(v);
    this.#defined.result = this.take(64);
  }
  /** Takes the carry-out vector on the stack, whose bits above the width do not matter. */
  #defineCarries(width: number): void {
    const { code } = this;
    if (width === 64) code.i64(~7n).op("i64.and");
    else {
      const vector = this.take(64);
      this.push64(vector)
        .i64(BigInt(64 - width))
        .op("i64.shl");
      this.push64(vector).i64(8n).op("i64.and").op("i64.or");
    }
    this.#defined.carries = this.take(64);
  }

  /** Sets all six flags for a + b + carry = sum: bit i of the vector is the carry out of bit i. */
  #sumFlags(a: Value, b: Value, sum: Scalar): Scalar {
    this.#defineResult(sum);
    this.push64(a);
    this.push64(b).op("i64.and");
    this.push64(a);
    this.push64(b).op("i64.or");
    this.push64(sum).i64(-1n).op("i64.xor").op("i64.and").op("i64.or");
    this.#defineCarries(sum.width);
    return sum;
  }
  /** The same for a - b - borrow. */
  #differenceFlags(a: Value, b: Value, difference: Scalar): Scalar {
    const { code } = this;
    this.#defineResult(difference);
    this.push64(a).i64(-1n).op("i64.xor");
    this.push64(b).op("i64.and");
    this.push64(a).i64(-1n).op("i64.xor");
    this.push64(b).op("i64.or");
    this.push64(difference).op("i64.and");
    code.op("i64.or");
    this.#defineCarries(difference.width);
    return difference;
  }
  add(a: Value, b: Value): Scalar {
    return this.#sumFlags(a, b, this.plus(a, b));
  }
  addWithCarry(a: Value, b: Value): Scalar {
    const carry = this.zeroExtend(this.flag("CF"), a.width);
    return this.#sumFlags(a, b, this.plus(this.plus(a, b), carry));
  }
  sub(a: Value, b: Value): Scalar {
    return this.#differenceFlags(a, b, this.minus(a, b));
  }
  subWithBorrow(a: Value, b: Value): Scalar {
    const borrow = this.zeroExtend(this.flag("CF"), a.width);
    return this.#differenceFlags(a, b, this.minus(this.minus(a, b), borrow));
  }
  negate(a: Value): Scalar {
    return this.sub(this.constant(0, a.width), a);
  }
  increment(a: Value): Scalar {
    const carry = this.#keptCarry();
    const sum = this.add(a, this.constant(1, a.width));
    this.#putCarry(carry);
    return sum;
  }
  decrement(a: Value): Scalar {
    const carry = this.#keptCarry();
    const difference = this.sub(a, this.constant(1, a.width));
    this.#putCarry(carry);
    return difference;
  }
  /** CF in bit 63. */
  #keptCarry(): Scalar {
    return this.#present("carries");
  }
  /** CF := bit 63 of v. OF is bit 63 xor bit 62, so both flip together. */
  #putCarry(v: Scalar): void {
    const carries = this.#present("carries");
    this.push64(carries);
    this.push64(v).op("i64.xor").i64(TOP).op("i64.and");
    const change = this.take(64);
    this.push64(carries);
    this.push64(change).op("i64.xor");
    this.push64(change).i64(1n).op("i64.shr_u").op("i64.xor");
    this.#defined.carries = this.take(64);
  }

  logic(v: Value): Scalar {
    this.#defineResult(v as Scalar);
    this.#defined.carries = this.constant(0, 64);
    return v as Scalar;
  }
  setResultFlags(v: Value): void {
    const carries = this.#present("carries");
    this.#defineResult(v as Scalar);
    this.push64(carries).i64(~3n).op("i64.and");
    this.#defined.carries = this.take(64);
  }

  setFlag(f: Flag, v: Value): void {
    const { code } = this;
    if (f === "CF") {
      this.push64(v).i64(63n).op("i64.shl");
      this.#putCarry(this.take(64));
    } else if (f === "OF") {
      const carries = this.#present("carries");
      this.push64(carries).i64(63n).op("i64.shr_u");
      this.push64(v).op("i64.xor").i64(1n).op("i64.and").i64(62n).op("i64.shl"); // the new bit 62
      this.push64(carries)
        .i64(~(1n << 62n))
        .op("i64.and")
        .op("i64.or");
      this.#defined.carries = this.take(64);
    } else if (f === "AF") {
      this.push64(this.#present("carries")).i64(~8n).op("i64.and");
      this.push64(v).i64(3n).op("i64.shl").op("i64.or");
      this.#defined.carries = this.take(64);
    } else if (f === "SF" || f === "PF" || f === "ZF") {
      this.#putThroughRflags(v, 1n << BigInt(BIT[f]), BIT[f]);
    } else {
      this.push64(this.#present("other"))
        .i64(~(1n << BigInt(BIT[f])))
        .op("i64.and");
      this.push64(v).i64(BigInt(BIT[f])).op("i64.shl");
      code.op("i64.or");
      this.#defined.other = this.take(64);
    }
  }
  #putThroughRflags(v: Value, bit: bigint, number: number): void {
    this.push64(v).i64(BigInt(number)).op("i64.shl");
    this.setRflags(this.take(64), bit);
  }

  setRflags(v: Value, mask: bigint): void {
    let flags = v as Scalar;
    const arithmetic = (mask & ARITHMETIC) !== 0n;
    const other = (mask & OTHER) !== 0n;
    if (arithmetic) {
      if ((mask & ARITHMETIC) !== ARITHMETIC) {
        const old = this.#compose(this.#present("result"), this.#present("carries"), this.constant(0, 64));
        this.push64(old)
          .i64(ARITHMETIC & ~mask)
          .op("i64.and");
        this.push64(flags).i64(mask).op("i64.and").op("i64.or");
        flags = this.take(64);
      }
      this.#decompose(flags);
    }
    if (other) {
      this.push64(this.#present("other"))
        .i64(OTHER & ~mask)
        .op("i64.and");
      this.push64(v)
        .i64(OTHER & mask)
        .op("i64.and")
        .op("i64.or")
        .i64(ALWAYS_SET)
        .op("i64.or");
      this.#defined.other = this.take(64);
    }
  }
  /** The two words for any combination: RESULT 0 with ZF, else 1; CARRIES bits 0 and 1 put SF and PF right. */
  #decompose(flags: Scalar): void {
    const bit = (n: number) =>
      this.push64(flags).i64(BigInt(n)).op("i64.shr_u").i64(1n).op("i64.and") && this.code;
    bit(BIT.ZF).i64(1n).op("i64.xor");
    this.#defined.result = this.take(64);
    bit(BIT.CF).i64(63n).op("i64.shl");
    bit(BIT.CF);
    bit(BIT.OF).op("i64.xor").i64(62n).op("i64.shl").op("i64.or");
    bit(BIT.AF).i64(3n).op("i64.shl").op("i64.or");
    bit(BIT.PF);
    bit(BIT.ZF).op("i64.xor").i64(1n).op("i64.shl").op("i64.or");
    bit(BIT.SF).op("i64.or");
    this.#defined.carries = this.take(64);
  }

  keepFlagsUnless(condition: Value): void {
    this.#defined.unless.push(condition);
  }

  // --- commit ---
  /** Starts a scope of its own (when); gives what commitFlags wants back. */
  protected openFlags(): unknown {
    const outer = this.#defined;
    this.#defined = { unless: [] };
    return outer;
  }
  protected closeFlags(outer: unknown): void {
    this.#defined = outer as Defined;
  }
  protected get definesFlags(): boolean {
    const { result, carries, other } = this.#defined;
    return result !== undefined || carries !== undefined || other !== undefined;
  }
  protected commitFlags(): void {
    const { code } = this;
    const { unless } = this.#defined;
    for (const [word, offset] of [
      ["result", FLAGS_RESULT],
      ["carries", FLAGS_CARRIES],
      ["other", FLAGS_OTHER],
    ] as const) {
      const value = this.#defined[word];
      if (value === undefined) continue;
      code.get(CORE);
      this.push64(value);
      for (const condition of unless) {
        this.#load(offset);
        this.pushCondition(condition).op("select");
      }
      code.access("i64.store", offset);
    }
  }
}
