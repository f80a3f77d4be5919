// A WebAssembly writer: function bodies and the modules around them, in the binary format of the WebAssembly core
// specification 2.0 with the threads and tail-call proposals. Only what the CPU engine emits.
// Invariant: a finished body refers to nothing but types by index (the caller keeps those fixed) and to functions
// through the table, so bodies may be bundled into modules in any grouping.

export type Type = "i32" | "i64" | "f32" | "f64" | "v128";
export interface Signature {
  readonly parameters: readonly Type[];
  readonly results: readonly Type[];
}

const TYPE_CODES: Record<Type, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };
const EMPTY_BLOCK = 0x40;

// biome-ignore format: the specification's tables
const PLAIN_NAMES = {
  "unreachable": 0x00, "return": 0x0f, "drop": 0x1a, "select": 0x1b,
  "i32.eqz": 0x45, "i32.eq": 0x46, "i32.ne": 0x47, "i32.lt_s": 0x48, "i32.lt_u": 0x49, "i32.gt_s": 0x4a, "i32.gt_u": 0x4b,
  "i32.le_s": 0x4c, "i32.le_u": 0x4d, "i32.ge_s": 0x4e, "i32.ge_u": 0x4f,
  "i64.eqz": 0x50, "i64.eq": 0x51, "i64.ne": 0x52, "i64.lt_s": 0x53, "i64.lt_u": 0x54, "i64.gt_s": 0x55, "i64.gt_u": 0x56,
  "i64.le_s": 0x57, "i64.le_u": 0x58, "i64.ge_s": 0x59, "i64.ge_u": 0x5a,
  "f32.eq": 0x5b, "f32.ne": 0x5c, "f32.lt": 0x5d, "f32.gt": 0x5e, "f32.le": 0x5f, "f32.ge": 0x60,
  "f64.eq": 0x61, "f64.ne": 0x62, "f64.lt": 0x63, "f64.gt": 0x64, "f64.le": 0x65, "f64.ge": 0x66,
  "i32.clz": 0x67, "i32.ctz": 0x68, "i32.popcnt": 0x69, "i32.add": 0x6a, "i32.sub": 0x6b, "i32.mul": 0x6c,
  "i32.div_s": 0x6d, "i32.div_u": 0x6e, "i32.rem_s": 0x6f, "i32.rem_u": 0x70, "i32.and": 0x71, "i32.or": 0x72, "i32.xor": 0x73,
  "i32.shl": 0x74, "i32.shr_s": 0x75, "i32.shr_u": 0x76, "i32.rotl": 0x77, "i32.rotr": 0x78,
  "i64.clz": 0x79, "i64.ctz": 0x7a, "i64.popcnt": 0x7b, "i64.add": 0x7c, "i64.sub": 0x7d, "i64.mul": 0x7e,
  "i64.div_s": 0x7f, "i64.div_u": 0x80, "i64.rem_s": 0x81, "i64.rem_u": 0x82, "i64.and": 0x83, "i64.or": 0x84, "i64.xor": 0x85,
  "i64.shl": 0x86, "i64.shr_s": 0x87, "i64.shr_u": 0x88, "i64.rotl": 0x89, "i64.rotr": 0x8a,
  "f32.abs": 0x8b, "f32.neg": 0x8c, "f32.ceil": 0x8d, "f32.floor": 0x8e, "f32.trunc": 0x8f, "f32.nearest": 0x90, "f32.sqrt": 0x91,
  "f32.add": 0x92, "f32.sub": 0x93, "f32.mul": 0x94, "f32.div": 0x95, "f32.min": 0x96, "f32.max": 0x97, "f32.copysign": 0x98,
  "f64.abs": 0x99, "f64.neg": 0x9a, "f64.ceil": 0x9b, "f64.floor": 0x9c, "f64.trunc": 0x9d, "f64.nearest": 0x9e, "f64.sqrt": 0x9f,
  "f64.add": 0xa0, "f64.sub": 0xa1, "f64.mul": 0xa2, "f64.div": 0xa3, "f64.min": 0xa4, "f64.max": 0xa5, "f64.copysign": 0xa6,
  "i32.wrap_i64": 0xa7, "i64.extend_i32_s": 0xac, "i64.extend_i32_u": 0xad,
  "f32.convert_i32_s": 0xb2, "f32.convert_i32_u": 0xb3, "f32.convert_i64_s": 0xb4, "f32.convert_i64_u": 0xb5, "f32.demote_f64": 0xb6,
  "f64.convert_i32_s": 0xb7, "f64.convert_i32_u": 0xb8, "f64.convert_i64_s": 0xb9, "f64.convert_i64_u": 0xba, "f64.promote_f32": 0xbb,
  "i32.reinterpret_f32": 0xbc, "i64.reinterpret_f64": 0xbd, "f32.reinterpret_i32": 0xbe, "f64.reinterpret_i64": 0xbf,
  "i32.extend8_s": 0xc0, "i32.extend16_s": 0xc1, "i64.extend8_s": 0xc2, "i64.extend16_s": 0xc3, "i64.extend32_s": 0xc4,
} as const;

