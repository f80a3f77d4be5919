// The WebAssembly instructions that the back end accepts, one row each: WebAssembly core specification 1.0
// (chapter 5.4), the sign-extension and bulk-memory proposals and the threads proposal. A row is opcode,
// name, immediate, operand types, result type ("i" is i32, "I" is i64). What stands in `refused` is known
// and reported by name when it occurs; the kernel may use neither floats nor a growing memory.

export type Immediate =
  | "none"
  | "block"
  | "label"
  | "labels"
  | "function"
  | "signature"
  | "local"
  | "global"
  | "memory"
  | "i32"
  | "i64"
  | "zero"
  | "zeros";

export interface Opcode {
  readonly code: number;
  readonly name: string;
  readonly immediate: Immediate;
  /** Operand types, deepest first; undefined where they depend on the immediate. */
  readonly takes?: string;
  readonly gives?: string;
  /** Bytes accessed in memory, for loads, stores and atomics. */
  readonly bytes?: number;
}

type Row = [code: number, name: string, immediate: Immediate, type?: string, bytes?: number];

const control: Row[] = [
  [0x00, "unreachable", "none"],
  [0x01, "nop", "none", ">"],
  [0x02, "block", "block"],
  [0x03, "loop", "block"],
  [0x04, "if", "block"],
  [0x05, "else", "none"],
  [0x0b, "end", "none"],
  [0x0c, "br", "label"],
  [0x0d, "br_if", "label"],
  [0x0e, "br_table", "labels"],
  [0x0f, "return", "none"],
  [0x10, "call", "function"],
  [0x11, "call_indirect", "signature"],
  [0x1a, "drop", "none"],
  [0x1b, "select", "none"],
  [0x20, "local.get", "local"],
  [0x21, "local.set", "local"],
  [0x22, "local.tee", "local"],
  [0x23, "global.get", "global"],
  [0x24, "global.set", "global"],
  [0x41, "i32.const", "i32", ">i"],
  [0x42, "i64.const", "i64", ">I"],
];

const memory: Row[] = [
  [0x28, "i32.load", "memory", "i>i", 4],
  [0x29, "i64.load", "memory", "i>I", 8],
  [0x2c, "i32.load8_s", "memory", "i>i", 1],
  [0x2d, "i32.load8_u", "memory", "i>i", 1],
  [0x2e, "i32.load16_s", "memory", "i>i", 2],
  [0x2f, "i32.load16_u", "memory", "i>i", 2],
  [0x30, "i64.load8_s", "memory", "i>I", 1],
  [0x31, "i64.load8_u", "memory", "i>I", 1],
  [0x32, "i64.load16_s", "memory", "i>I", 2],
  [0x33, "i64.load16_u", "memory", "i>I", 2],
  [0x34, "i64.load32_s", "memory", "i>I", 4],
  [0x35, "i64.load32_u", "memory", "i>I", 4],
  [0x36, "i32.store", "memory", "ii>", 4],
  [0x37, "i64.store", "memory", "iI>", 8],
  [0x3a, "i32.store8", "memory", "ii>", 1],
  [0x3b, "i32.store16", "memory", "ii>", 2],
  [0x3c, "i64.store8", "memory", "iI>", 1],
  [0x3d, "i64.store16", "memory", "iI>", 2],
  [0x3e, "i64.store32", "memory", "iI>", 4],
  [0xfc0a, "memory.copy", "zeros", "iii>"],
  [0xfc0b, "memory.fill", "zero", "iii>"],
];

/** Names in opcode order from `first`, all of one type. */
const series = (first: number, type: string, prefix: string, names: string): Row[] =>
  names.split(" ").map((name, index) => [first + index, `${prefix}.${name}`, "none", type]);

const compares = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const binaries = "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr";

const numeric: Row[] = [
  [0x45, "i32.eqz", "none", "i>i"],
  ...series(0x46, "ii>i", "i32", compares),
  [0x50, "i64.eqz", "none", "I>i"],
  ...series(0x51, "II>i", "i64", compares),
  ...series(0x67, "i>i", "i32", "clz ctz popcnt"),
  ...series(0x6a, "ii>i", "i32", binaries),
  ...series(0x79, "I>I", "i64", "clz ctz popcnt"),
  ...series(0x7c, "II>I", "i64", binaries),
  [0xa7, "i32.wrap_i64", "none", "I>i"],
  [0xac, "i64.extend_i32_s", "none", "i>I"],
  [0xad, "i64.extend_i32_u", "none", "i>I"],
  ...series(0xc0, "i>i", "i32", "extend8_s extend16_s"),
  ...series(0xc2, "I>I", "i64", "extend8_s extend16_s extend32_s"),
];

/** The seven widths of an atomic operation stand in this order in every group of opcodes. */
const widths = [
  ["i32", "", 4],
  ["i64", "", 8],
  ["i32", "8", 1],
  ["i32", "16", 2],
  ["i64", "8", 1],
  ["i64", "16", 2],
  ["i64", "32", 4],
] as const;

