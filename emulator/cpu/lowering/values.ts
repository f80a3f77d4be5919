// Scalars: every computed value is a local of its own, an i64 zero-extended from its width, so a row may use it as
// often as it likes. Comparisons keep their i32 until somebody wants the number.
// Invariant: a local is written once, right where its value is computed.

import type { Value, Width } from "../instructions/define.js";
import type { Body, Plain } from "../wasm.js";

export class Scalar implements Value {
  constructor(
    readonly width: Width,
    /** -1: a constant. */
    readonly local: number,
    readonly number = 0n,
    /** An i32 local that is 0 or 1. */
    readonly bit = false,
    /** A relative branch's target, whose block may be linked to the op. */
    readonly direct = false,
  ) {}
}

export const mask = (width: number): bigint => (1n << BigInt(width)) - 1n;

export class Values {
  constructor(
    protected readonly code: Body,
    /** Named in errors. */
    protected readonly what: string,
  ) {}

  protected refuse(problem: string): never {
    throw new Error(`${this.what}: ${problem}`);
  }

  // --- moving values between rows and the wasm stack ---
  protected push64(v: Value): Body {
    const s = v as Scalar;
    if (s.local < 0) return this.code.i64(s.number);
    this.code.get(s.local);
    return s.bit ? this.code.op("i64.extend_i32_u") : this.code;
  }
  /** As a truth value: any bit set. */
  protected pushCondition(v: Value): Body {
    const s = v as Scalar;
    if (s.local < 0) return this.code.i32(s.number === 0n ? 0 : 1);
    if (s.bit) return this.code.get(s.local);
    return this.code.get(s.local).i64(0n).op("i64.ne");
  }
  /** As a number of at most 32 bits. */
  protected push32(v: Value): Body {
    const s = v as Scalar;
    if (s.local < 0) return this.code.i32(Number(BigInt.asIntN(32, s.number)));
    this.code.get(s.local);
    return s.bit ? this.code : this.code.op("i32.wrap_i64");
  }
  protected pushSigned(v: Value): Body {
    const s = v as Scalar;
    if (s.local < 0) return this.code.i64(BigInt.asIntN(s.width, s.number));
    this.push64(s);
    if (s.width === 8) this.code.op("i64.extend8_s");
    if (s.width === 16) this.code.op("i64.extend16_s");
    if (s.width === 32) this.code.op("i64.extend32_s");
    return this.code;
  }
  /** Takes the i64 on the stack, whose bits above the width are zero. */
  protected take(width: Width): Scalar {
    const local = this.code.local("i64");
    this.code.set(local);
    return new Scalar(width, local);
  }
  protected takeMasked(width: Width): Scalar {
    if (width < 64) this.code.i64(mask(width)).op("i64.and");
    return this.take(width);
  }
  /** Takes the i32 on the stack, 0 or 1. */
  protected takeBit(): Scalar {
    const local = this.code.local("i32");
    this.code.set(local);
    return new Scalar(8, local, 0n, true);
  }
  protected same(a: Value, b: Value): Width {
    if (a.width !== b.width) this.refuse(`operands of ${a.width} and ${b.width} bits`);
    return a.width;
  }
  #binary(name: Plain, a: Value, b: Value): Scalar {
    const width = this.same(a, b);
    this.push64(a);
    this.push64(b).op(name);
    return this.take(width);
  }
  #compare(name: Plain, a: Value, b: Value, signed = false): Scalar {
    this.same(a, b);
    for (const v of [a, b]) signed ? this.pushSigned(v) : this.push64(v);
    this.code.op(name);
    return this.takeBit();
  }

  // --- Meaning: pure operations ---
  constant(n: number | bigint, width: Width): Scalar {
    return new Scalar(width, -1, BigInt.asUintN(width, BigInt(n)));
  }
  plus(a: Value, b: Value): Scalar {
    const width = this.same(a, b);
    this.push64(a);
    this.push64(b).op("i64.add");
    return this.takeMasked(width);
  }
  minus(a: Value, b: Value): Scalar {
    const width = this.same(a, b);
    this.push64(a);
    this.push64(b).op("i64.sub");
    return this.takeMasked(width);
  }
  times(a: Value, b: Value): Scalar {
    const width = this.same(a, b);
    this.push64(a);
    this.push64(b).op("i64.mul");
    return this.takeMasked(width);
  }
  timesHighUnsigned(a: Value, b: Value): Scalar {
    const width = this.same(a, b);
    if (width < 64) {
      this.push64(a);
      this.push64(b).op("i64.mul").i64(BigInt(width)).op("i64.shr_u");
      return this.take(width);
    }
    // 64 by 64 from four products of 32-bit halves.
    const low = (v: Value) => this.push64(v).i64(mask(32)).op("i64.and");
    const high = (v: Value) => this.push64(v).i64(32n).op("i64.shr_u");
    low(a);
    low(b).op("i64.mul").i64(32n).op("i64.shr_u");
    high(a);
    low(b).op("i64.mul").op("i64.add");
    const middle = this.take(64);
    low(a);
    high(b).op("i64.mul");
    low(middle).op("i64.add").i64(32n).op("i64.shr_u");
    high(a);
    high(b).op("i64.mul").op("i64.add");
    high(middle).op("i64.add");
    return this.take(64);
  }
  timesHighSigned(a: Value, b: Value): Scalar {
    const width = this.same(a, b);
    if (width < 64) {
      this.pushSigned(a);
      this.pushSigned(b).op("i64.mul").i64(BigInt(width)).op("i64.shr_s");
      return this.takeMasked(width);
    }
    const unsigned = this.timesHighUnsigned(a, b);
    this.push64(unsigned);
    for (const [sign, other] of [
      [a, b],
      [b, a],
    ] as const) {
      this.push64(sign).i64(63n).op("i64.shr_s");
      this.push64(other).op("i64.and").op("i64.sub");
    }
    return this.take(64);
  }
  and(a: Value, b: Value): Scalar {
    const [x, y] = [a as Scalar, b as Scalar];
    if (x.bit && y.bit) return this.#bits("i32.and", x, y);
    return this.#binary("i64.and", a, b);
  }
  or(a: Value, b: Value): Scalar {
    const [x, y] = [a as Scalar, b as Scalar];
    if (x.bit && y.bit) return this.#bits("i32.or", x, y);
    return this.#binary("i64.or", a, b);
  }
  xor(a: Value, b: Value): Scalar {
    const [x, y] = [a as Scalar, b as Scalar];
    if (x.bit && y.bit) return this.#bits("i32.xor", x, y);
    return this.#binary("i64.xor", a, b);
  }
  #bits(name: Plain, a: Scalar, b: Scalar): Scalar {
    this.code.get(a.local).get(b.local).op(name);
    return this.takeBit();
  }
  not(a: Value): Scalar {
    this.push64(a).i64(mask(a.width)).op("i64.xor");
    return this.take(a.width);
  }
  shiftLeft(a: Value, count: Value): Scalar {
    this.push64(a);
    this.push64(count).op("i64.shl");
    return this.takeMasked(a.width);
  }
  shiftRight(a: Value, count: Value): Scalar {
    this.push64(a);
    this.push64(count).op("i64.shr_u");
    return this.take(a.width);
  }
  shiftRightSigned(a: Value, count: Value): Scalar {
    this.pushSigned(a);
    this.push64(count).op("i64.shr_s");
    return this.takeMasked(a.width);
  }
  rotateLeft(a: Value, count: Value): Scalar {
    const { width } = a;
    if (width === 64) {
      this.push64(a);
      this.push64(count).op("i64.rotl");
      return this.take(64);
    }
    if (width === 32) {
      this.push32(a);
      this.push32(count).op("i32.rotl").op("i64.extend_i32_u");
      return this.take(32);
    }
    this.push64(count)
      .i64(BigInt(width - 1))
      .op("i64.and");
    const places = this.take(64);
    this.push64(a);
    this.push64(places).op("i64.shl");
    this.push64(a).i64(BigInt(width));
    this.push64(places).op("i64.sub").op("i64.shr_u").op("i64.or");
    return this.takeMasked(width);
  }
  countLeadingZeros(a: Value): Scalar {
    this.push64(a).op("i64.clz");
    if (a.width < 64) this.code.i64(BigInt(64 - a.width)).op("i64.sub");
    return this.take(a.width);
  }
  countTrailingZeros(a: Value): Scalar {
    this.push64(a);
    if (a.width < 64) this.code.i64(1n << BigInt(a.width)).op("i64.or");
    this.code.op("i64.ctz");
    return this.take(a.width);
  }
  populationCount(a: Value): Scalar {
    this.push64(a).op("i64.popcnt");
    return this.take(a.width);
  }
  byteSwap(a: Value): Scalar {
    const reversed = [7, 6, 5, 4, 3, 2, 1, 0];
    this.push64(a).simd("i64x2.splat");
    this.push64(a).simd("i64x2.splat");
    this.code.shuffle([...reversed, ...reversed]).lane("i64x2.extract_lane", 0);
    if (a.width < 64) this.code.i64(BigInt(64 - a.width)).op("i64.shr_u");
    return this.take(a.width);
  }
  equal(a: Value, b: Value): Scalar {
    return this.#compare("i64.eq", a, b);
  }
  notEqual(a: Value, b: Value): Scalar {
    return this.#compare("i64.ne", a, b);
  }
  lessUnsigned(a: Value, b: Value): Scalar {
    return this.#compare("i64.lt_u", a, b);
  }
  lessSigned(a: Value, b: Value): Scalar {
    return this.#compare("i64.lt_s", a, b, true);
  }
  isZero(a: Value): Scalar {
    if ((a as Scalar).bit) this.code.get((a as Scalar).local).op("i32.eqz");
    else this.push64(a).op("i64.eqz");
    return this.takeBit();
  }
  signBit(a: Value): Scalar {
    this.push64(a)
      .i64(BigInt(a.width - 1))
      .op("i64.shr_u")
      .op("i32.wrap_i64");
    return this.takeBit();
  }
  select(condition: Value, yes: Value, no: Value): Scalar {
    const width = this.same(yes, no);
    this.push64(yes);
    this.push64(no);
    this.pushCondition(condition).op("select");
    return this.take(width);
  }
  zeroExtend(a: Value, width: Width): Scalar {
    const s = a as Scalar;
    if (width < s.width) this.refuse(`zero-extension of ${s.width} bits to ${width}`);
    return new Scalar(width, s.local, s.number, s.bit);
  }
  signExtend(a: Value, width: Width): Scalar {
    if (width < a.width) this.refuse(`sign-extension of ${a.width} bits to ${width}`);
    if (width === a.width) return a as Scalar;
    this.pushSigned(a);
    return this.takeMasked(width);
  }
  truncate(a: Value, width: Width): Scalar {
    const s = a as Scalar;
    if (width > s.width) this.refuse(`truncation of ${s.width} bits to ${width}`);
    if (width === s.width) return s;
    if (s.local < 0) return this.constant(s.number, width);
    if (s.bit) return new Scalar(width, s.local, 0n, true);
    this.push64(s);
    return this.takeMasked(width);
  }
  bitsOf(a: Value, low: number, count: number): Scalar {
    this.push64(a);
    if (low > 0) this.code.i64(BigInt(low)).op("i64.shr_u");
    if (low + count < a.width) this.code.i64(mask(count)).op("i64.and");
    return this.take(a.width);
  }
  tableWord(table: number, index: Value): Scalar {
    this.push32(index).i32(2).op("i32.shl").access("i32.load", table).op("i64.extend_i32_u");
    return this.take(32);
  }

  /**
   * High:low by d. Up to 32 bits the dividend is one i64; 64 bits take 64 steps of long division on magnitudes,
   * unless the high half is empty.
   */
  divide(high: Value, low: Value, d: Value, signed: boolean) {
    const width = this.same(high, low);
    this.same(low, d);
    if (width < 64) return this.#divideNarrow(high, low, d, width, signed);
    return signed ? this.#divideSigned(high, low, d) : this.#divideLong(high, low, d);
  }

  #divideNarrow(high: Value, low: Value, d: Value, width: Width, signed: boolean) {
    const { code } = this;
    signed ? this.pushSigned(high) : this.push64(high);
    code.i64(BigInt(width)).op("i64.shl");
    this.push64(low).op("i64.or");
    const dividend = this.take(64);
    signed ? this.pushSigned(d) : this.push64(d);
    let divisor = this.take(64);
    if (signed) {
      // The one quotient that WebAssembly traps on; dividing by 1 instead overflows as well.
      this.push64(this.constant(1, 64));
      this.push64(divisor);
      this.push64(dividend)
        .i64(-(1n << 63n))
        .op("i64.eq");
      this.push64(divisor).i64(-1n).op("i64.eq").op("i32.and").op("select");
      divisor = this.take(64);
    }
    this.push64(dividend);
    this.push64(divisor).op(signed ? "i64.div_s" : "i64.div_u");
    const whole = this.take(64);
    this.push64(dividend);
    this.push64(divisor).op(signed ? "i64.rem_s" : "i64.rem_u");
    const remainder = this.takeMasked(width);
    this.push64(whole);
    const quotient = this.takeMasked(width);
    signed ? this.pushSigned(quotient) : this.push64(quotient);
    this.push64(whole).op("i64.ne");
    return { quotient, remainder, overflow: this.takeBit() };
  }

  /** Unsigned 128 by 64, restoring; overflow when the quotient needs more than 64 bits. */
  #divideLong(high: Value, low: Value, d: Value) {
    const { code } = this;
    this.push64(high);
    const rest = this.take(64);
    this.push64(low);
    const quotient = this.take(64);
    const step = code.local("i32");
    const carry = code.local("i64");
    this.push64(high).op("i64.eqz");
    code.if();
    this.push64(low);
    this.push64(d).op("i64.rem_u").set(rest.local);
    this.push64(low);
    this.push64(d).op("i64.div_u").set(quotient.local);
    code.else();
    {
      code.i32(64).set(step);
      const loop = code.loop();
      // carry:rest:quotient shift left by one; where the divisor fits, it goes and a quotient bit comes.
      code.get(rest.local).i64(63n).op("i64.shr_u").set(carry);
      code.get(rest.local).i64(1n).op("i64.shl").get(quotient.local).i64(63n).op("i64.shr_u");
      code.op("i64.or").set(rest.local);
      code.get(quotient.local).i64(1n).op("i64.shl").set(quotient.local);
      code.get(carry).op("i32.wrap_i64").get(rest.local);
      this.push64(d).op("i64.ge_u").op("i32.or");
      code.if();
      code.get(rest.local);
      this.push64(d).op("i64.sub").set(rest.local);
      code.get(quotient.local).i64(1n).op("i64.or").set(quotient.local);
      code.end();
      code.get(step).i32(1).op("i32.sub").tee(step).brIf(loop);
      code.end();
    }
    code.end();
    this.push64(high);
    this.push64(d).op("i64.ge_u");
    return { quotient, remainder: rest, overflow: this.takeBit() };
  }

  #divideSigned(high: Value, low: Value, d: Value) {
    const zero = this.constant(0, 64);
    const negative = this.signBit(high);
    const divisorNegative = this.signBit(d);
    const lowMagnitude = this.select(negative, this.minus(zero, low), low);
    const borrow = this.zeroExtend(this.notEqual(low, zero), 64);
    const highMagnitude = this.select(negative, this.minus(this.minus(zero, high), borrow), high);
    const divisor = this.select(divisorNegative, this.minus(zero, d), d);
    const magnitude = this.#divideLong(highMagnitude, lowMagnitude, divisor);
    const minus = this.xor(negative, divisorNegative);
    const quotient = this.select(minus, this.minus(zero, magnitude.quotient), magnitude.quotient);
    const remainder = this.select(negative, this.minus(zero, magnitude.remainder), magnitude.remainder);
    // The magnitude fits when it is below 2^63, or is 2^63 and the quotient negative.
    const limit = this.select(minus, this.constant(1n << 63n, 64), this.constant((1n << 63n) - 1n, 64));
    const tooLarge = this.lessUnsigned(limit, magnitude.quotient);
    return { quotient, remainder, overflow: this.or(magnitude.overflow, tooLarge) };
  }
}