// biome-ignore format: the specification's tables
const SATURATING_NAMES = {
  "i32.trunc_sat_f32_s": 0, "i32.trunc_sat_f32_u": 1, "i32.trunc_sat_f64_s": 2, "i32.trunc_sat_f64_u": 3,
  "i64.trunc_sat_f32_s": 4, "i64.trunc_sat_f32_u": 5, "i64.trunc_sat_f64_s": 6, "i64.trunc_sat_f64_u": 7,
} as const;

// biome-ignore format: the specification's tables
const MEMORY_NAMES = {
  "i32.load": [0x28], "i64.load": [0x29], "f32.load": [0x2a], "f64.load": [0x2b], "i32.load8_s": [0x2c], "i32.load8_u": [0x2d],
  "i32.load16_s": [0x2e], "i32.load16_u": [0x2f], "i64.load8_s": [0x30], "i64.load8_u": [0x31], "i64.load16_s": [0x32],
  "i64.load16_u": [0x33], "i64.load32_s": [0x34], "i64.load32_u": [0x35],
  "i32.store": [0x36], "i64.store": [0x37], "f32.store": [0x38], "f64.store": [0x39], "i32.store8": [0x3a], "i32.store16": [0x3b],
  "i64.store8": [0x3c], "i64.store16": [0x3d], "i64.store32": [0x3e],
  "v128.load": [0xfd, 0], "v128.store": [0xfd, 11],
} as const;

/** Atomic accesses with their natural alignment as a power of two, which the binary format wants exactly. */
// biome-ignore format: the specification's tables
const ATOMIC_NAMES = {
  "memory.atomic.notify": [0x00, 2], "memory.atomic.wait32": [0x01, 2],
  "i32.atomic.load": [0x10, 2], "i64.atomic.load": [0x11, 3], "i32.atomic.load8_u": [0x12, 0], "i32.atomic.load16_u": [0x13, 1],
  "i64.atomic.load8_u": [0x14, 0], "i64.atomic.load16_u": [0x15, 1], "i64.atomic.load32_u": [0x16, 2],
  "i32.atomic.store": [0x17, 2], "i64.atomic.store": [0x18, 3], "i64.atomic.store8": [0x1b, 0], "i64.atomic.store16": [0x1c, 1],
  "i64.atomic.store32": [0x1d, 2],
  "i32.atomic.rmw.and": [0x2c, 2], "i32.atomic.rmw.or": [0x33, 2], "i32.atomic.rmw.cmpxchg": [0x48, 2],
  "i64.atomic.rmw.cmpxchg": [0x49, 3], "i64.atomic.rmw8.cmpxchg_u": [0x4c, 0], "i64.atomic.rmw16.cmpxchg_u": [0x4d, 1],
  "i64.atomic.rmw32.cmpxchg_u": [0x4e, 2],
} as const;

