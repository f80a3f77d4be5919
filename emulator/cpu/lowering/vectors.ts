// 128-bit vectors and floating point, by WebAssembly's own names. Scalar floats travel as bit patterns.

import type { Value, Vector, Width } from "../instructions/define.js";
import { isPlain, isSimd, type Lane, type Plain } from "../wasm.js";
import { Memory } from "./memory.js";
import type { Scalar } from "./values.js";

/** A vector is a local of type v128, written once. */
export class Wide implements Vector {
  readonly vector = true;
  constructor(readonly local: number) {}
}

const LANES: Record<Width, string> = { 8: "i8x16", 16: "i16x8", 32: "i32x4", 64: "i64x2" };
type Number = "i32" | "i64" | "f32" | "f64";

export class Vectors extends Memory {
  protected pushVector(v: Vector): void {
    this.code.get((v as Wide).local);
  }
  protected takeVector(): Wide {
    const local = this.code.local("v128");
    this.code.set(local);
    return new Wide(local);
  }
  protected isVector(v: Vector | Value): v is Vector {
    return v instanceof Wide;
  }

  #simd(operation: string, args: readonly (Vector | Value)[]): void {
    if (!isSimd(operation)) this.refuse(`no vector operation ${operation}`);
    for (const arg of args) {
      if (this.isVector(arg)) this.pushVector(arg);
      else this.push32(arg); // the count of a shift
    }
    this.code.simd(operation);
  }
  simd(operation: string, ...args: (Vector | Value)[]): Vector {
    this.#simd(operation, args);
    return this.takeVector();
  }
  simdToScalar(operation: string, ...args: Vector[]): Scalar {
    this.#simd(operation, args);
    this.code.op("i64.extend_i32_u");
    return this.take(32);
  }
  selectVector(condition: Value, yes: Vector, no: Vector): Vector {
    // WebAssembly's untyped select takes no vectors: the condition becomes a mask.
    this.pushVector(yes);
    this.pushVector(no);
    this.code.i64(0n);
    this.pushCondition(condition)
      .op("i64.extend_i32_u")
      .op("i64.sub")
      .simd("i64x2.splat")
      .simd("v128.bitselect");
    return this.takeVector();
  }
  lane(v: Vector, width: Width, index: number): Scalar {
    this.pushVector(v);
    if (width === 64) this.code.lane("i64x2.extract_lane", index);
    else {
      const name = width === 32 ? "i32x4.extract_lane" : `${LANES[width]}.extract_lane_u`;
      this.code.lane(name as Lane, index).op("i64.extend_i32_u");
    }
    return this.take(width);
  }
  withLane(v: Vector, index: number, scalar: Value): Vector {
    this.pushVector(v);
    if (scalar.width === 64) this.push64(scalar);
    else this.push32(scalar);
    this.code.lane(`${LANES[scalar.width]}.replace_lane` as Lane, index);
    return this.takeVector();
  }
  splat(v: Value): Vector {
    if (v.width === 64) this.push64(v);
    else this.push32(v);
    const operation = `${LANES[v.width]}.splat`;
    if (isSimd(operation)) this.code.simd(operation);
    return this.takeVector();
  }
  shuffle(a: Vector, b: Vector, bytes: readonly number[]): Vector {
    this.pushVector(a);
    this.pushVector(b);
    this.code.shuffle(bytes);
    return this.takeVector();
  }
  vectorConstant(low: bigint, high: bigint): Vector {
    this.code.v128(low, high);
    return this.takeVector();
  }

  /** "f64.add", "f32.lt", "f64.promote_f32", "i64.trunc_sat_f64_s", "f64.convert_i64_s" ... on bit patterns. */
  float(operation: string, ...args: Value[]): Scalar {
    if (!isPlain(operation)) this.refuse(`no scalar operation ${operation}`);
    const [to, verb] = operation.split(".") as [Number, string];
    const source = /_(i32|i64|f32|f64)(_[su])?$/.exec(verb);
    const from = (source?.[1] ?? to) as Number;
    for (const arg of args) this.#pushNumber(arg, from, verb.endsWith("_s"));
    this.code.op(operation);
    if (/^(eq|ne|lt|gt|le|ge)$/.test(verb)) return this.takeBit();
    return this.#takeNumber(to);
  }
  #pushNumber(v: Value, type: Number, signed: boolean): void {
    const width = type === "i32" || type === "f32" ? 32 : 64;
    if (type === "i64" || type === "i32") {
      if (v.width > width) this.refuse(`${type} from ${v.width} bits`);
      if (signed) this.pushSigned(v);
      else this.push64(v);
      if (type === "i32") this.code.op("i32.wrap_i64");
      return;
    }
    if (v.width !== width) this.refuse(`${type} from ${v.width} bits`);
    if (width === 32) this.push32(v);
    else this.push64(v);
    if (type === "f32") this.code.op("f32.reinterpret_i32");
    if (type === "f64") this.code.op("f64.reinterpret_i64");
  }
  #takeNumber(type: Number): Scalar {
    const { code } = this;
    if (type === "f64") code.op("i64.reinterpret_f64");
    if (type === "f32") code.op("i32.reinterpret_f32" as Plain);
    if (type === "f32" || type === "i32") code.op("i64.extend_i32_u");
    return this.take(type === "f32" || type === "i32" ? 32 : 64);
  }
}
