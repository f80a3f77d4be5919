// Reads a WebAssembly binary module (core specification 1.0, chapter 5, with the proposals named in
// opcodes.ts) into records. Everything outside that set is refused by name, with the function and the byte
// offset. Type correctness is the host engine's to judge: `parseModule` asks it after its own reading, so
// the generator may rely on a well-typed module.
import { type Opcode, opcodeName, opcodes } from "./opcodes.js";

export type ValueType = "i32" | "i64";

export interface Signature {
  readonly parameters: readonly ValueType[];
  readonly result: ValueType | undefined;
}

/** One decoded instruction; `at` is its offset in the module. */
export interface Instruction {
  readonly opcode: Opcode;
  readonly at: number;
  /** Local, global, function, type or label index, memory offset, or i32 constant (signed). */
  readonly index: number;
  /** i64 constant. */
  readonly wide: bigint;
  /** br_table: labels with the default last. */
  readonly labels: readonly number[];
  /** block, loop, if: the result type. */
  readonly result: ValueType | undefined;
}

export interface Import {
  readonly module: string;
  readonly name: string;
  readonly signature: Signature;
}

export interface WasmFunction {
  readonly index: number;
  readonly name: string;
  readonly signature: Signature;
  /** Parameters first, then the declared locals. */
  readonly locals: readonly ValueType[];
  readonly body: readonly Instruction[];
  readonly bytes: number;
}

export interface Global {
  readonly type: ValueType;
  readonly mutable: boolean;
  readonly initial: bigint;
}

export interface WasmModule {
  readonly types: readonly Signature[];
  readonly imports: readonly Import[];
  readonly functions: readonly WasmFunction[];
  readonly globals: readonly Global[];
  /** By index; those that the name section names. */
  readonly globalNames: ReadonlyMap<number, string>;
  readonly exports: ReadonlyMap<string, number>;
  readonly start: number | undefined;
  /** Function indices; undefined is an empty place. */
  readonly table: readonly (number | undefined)[];
  readonly data: readonly { readonly address: number; readonly bytes: Uint8Array }[];
}

export class WasmError extends Error {
  override name = "WasmError";
}

/** Bounds-checked reading of one stretch of the module. */
class Reader {
  constructor(
    readonly bytes: Uint8Array,
    public at: number,
    readonly end: number,
    readonly what: string,
  ) {}

  fail(message: string, at = this.at): never {
    throw new WasmError(`wasm: ${message} (in ${this.what}, offset 0x${at.toString(16)})`);
  }

  byte(): number {
    if (this.at >= this.end) this.fail("the module ends in the middle of something");
    return this.bytes[this.at++]!;
  }

  /** Unsigned LEB128 of at most 32 bits. */
  u32(): number {
    const start = this.at;
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (value > 0xffff_ffff) this.fail("an integer exceeds 32 bits", start);
        return value;
      }
    }
    this.fail("an integer is longer than five bytes", start);
  }

  /** Signed LEB128 of at most `bits` bits. */
  signed(bits: number): bigint {
    const start = this.at;
    let value = 0n;
    for (let shift = 0; shift < bits + 7; shift += 7) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << BigInt(shift);
      if (byte < 0x80) return BigInt.asIntN(bits, BigInt.asIntN(shift + 7, value));
    }
    this.fail(`a signed integer exceeds ${bits} bits`, start);
  }

  take(count: number): Uint8Array {
    if (count > this.end - this.at)
      this.fail(`${count} bytes were announced, ${this.end - this.at} are left`);
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  text(): string {
    return new TextDecoder().decode(this.take(this.u32()));
  }

  list<T>(read: () => T): T[] {
    const count = this.u32();
    if (count > this.end - this.at) this.fail(`a list of ${count} entries does not fit`);
    return Array.from({ length: count }, read);
  }

  part(what: string): Reader {
    const size = this.u32();
    const start = this.at;
    this.take(size);
    return new Reader(this.bytes, start, start + size, what);
  }

  done(): void {
    if (this.at !== this.end) this.fail(`${this.end - this.at} bytes too many`);
  }
}

const typeNames: Record<number, string> = {
  125: "f32",
  124: "f64",
  123: "v128",
  112: "funcref",
  111: "externref",
};

function valueType(code: number, r: Reader): ValueType {
  if (code === 0x7f) return "i32";
  if (code === 0x7e) return "i64";
  r.fail(`refused: values of type ${typeNames[code] ?? `0x${code.toString(16)}`}`, r.at - 1);
}

function signature(r: Reader): Signature {
  const form = r.byte();
  if (form !== 0x60) r.fail(`refused: type form 0x${form.toString(16)} (only functions)`, r.at - 1);
  const parameters = r.list(() => valueType(r.byte(), r));
  const results = r.list(() => valueType(r.byte(), r));
  if (results.length > 1) r.fail("refused: several results (multi-value)");
  return { parameters, result: results[0] };
}