// biome-ignore format: the specification's tables
const SIMD_NAMES = {
  "i8x16.swizzle": 14, "i8x16.splat": 15, "i16x8.splat": 16, "i32x4.splat": 17, "i64x2.splat": 18, "f32x4.splat": 19, "f64x2.splat": 20,
  "i8x16.eq": 35, "i8x16.ne": 36, "i8x16.lt_s": 37, "i8x16.lt_u": 38, "i8x16.gt_s": 39, "i8x16.gt_u": 40, "i8x16.le_s": 41,
  "i8x16.le_u": 42, "i8x16.ge_s": 43, "i8x16.ge_u": 44, "i16x8.eq": 45, "i16x8.ne": 46, "i16x8.lt_s": 47, "i16x8.lt_u": 48,
  "i16x8.gt_s": 49, "i16x8.gt_u": 50, "i16x8.le_s": 51, "i16x8.le_u": 52, "i16x8.ge_s": 53, "i16x8.ge_u": 54, "i32x4.eq": 55,
  "i32x4.ne": 56, "i32x4.lt_s": 57, "i32x4.lt_u": 58, "i32x4.gt_s": 59, "i32x4.gt_u": 60, "i32x4.le_s": 61, "i32x4.le_u": 62,
  "i32x4.ge_s": 63, "i32x4.ge_u": 64, "f32x4.eq": 65, "f32x4.ne": 66, "f32x4.lt": 67, "f32x4.gt": 68, "f32x4.le": 69, "f32x4.ge": 70,
  "f64x2.eq": 71, "f64x2.ne": 72, "f64x2.lt": 73, "f64x2.gt": 74, "f64x2.le": 75, "f64x2.ge": 76,
  "v128.not": 77, "v128.and": 78, "v128.andnot": 79, "v128.or": 80, "v128.xor": 81, "v128.bitselect": 82, "v128.any_true": 83,
  "f32x4.demote_f64x2_zero": 94, "f64x2.promote_low_f32x4": 95,
  "i8x16.abs": 96, "i8x16.neg": 97, "i8x16.popcnt": 98, "i8x16.all_true": 99, "i8x16.bitmask": 100, "i8x16.narrow_i16x8_s": 101,
  "i8x16.narrow_i16x8_u": 102, "f32x4.ceil": 103, "f32x4.floor": 104, "f32x4.trunc": 105, "f32x4.nearest": 106, "i8x16.shl": 107,
  "i8x16.shr_s": 108, "i8x16.shr_u": 109, "i8x16.add": 110, "i8x16.add_sat_s": 111, "i8x16.add_sat_u": 112, "i8x16.sub": 113,
  "i8x16.sub_sat_s": 114, "i8x16.sub_sat_u": 115, "f64x2.ceil": 116, "f64x2.floor": 117, "i8x16.min_s": 118, "i8x16.min_u": 119,
  "i8x16.max_s": 120, "i8x16.max_u": 121, "f64x2.trunc": 122, "i8x16.avgr_u": 123, "i16x8.extadd_pairwise_i8x16_s": 124,
  "i16x8.extadd_pairwise_i8x16_u": 125, "i32x4.extadd_pairwise_i16x8_s": 126, "i32x4.extadd_pairwise_i16x8_u": 127,
  "i16x8.abs": 128, "i16x8.neg": 129, "i16x8.q15mulr_sat_s": 130, "i16x8.all_true": 131, "i16x8.bitmask": 132,
  "i16x8.narrow_i32x4_s": 133, "i16x8.narrow_i32x4_u": 134, "i16x8.extend_low_i8x16_s": 135, "i16x8.extend_high_i8x16_s": 136,
  "i16x8.extend_low_i8x16_u": 137, "i16x8.extend_high_i8x16_u": 138, "i16x8.shl": 139, "i16x8.shr_s": 140, "i16x8.shr_u": 141,
  "i16x8.add": 142, "i16x8.add_sat_s": 143, "i16x8.add_sat_u": 144, "i16x8.sub": 145, "i16x8.sub_sat_s": 146, "i16x8.sub_sat_u": 147,
  "f64x2.nearest": 148, "i16x8.mul": 149, "i16x8.min_s": 150, "i16x8.min_u": 151, "i16x8.max_s": 152, "i16x8.max_u": 153,
  "i16x8.avgr_u": 155, "i16x8.extmul_low_i8x16_s": 156, "i16x8.extmul_high_i8x16_s": 157, "i16x8.extmul_low_i8x16_u": 158,
  "i16x8.extmul_high_i8x16_u": 159, "i32x4.abs": 160, "i32x4.neg": 161, "i32x4.all_true": 163, "i32x4.bitmask": 164,
  "i32x4.extend_low_i16x8_s": 167, "i32x4.extend_high_i16x8_s": 168, "i32x4.extend_low_i16x8_u": 169, "i32x4.extend_high_i16x8_u": 170,
  "i32x4.shl": 171, "i32x4.shr_s": 172, "i32x4.shr_u": 173, "i32x4.add": 174, "i32x4.sub": 177, "i32x4.mul": 181, "i32x4.min_s": 182,
  "i32x4.min_u": 183, "i32x4.max_s": 184, "i32x4.max_u": 185, "i32x4.dot_i16x8_s": 186, "i32x4.extmul_low_i16x8_s": 188,
  "i32x4.extmul_high_i16x8_s": 189, "i32x4.extmul_low_i16x8_u": 190, "i32x4.extmul_high_i16x8_u": 191, "i64x2.abs": 192,
  "i64x2.neg": 193, "i64x2.all_true": 195, "i64x2.bitmask": 196, "i64x2.extend_low_i32x4_s": 199, "i64x2.extend_high_i32x4_s": 200,
  "i64x2.extend_low_i32x4_u": 201, "i64x2.extend_high_i32x4_u": 202, "i64x2.shl": 203, "i64x2.shr_s": 204, "i64x2.shr_u": 205,
  "i64x2.add": 206, "i64x2.sub": 209, "i64x2.mul": 213, "i64x2.eq": 214, "i64x2.ne": 215, "i64x2.lt_s": 216, "i64x2.gt_s": 217,
  "i64x2.le_s": 218, "i64x2.ge_s": 219, "i64x2.extmul_low_i32x4_s": 220, "i64x2.extmul_high_i32x4_s": 221,
  "i64x2.extmul_low_i32x4_u": 222, "i64x2.extmul_high_i32x4_u": 223,
  "f32x4.abs": 224, "f32x4.neg": 225, "f32x4.sqrt": 227, "f32x4.add": 228, "f32x4.sub": 229, "f32x4.mul": 230, "f32x4.div": 231,
  "f32x4.min": 232, "f32x4.max": 233, "f32x4.pmin": 234, "f32x4.pmax": 235, "f64x2.abs": 236, "f64x2.neg": 237, "f64x2.sqrt": 239,
  "f64x2.add": 240, "f64x2.sub": 241, "f64x2.mul": 242, "f64x2.div": 243, "f64x2.min": 244, "f64x2.max": 245, "f64x2.pmin": 246,
  "f64x2.pmax": 247, "i32x4.trunc_sat_f32x4_s": 248, "i32x4.trunc_sat_f32x4_u": 249, "f32x4.convert_i32x4_s": 250,
  "f32x4.convert_i32x4_u": 251, "i32x4.trunc_sat_f64x2_s_zero": 252, "i32x4.trunc_sat_f64x2_u_zero": 253,
  "f64x2.convert_low_i32x4_s": 254, "f64x2.convert_low_i32x4_u": 255,
} as const;

