// Writes small WebAssembly modules for the tests of the back end: enough of the binary format (core
// specification 1.0, chapter 5) for functions over i32 and i64, one table, one memory and data.
import { opcodeNamed } from "../../kernel/compiler/opcodes.js";
import type { ValueType } from "../../kernel/compiler/wasm.js";

export interface FunctionSource {
  readonly name?: string;
  readonly parameters: readonly ValueType[];
  readonly result?: ValueType | undefined;
  /** Locals besides the parameters. */
  readonly locals?: readonly ValueType[];
  /** Instructions without the final end. */
  readonly code: readonly number[];
}

export interface ModuleSource {
  readonly imports?: readonly Omit<FunctionSource, "code" | "locals">[];
  readonly functions: readonly FunctionSource[];
  readonly globals?: readonly { readonly type: ValueType; readonly initial: bigint }[];
  /** Function indices, imports counted first. */
  readonly table?: readonly number[];
  readonly data?: readonly { readonly address: number; readonly bytes: Uint8Array }[];
  /** Export name to function index. */
  readonly exports?: Readonly<Record<string, number>>;
  readonly start?: number;
  readonly pages?: number;
  /** Sections put in behind the type section, as they stand. */
  readonly extra?: readonly number[];
}

export function unsigned(value: number): number[] {
  const bytes = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return [...bytes, rest];
}

export function signed(value: bigint): number[] {
  const bytes = [];
  for (let rest = value; ; rest >>= 7n) {
    const byte = Number(rest & 0x7fn);
    if ((rest >> 7n === 0n && byte < 0x40) || (rest >> 7n === -1n && byte >= 0x40)) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}

/** An instruction by name, with the bytes of its immediates. */
export function op(name: string, ...immediates: number[]): number[] {
  const opcode = opcodeNamed.get(name);
  if (opcode === undefined) throw new Error(`no instruction ${name}`);
  const prefix = opcode.code >> 8;
  return [...(prefix > 0 ? [prefix, ...unsigned(opcode.code & 0xff)] : [opcode.code]), ...immediates];
}

export const i32 = (value: number): number[] => op("i32.const", ...signed(BigInt(value | 0)));
export const i64 = (value: bigint): number[] => op("i64.const", ...signed(BigInt.asIntN(64, value)));
export const constant = (type: ValueType, value: bigint): number[] =>
  type === "i32" ? i32(Number(BigInt.asIntN(32, value))) : i64(value);
export const get = (local: number): number[] => op("local.get", ...unsigned(local));
export const set = (local: number): number[] => op("local.set", ...unsigned(local));
export const call = (index: number): number[] => op("call", ...unsigned(index));
/** A load, store or atomic with its natural alignment (atomics demand it) and an offset. */
export function access(name: string, offset = 0): number[] {
  const align = Math.log2(opcodeNamed.get(name)!.bytes!);
  return op(name, align, ...unsigned(offset));
}
export const blockType = (type: ValueType | undefined): number => {
  if (type === undefined) return 0x40;
  return type === "i32" ? 0x7f : 0x7e;
};

const typeByte = (type: ValueType) => blockType(type);
const vector = (items: readonly (readonly number[])[]) => [...unsigned(items.length), ...items.flat()];
const text = (name: string) => {
  const bytes = [...new TextEncoder().encode(name)];
  return [...unsigned(bytes.length), ...bytes];
};
export const section = (id: number, content: readonly number[]): number[] => [
  id,
  ...unsigned(content.length),
  ...content,
];

type SignatureSource = Pick<FunctionSource, "parameters" | "result">;
const typeKey = ({ parameters, result }: SignatureSource) => [
  0x60,
  ...vector(parameters.map((type) => [typeByte(type)])),
  ...vector(result === undefined ? [] : [[typeByte(result)]]),
];

/** Type numbers in the order of first use: imports, then functions. */
export function typesOf(source: ModuleSource): {
  readonly rows: number[][];
  indexOf(s: SignatureSource): number;
} {
  const rows: number[][] = [];
  const indexOf = (s: SignatureSource) => {
    const key = typeKey(s);
    const known = rows.findIndex((row) => row.join() === key.join());
    return known >= 0 ? known : rows.push(key) - 1;
  };
  for (const entry of [...(source.imports ?? []), ...source.functions]) indexOf(entry);
  return { rows, indexOf };
}

export function buildModule(source: ModuleSource): Uint8Array {
  const { imports = [], functions, globals = [], table = [], data = [], pages = 96 } = source;
  const types = typesOf(source);
  const bytes = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  bytes.push(...section(1, vector(types.rows)));
  if (source.extra) bytes.push(...source.extra);
  const entries = imports.map((entry) => [
    ...text("arch"),
    ...text(entry.name ?? ""),
    0,
    ...unsigned(types.indexOf(entry)),
  ]);
  bytes.push(...section(2, vector(entries)));
  bytes.push(...section(3, vector(functions.map((f) => unsigned(types.indexOf(f))))));
  if (table.length > 0) bytes.push(...section(4, vector([[0x70, 0, ...unsigned(table.length)]])));
  bytes.push(...section(5, vector([[3, ...unsigned(pages), ...unsigned(pages)]])));
  const cells = globals.map(({ type, initial }) => [typeByte(type), 1, ...constant(type, initial), 0x0b]);
  bytes.push(...section(6, vector(cells)));
  const names = Object.entries({ ...source.exports });
  const exported = names.map(([name, index]) => [...text(name), 0, ...unsigned(index)]);
  bytes.push(...section(7, vector([...exported, [...text("memory"), 2, 0]])));
  if (source.start !== undefined) bytes.push(...section(8, unsigned(source.start)));
  if (table.length > 0) {
    const segment = [0, ...i32(0), 0x0b, ...vector(table.map((index) => unsigned(index)))];
    bytes.push(...section(9, vector([segment])));
  }
  const bodies = functions.map((f) => {
    const locals = vector((f.locals ?? []).map((type) => [1, typeByte(type)]));
    const body = [...locals, ...f.code, 0x0b];
    return [...unsigned(body.length), ...body];
  });
  bytes.push(...section(10, vector(bodies)));
  const segments = data.map(({ address, bytes: content }) => [
    0,
    ...i32(address),
    0x0b,
    ...unsigned(content.length),
    ...content,
  ]);
  bytes.push(...section(11, vector(segments)));
  const named = functions
    .map((f, n) => ({ index: n + imports.length, name: f.name }))
    .filter(({ name }) => name !== undefined)
    .map(({ index, name }) => [...unsigned(index), ...text(name!)]);
  if (named.length > 0) bytes.push(...section(0, [...text("name"), ...section(1, vector(named))]));
  return Uint8Array.from(bytes);
}