/** Minimum of a limits record; the maximum is of no use to us. */
function limits(r: Reader): number {
  const flags = r.byte();
  if (flags > 3) r.fail(`refused: limits with flags ${flags} (64-bit memory)`, r.at - 1);
  const minimum = r.u32();
  if (flags & 1) r.u32();
  return minimum;
}

function constantExpression(r: Reader): bigint {
  const code = r.byte();
  const value = code === 0x41 ? r.signed(32) : code === 0x42 ? r.signed(64) : undefined;
  if (value === undefined) r.fail(`refused: ${opcodeName(code)} in a constant expression`, r.at - 1);
  if (r.byte() !== 0x0b) r.fail("a constant expression has more than one instruction");
  return value;
}

function blockType(r: Reader, types: readonly Signature[]): ValueType | undefined {
  const start = r.at;
  const code = r.signed(33);
  if (code === -64n) return undefined;
  if (code < 0n) return valueType(Number(code & 0x7fn), r);
  const type = types[Number(code)] ?? r.fail(`block type ${code} does not exist`, start);
  if (type.parameters.length > 0) r.fail("refused: a block with parameters (multi-value)", start);
  return type.result;
}

const zero = (r: Reader, what: string) => {
  if (r.byte() !== 0) r.fail(`refused: a second ${what}`, r.at - 1);
};

function opcodeAt(r: Reader): Opcode {
  const at = r.at;
  let code = r.byte();
  if (code >= 0xfb && code <= 0xfe) {
    const number = r.u32();
    code = number < 0x100 ? code * 0x100 + number : code * 0x10000 + number;
  }
  return opcodes.get(code) ?? r.fail(`refused: ${opcodeName(code)}`, at);
}

function instruction(r: Reader, types: readonly Signature[]): Instruction {
  const at = r.at;
  const opcode = opcodeAt(r);
  let index = 0;
  let wide = 0n;
  let labels: number[] = [];
  let result: ValueType | undefined;
  switch (opcode.immediate) {
    case "none":
      break;
    case "block":
      result = blockType(r, types);
      break;
    case "labels":
      labels = r.list(() => r.u32());
      labels.push(r.u32());
      break;
    case "signature":
      index = r.u32();
      zero(r, "table");
      break;
    case "memory":
      if (r.u32() >= 0x40) r.fail("refused: a second memory", at);
      index = r.u32();
      break;
    case "i32":
      index = Number(r.signed(32));
      break;
    case "i64":
      wide = r.signed(64);
      break;
    case "zeros":
      zero(r, "memory");
      zero(r, "memory");
      break;
    case "zero":
      zero(r, "memory");
      break;
    default:
      index = r.u32();
  }
  return { opcode, at, index, wide, labels, result };
}

function code(r: Reader, types: readonly Signature[]): { declared: ValueType[]; body: Instruction[] } {
  const declared: ValueType[] = [];
  for (let groups = r.u32(); groups > 0; groups--) {
    const count = r.u32();
    if (declared.length + count > 50_000) r.fail(`${declared.length + count} locals`);
    const type = valueType(r.byte(), r);
    for (let i = 0; i < count; i++) declared.push(type);
  }
  const body: Instruction[] = [];
  while (r.at < r.end) body.push(instruction(r, types));
  if (body.at(-1)?.opcode.name !== "end") r.fail("the function has no end");
  return { declared, body };
}

/** Names of functions (subsection 1) and globals (7) from the name section; a damaged one is an error like any other. */
function names(r: Reader, draft: Draft): void {
  while (r.at < r.end) {
    const id = r.byte();
    const part = r.part("the name section");
    const into = id === 1 ? draft.names : id === 7 ? draft.globalNames : null;
    if (into === null) continue;
    for (let count = part.u32(); count > 0; count--) into.set(part.u32(), part.text());
  }
}

/** Mutable while reading; `parseModule` gives it out read-only. */
interface Draft {
  types: Signature[];
  imports: Import[];
  declared: Signature[];
  bodies: Reader[];
  globals: Global[];
  exports: Map<string, number>;
  start: number | undefined;
  table: (number | undefined)[];
  data: { address: number; bytes: Uint8Array }[];
  names: Map<number, string>;
  globalNames: Map<number, string>;
}

function importEntry(r: Reader, draft: Draft): Import {
  const module = r.text();
  const name = r.text();
  const kind = r.byte();
  if (kind !== 0) r.fail(`refused: import ${module}.${name} is not a function`, r.at - 1);
  return { module, name, signature: typeAt(r, draft, r.u32()) };
}

function typeAt(r: Reader, draft: Draft, index: number): Signature {
  return draft.types[index] ?? r.fail(`type ${index} does not exist`);
}