// biome-ignore format: the specification's tables
const LANE_NAMES = {
  "i8x16.extract_lane_u": 22, "i8x16.replace_lane": 23, "i16x8.extract_lane_u": 25, "i16x8.replace_lane": 26,
  "i32x4.extract_lane": 27, "i32x4.replace_lane": 28, "i64x2.extract_lane": 29, "i64x2.replace_lane": 30,
} as const;

export type Plain = keyof typeof PLAIN_NAMES | keyof typeof SATURATING_NAMES;
export type Access = keyof typeof MEMORY_NAMES;
export type Atomic = keyof typeof ATOMIC_NAMES;
export type Simd = keyof typeof SIMD_NAMES;
export type Lane = keyof typeof LANE_NAMES;

export const isSimd = (name: string): name is Simd => name in SIMD_NAMES;
export const isPlain = (name: string): name is Plain => name in PLAIN_NAMES || name in SATURATING_NAMES;

/** A growing byte string. */
export class Bytes {
  #data = new Uint8Array(256);
  length = 0;

  byte(value: number): this {
    if (this.length === this.#data.length) this.#grow(1);
    this.#data[this.length++] = value;
    return this;
  }
  append(bytes: Uint8Array | readonly number[]): this {
    if (this.length + bytes.length > this.#data.length) this.#grow(bytes.length);
    this.#data.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }
  /** Unsigned LEB128 of a number below 2^32. */
  unsigned(value: number): this {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
      throw new RangeError(`wasm: ${value} is no u32`);
    while (value > 0x7f) {
      this.byte((value & 0x7f) | 0x80);
      value = Math.floor(value / 128);
    }
    return this.byte(value);
  }
  signed(value: bigint): this {
    for (;;) {
      const low = Number(value & 0x7fn);
      value >>= 7n;
      if ((value === 0n && (low & 0x40) === 0) || (value === -1n && (low & 0x40) !== 0))
        return this.byte(low);
      this.byte(low | 0x80);
    }
  }
  signed32(value: number): this {
    value |= 0;
    for (;;) {
      const low = value & 0x7f;
      value >>= 7;
      if ((value === 0 && (low & 0x40) === 0) || (value === -1 && (low & 0x40) !== 0)) return this.byte(low);
      this.byte(low | 0x80);
    }
  }
  name(text: string): this {
    const bytes = new TextEncoder().encode(text);
    return this.unsigned(bytes.length).append(bytes);
  }
  finish(): Uint8Array {
    return this.#data.slice(0, this.length);
  }
  #grow(by: number): void {
    const larger = new Uint8Array(Math.max(this.#data.length * 2, this.length + by));
    larger.set(this.#data.subarray(0, this.length));
    this.#data = larger;
  }
}

/** A branch target: the nesting depth of its block. */
export type Label = number & { readonly label: unique symbol };

/** One function body being written. Locals are numbered from the parameters on. */
export class Body {
  readonly #code = new Bytes();
  readonly #locals: Type[] = [];
  readonly #parameters: number;
  #depth = 0;

  constructor(parameters: number) {
    this.#parameters = parameters;
  }

  local(type: Type): number {
    this.#locals.push(type);
    return this.#parameters + this.#locals.length - 1;
  }
  get(local: number): this {
    this.#code.byte(0x20).unsigned(local);
    return this;
  }
  set(local: number): this {
    this.#code.byte(0x21).unsigned(local);
    return this;
  }
  tee(local: number): this {
    this.#code.byte(0x22).unsigned(local);
    return this;
  }
  i32(value: number): this {
    this.#code.byte(0x41).signed32(value);
    return this;
  }
  i64(value: bigint): this {
    this.#code.byte(0x42).signed(BigInt.asIntN(64, value));
    return this;
  }
  v128(low: bigint, high: bigint): this {
    this.#code.append([0xfd, 12]);
    for (const half of [low, high])
      for (let i = 0n; i < 64n; i += 8n) this.#code.byte(Number((half >> i) & 0xffn));
    return this;
  }
  op(name: Plain): this {
    if (name in PLAIN_NAMES) this.#code.byte(PLAIN_NAMES[name as keyof typeof PLAIN_NAMES]);
    else this.#code.byte(0xfc).unsigned(SATURATING_NAMES[name as keyof typeof SATURATING_NAMES]);
    return this;
  }
  /** Plain loads and stores are declared byte-aligned: guest accesses may have any alignment. */
  access(name: Access, offset = 0): this {
    this.#code.append(MEMORY_NAMES[name]).byte(0).unsigned(offset);
    return this;
  }
  atomic(name: Atomic, offset = 0): this {
    const [code, alignment] = ATOMIC_NAMES[name];
    this.#code.byte(0xfe).unsigned(code).unsigned(alignment).unsigned(offset);
    return this;
  }
  fence(): this {
    this.#code.append([0xfe, 3, 0]);
    return this;
  }
  memoryCopy(): this {
    this.#code.append([0xfc, 10, 0, 0]);
    return this;
  }
  memoryFill(): this {
    this.#code.append([0xfc, 11, 0]);
    return this;
  }
  simd(name: Simd): this {
    this.#code.byte(0xfd).unsigned(SIMD_NAMES[name]);
    return this;
  }
  lane(name: Lane, index: number): this {
    this.#code.byte(0xfd).unsigned(LANE_NAMES[name]).byte(index);
    return this;
  }
  shuffle(bytes: readonly number[]): this {
    if (bytes.length !== 16 || bytes.some((b) => b < 0 || b > 31))
      throw new RangeError(`wasm: shuffle wants 16 indices below 32, got ${bytes}`);
    this.#code.append([0xfd, 13]).append(bytes);
    return this;
  }

  // --- structured control ---
  block(): Label {
    this.#code.append([0x02, EMPTY_BLOCK]);
    return ++this.#depth as Label;
  }
  loop(): Label {
    this.#code.append([0x03, EMPTY_BLOCK]);
    return ++this.#depth as Label;
  }
  if(): Label {
    this.#code.append([0x04, EMPTY_BLOCK]);
    return ++this.#depth as Label;
  }
  else(): this {
    this.#code.byte(0x05);
    return this;
  }
  end(): this {
    if (this.#depth-- === 0) throw new Error("wasm: end without a block");
    this.#code.byte(0x0b);
    return this;
  }
  br(label: Label): this {
    this.#code.byte(0x0c).unsigned(this.#depth - label);
    return this;
  }
  brIf(label: Label): this {
    this.#code.byte(0x0d).unsigned(this.#depth - label);
    return this;
  }
  /** Only the module that holds the body's own imports may call by number. */
  call(index: number): this {
    this.#code.byte(0x10).unsigned(index);
    return this;
  }
  /** The table index is on the stack, above the arguments. */
  callIndirect(type: number): this {
    this.#code.byte(0x11).unsigned(type).byte(0);
    return this;
  }
  returnCallIndirect(type: number): this {
    this.#code.byte(0x13).unsigned(type).byte(0);
    return this;
  }

  /** The body as the code section wants it: size, locals, instructions. */
  finish(): Uint8Array {
    if (this.#depth !== 0) throw new Error(`wasm: ${this.#depth} blocks left open`);
    const runs: [count: number, type: Type][] = [];
    for (const type of this.#locals) {
      const last = runs.at(-1);
      if (last?.[1] === type) last[0]++;
      else runs.push([1, type]);
    }
    const inner = new Bytes().unsigned(runs.length);
    for (const [count, type] of runs) inner.unsigned(count).byte(TYPE_CODES[type]);
    inner.append(this.#code.finish()).byte(0x0b);
    return new Bytes().unsigned(inner.length).append(inner.finish()).finish();
  }
}

export interface FunctionCode {
  readonly type: number;
  readonly body: Uint8Array;
  /** Exported under this name, if any. */
  readonly name?: string;
  /** Table element that the module sets to it, if any. */
  readonly slot?: number;
}

const section = (out: Bytes, id: number, content: Bytes): void => {
  out.byte(id).unsigned(content.length).append(content.finish());
};

/** Pages of 64 KiB: any shared memory up to 4 GiB may be given to a module. */
const MEMORY_PAGES_MAX = 65536;

/**
 * A module that imports `env.memory` (shared), `env.table` and the named functions of `env`, which come first in
 * numbering, and puts its functions into their table slots.
 */
export function module(
  types: readonly Signature[],
  functions: readonly FunctionCode[],
  imported: readonly { readonly name: string; readonly type: number }[] = [],
): Uint8Array<ArrayBuffer> {
  const out = new Bytes().append([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

  const typeSection = new Bytes().unsigned(types.length);
  for (const { parameters, results } of types) {
    typeSection.byte(0x60).unsigned(parameters.length);
    for (const type of parameters) typeSection.byte(TYPE_CODES[type]);
    typeSection.unsigned(results.length);
    for (const type of results) typeSection.byte(TYPE_CODES[type]);
  }
  section(out, 1, typeSection);

  const imports = new Bytes().unsigned(2 + imported.length);
  imports.name("env").name("memory").byte(2).byte(3).unsigned(0).unsigned(MEMORY_PAGES_MAX);
  imports.name("env").name("table").byte(1).byte(0x70).byte(0).unsigned(0);
  for (const { name, type } of imported) imports.name("env").name(name).byte(0).unsigned(type);
  section(out, 2, imports);

  const declared = new Bytes().unsigned(functions.length);
  for (const { type } of functions) declared.unsigned(type);
  section(out, 3, declared);

  const named = functions.flatMap((f, index) => (f.name === undefined ? [] : [{ name: f.name, index }]));
  const exported = new Bytes().unsigned(named.length);
  for (const { name, index } of named)
    exported
      .name(name)
      .byte(0)
      .unsigned(imported.length + index);
  section(out, 7, exported);

  const placed = functions.flatMap((f, index) => (f.slot === undefined ? [] : [{ slot: f.slot, index }]));
  const elements = new Bytes().unsigned(placed.length);
  for (const { slot, index } of placed)
    elements
      .append([0, 0x41])
      .signed32(slot)
      .byte(0x0b)
      .unsigned(1)
      .unsigned(imported.length + index);
  section(out, 9, elements);

  const code = new Bytes().unsigned(functions.length);
  for (const { body } of functions) code.append(body);
  section(out, 10, code);
  return out.finish() as Uint8Array<ArrayBuffer>;
}

/** The exported functions of a binary module and their signatures: which arguments a microcode call takes. */
export function exportedSignatures(binary: Uint8Array): Map<string, Signature> {
  const NAMES = new Map(Object.entries(TYPE_CODES).map(([name, code]) => [code, name as Type]));
  let at = 8;
  const unsigned = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = binary[at++];
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  const text = (): string => {
    const length = unsigned();
    at += length;
    return new TextDecoder().decode(binary.subarray(at - length, at));
  };
  const list = <T>(read: () => T): T[] => Array.from({ length: unsigned() }, read);
  const valueType = (): Type => {
    const type = NAMES.get(binary[at++]);
    if (type === undefined) throw new Error(`wasm: unknown value type at byte ${at - 1}`);
    return type;
  };
  const limits = (): void => {
    if (unsigned() & 1) unsigned();
    unsigned();
  };
  const types: Signature[] = [];
  const functions: number[] = [];
  const found = new Map<string, Signature>();
  while (at < binary.length) {
    const id = binary[at++];
    const size = unsigned();
    const end = at + size;
    if (id === 1)
      types.push(
        ...list(() => {
          at++; // 0x60
          return { parameters: list(valueType), results: list(valueType) };
        }),
      );
    else if (id === 2)
      list(() => {
        text();
        text();
        const kind = binary[at++];
        if (kind === 0) functions.push(unsigned());
        else if (kind === 1) {
          at++;
          limits();
        } else if (kind === 2) limits();
        else at += 2;
      });
    else if (id === 3) functions.push(...list(unsigned));
    else if (id === 7)
      list(() => {
        const name = text();
        const kind = binary[at++];
        const index = unsigned();
        if (kind === 0) found.set(name, types[functions[index]]);
      });
    at = end;
  }
  return found;
}