function atomicGroup(first: number, operation: string, operands: number): Row[] {
  return widths.map(([type, width, bytes], index) => {
    const letter = type === "i32" ? "i" : "I";
    const narrow = width !== "";
    const rmw = operation !== "load" && operation !== "store";
    const name = rmw
      ? `${type}.atomic.rmw${width}.${operation}${narrow ? "_u" : ""}`
      : `${type}.atomic.${operation}${width}${narrow && operation === "load" ? "_u" : ""}`;
    const gives = operation === "store" ? "" : letter;
    return [first + index, name, "memory", `i${letter.repeat(operands)}>${gives}`, bytes];
  });
}

const atomics: Row[] = [
  [0xfe03, "atomic.fence", "zero", ">"],
  ...atomicGroup(0xfe10, "load", 0),
  ...atomicGroup(0xfe17, "store", 1),
  ...atomicGroup(0xfe1e, "add", 1),
  ...atomicGroup(0xfe25, "sub", 1),
  ...atomicGroup(0xfe2c, "and", 1),
  ...atomicGroup(0xfe33, "or", 1),
  ...atomicGroup(0xfe3a, "xor", 1),
  ...atomicGroup(0xfe41, "xchg", 1),
  ...atomicGroup(0xfe48, "cmpxchg", 2),
];

const rows = [...control, ...memory, ...numeric, ...atomics].map(([code, name, immediate, type, bytes]) => {
  const [takes, gives] = type?.split(">") ?? [];
  return {
    code,
    name,
    immediate,
    ...(takes !== undefined && gives !== undefined ? { takes, gives } : {}),
    ...(bytes !== undefined ? { bytes } : {}),
  } satisfies Opcode;
});

/** Every accepted instruction by its opcode; a prefixed one is prefix * 256 + number. */
export const opcodes: ReadonlyMap<number, Opcode> = new Map(rows.map((row) => [row.code, row]));
/** The same by name. */
export const opcodeNamed: ReadonlyMap<string, Opcode> = new Map(rows.map((row) => [row.name, row]));

const named = (first: number, prefix: string, names: string): [number, string][] =>
  names.split(" ").map((name, index) => [first + index, prefix + name]);

const floatCompares = "eq ne lt gt le ge";
const floatArithmetic = "abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign";
const truncations = "i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u";
const saturating = (type: string) => `${type}_f32_s ${type}_f32_u ${type}_f64_s ${type}_f64_u`;

/** Known instructions that the back end does not translate, by opcode, so that a refusal can say the name. */
export const refused: ReadonlyMap<number, string> = new Map([
  ...named(0x06, "", "try catch throw rethrow throw_ref"),
  ...named(0x12, "", "return_call return_call_indirect call_ref return_call_ref"),
  ...named(0x18, "", "delegate catch_all"),
  [0x1c, "select (typed)"],
  [0x1f, "try_table"],
  ...named(0x25, "table.", "get set"),
  ...named(0x2a, "", "f32.load f64.load"),
  ...named(0x38, "", "f32.store f64.store"),
  ...named(0x3f, "memory.", "size grow"),
  ...named(0x43, "", "f32.const f64.const"),
  ...named(0x5b, "f32.", floatCompares),
  ...named(0x61, "f64.", floatCompares),
  ...named(0x8b, "f32.", floatArithmetic),
  ...named(0x99, "f64.", floatArithmetic),
  ...named(0xa8, "", truncations),
  ...named(0xae, "", "i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u"),
  ...named(0xb2, "f32.", "convert_i32_s convert_i32_u convert_i64_s convert_i64_u demote_f64"),
  ...named(0xb7, "f64.", "convert_i32_s convert_i32_u convert_i64_s convert_i64_u promote_f32"),
  ...named(0xbc, "", "i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64"),
  ...named(0xd0, "ref.", "null is_null func eq as_non_null"),
  ...named(0xd5, "br_on_", "null non_null"),
  ...named(0xfc00, "", `${saturating("i32.trunc_sat")} ${saturating("i64.trunc_sat")}`),
  ...named(0xfc08, "", "memory.init data.drop"),
  ...named(0xfc0c, "", "table.init elem.drop table.copy table.grow table.size table.fill"),
  ...named(0xfe00, "memory.atomic.", "notify wait32 wait64"),
]);

/** What to call an opcode in an error message. */
export function opcodeName(code: number): string {
  const known = opcodes.get(code)?.name ?? refused.get(code);
  if (known !== undefined) return known;
  if (code >> 8 === 0xfb) return `garbage-collection instruction 0x${code.toString(16)}`;
  if (code >> 16 === 0xfd || code >> 8 === 0xfd) return `vector instruction 0x${code.toString(16)}`;
  return `unknown opcode 0x${code.toString(16)}`;
}