function elementSegment(r: Reader, draft: Draft): void {
  if (r.u32() !== 0) r.fail("refused: an element segment that is not active in table 0");
  const offset = Number(constantExpression(r));
  r.list(() => r.u32()).forEach((target, index) => {
    draft.table[offset + index] = target;
  });
}

function dataSegment(r: Reader): { address: number; bytes: Uint8Array } {
  if (r.u32() !== 0) r.fail("refused: a data segment that is not active in memory 0");
  const address = Number(BigInt.asUintN(32, constantExpression(r)));
  return { address, bytes: r.take(r.u32()) };
}

function section(id: number, r: Reader, draft: Draft): void {
  switch (id) {
    case 0:
      if (r.text() === "name") names(r, draft);
      else r.at = r.end;
      break;
    case 1:
      draft.types = r.list(() => signature(r));
      break;
    case 2:
      draft.imports = r.list(() => importEntry(r, draft));
      break;
    case 3:
      draft.declared = r.list(() => typeAt(r, draft, r.u32()));
      break;
    case 4: {
      const tables = r.list(() => {
        onlyFunctions(r);
        return limits(r);
      });
      if (tables.length > 1) r.fail("refused: a second table");
      if ((tables[0] ?? 0) > 1_000_000) r.fail(`a table of ${tables[0]} entries`);
      draft.table = Array.from({ length: tables[0] ?? 0 }, () => undefined);
      break;
    }
    case 5:
      if (r.list(() => limits(r)).length > 1) r.fail("refused: a second memory");
      break;
    case 6:
      draft.globals = r.list(() => {
        const type = valueType(r.byte(), r);
        return { type, mutable: r.byte() === 1, initial: constantExpression(r) };
      });
      break;
    case 7:
      r.list(() => {
        const name = r.text();
        const kind = r.byte();
        const index = r.u32();
        if (kind === 0) draft.exports.set(name, index);
      });
      break;
    case 8:
      draft.start = r.u32();
      break;
    case 9:
      r.list(() => elementSegment(r, draft));
      break;
    case 10:
      draft.bodies = r.list(() => r.part("the code section"));
      break;
    case 11:
      draft.data = r.list(() => dataSegment(r));
      break;
    case 12:
      r.u32();
      break;
    default:
      r.fail(`refused: section ${id}`);
  }
  r.done();
}

function onlyFunctions(r: Reader): void {
  const code = r.byte();
  if (code !== 0x70) r.fail(`refused: a table of ${typeNames[code] ?? `0x${code.toString(16)}`}`, r.at - 1);
}

const sectionNames =
  "custom type import function table memory global export start element code data data-count".split(" ");

/** Reads and checks a module; throws a WasmError that says what is wrong and where. */
export function parseModule(bytes: Uint8Array): WasmModule {
  const r = new Reader(bytes, 0, bytes.length, "the header");
  const magic = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  if (!magic.every((byte, index) => bytes[index] === byte))
    r.fail("not a WebAssembly module: it does not begin with 00 61 73 6d 01 00 00 00");
  r.at = magic.length;
  const draft: Draft = {
    types: [],
    imports: [],
    declared: [],
    bodies: [],
    globals: [],
    exports: new Map(),
    start: undefined,
    table: [],
    data: [],
    names: new Map(),
    globalNames: new Map(),
  };
  while (r.at < r.end) {
    const id = r.byte();
    section(id, r.part(`the ${sectionNames[id] ?? `unknown (${id})`} section`), draft);
  }
  if (draft.bodies.length !== draft.declared.length)
    r.fail(`${draft.declared.length} functions are declared, ${draft.bodies.length} have a body`);
  const functions = draft.bodies.map((body, index) => wasmFunction(body, index, draft));
  validate(bytes);
  return { ...draft, functions };
}

function wasmFunction(body: Reader, nth: number, draft: Draft): WasmFunction {
  const index = draft.imports.length + nth;
  const name = draft.names.get(index) ?? `function-${index}`;
  const signature = draft.declared[nth]!;
  const reader = new Reader(body.bytes, body.at, body.end, `function ${name}`);
  const { declared, body: instructions } = code(reader, draft.types);
  return {
    index,
    name,
    signature,
    locals: [...signature.parameters, ...declared],
    body: instructions,
    bytes: body.end - body.at,
  };
}

/** The one thing that we use of the host's engine; its type comes with browser libraries only. */
declare const WebAssembly: { readonly Module: new (bytes: Uint8Array) => unknown };

/** The host engine is the judge of types, indices and alignment. */
function validate(bytes: Uint8Array): void {
  try {
    new WebAssembly.Module(bytes);
  } catch (error) {
    throw new WasmError(`wasm: not valid: ${error instanceof Error ? error.message : String(error)}`);
  }
}
