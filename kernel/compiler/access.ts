// Loads, stores and atomic operations. Every plain access is one MOV; an atomic read-modify-write is one
// LOCKed instruction, or a CMPXCHG loop where the old value of an AND, OR or XOR is wanted. An atomic store
// is an XCHG, which orders it before later loads (Intel SDM volume 3, 8.2).
import { Label, type Memory, R, RAX, type Reg, r, type Size } from "./assembler.js";
import type { Generator, Handler } from "./generate.js";
import { opcodeNamed } from "./opcodes.js";
import { sizeOf, type Value } from "./operands.js";
import { symbolOf } from "./symbols.js";
import type { Instruction, ValueType } from "./wasm.js";

const typeOf = (name: string): ValueType => (name.startsWith("i64") ? "i64" : "i32");
const bitsOf = (name: string): Size => (opcodeNamed.get(name)!.bytes! * 8) as Size;

/** One load of `bits` bits into a whole register, with or without its sign. */
function emitLoad(g: Generator, to: Reg, memory: Memory, bits: Size, type: ValueType, signed: boolean): void {
  const { a } = g;
  if (bits === sizeOf(type)) a.op("Mov", bits, r(to), memory);
  else if (!signed && bits === 32) a.op("Mov", 32, r(to), memory);
  else if (!signed) a.extend("Movzx", 32, bits, r(to), memory);
  else if (bits === 32) a.extend("Movsxd", 64, 32, r(to), memory);
  else a.extend("Movsx", sizeOf(type), bits, r(to), memory);
}

const zeroTests = new Set(["i32.eqz", "br_if", "if"]);

/** Whether an instruction only asks if a value of the type is zero. */
export function testsForZero(type: ValueType, next: Instruction | undefined): boolean {
  const name = next?.opcode.name ?? "";
  return type === "i32" ? zeroTests.has(name) : name === "i64.eqz";
}

const comparisons = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u".split(" ");
const arithmetic = "add sub and or xor mul".split(" ");

/** Whether the instruction that uses a loaded value can read memory itself: as the right operand at once, or as
 * the left one of a comparison when the right one is a constant or a local. */
export function usedFromMemory(g: Generator, type: ValueType): boolean {
  const isOne = (names: readonly string[], next: Instruction | undefined) =>
    names.some((name) => next?.opcode.name === `${type}.${name}`);
  if (testsForZero(type, g.next) || isOne([...arithmetic, ...comparisons], g.next)) return true;
  const between = g.next?.opcode.name;
  if (between !== `${type}.const` && between !== "local.get") return false;
  const user = g.ahead(2);
  return isOne(comparisons, user) || (isOne(["and"], user) && testsForZero(type, g.ahead(3)));
}

/** A byte whose only use is a comparison with a constant: how that is done in memory. */
interface ByteTest {
  readonly mnemonic: "Cmp" | "Test";
  readonly value: number;
  readonly condition: "e" | "ne";
  /** Instructions that it stands for besides the load. */
  readonly instructions: number;
}

function byteTest(g: Generator): ByteTest | undefined {
  if (testsForZero("i32", g.next)) return { mnemonic: "Cmp", value: 0, condition: "ne", instructions: 0 };
  const value = g.next?.opcode.name === "i32.const" ? g.next.index : -1;
  if (value < 0 || value > 0x7f) return undefined;
  const name = g.ahead(2)?.opcode.name;
  if (name === "i32.eq") return { mnemonic: "Cmp", value, condition: "e", instructions: 2 };
  if (name === "i32.ne") return { mnemonic: "Cmp", value, condition: "ne", instructions: 2 };
  if (name !== "i32.and" || !testsForZero("i32", g.ahead(3))) return undefined;
  return { mnemonic: "Test", value, condition: "ne", instructions: 2 };
}

function load(name: string): Handler {
  const type = typeOf(name);
  const bits = bitsOf(name);
  const signed = name.endsWith("_s");
  return (g, { index: offset }) => {
    const { operands } = g;
    const address = operands.pop();
    if (bits === sizeOf(type) && usedFromMemory(g, type)) {
      operands.pushMemory(type, g.memory(address, offset), address);
      return;
    }
    const test = bits === 8 && type === "i32" && !signed ? byteTest(g) : undefined;
    if (test !== undefined) {
      g.a.op(test.mnemonic, 8, g.memory(address, offset), test.value);
      operands.free(address);
      operands.pushFlags(test.condition, g.wish());
      for (let n = test.instructions; n > 0; n--) g.skipNext();
      return;
    }
    const wanted = g.destination();
    const memory = g.memory(address, offset);
    const to = wanted ?? g.wish() ?? (address.place === "register" ? address.index : operands.allocate());
    emitLoad(g, to, memory, bits, type, signed);
    if (operands.registerNow(address) !== to) operands.free(address);
    operands.pushRegister(type, to);
  };
}

function store(name: string): Handler {
  const bits = bitsOf(name);
  return (g, { index: offset }) => {
    const { operands, a } = g;
    const value = operands.pop();
    const address = operands.pop();
    const memory = g.memory(address, offset);
    let source = operands.source(value);
    if (typeof source === "number") source = truncated(source, bits);
    else if (!(source instanceof R)) source = r(operands.register(value));
    a.op("Mov", bits, memory, source);
    operands.free(value);
    operands.free(address);
  };
}

/** A constant as a signed number of so many bits, as an immediate is written. */
const truncated = (value: number, bits: Size): number =>
  bits === 64 ? value : Number(BigInt.asIntN(bits, BigInt(value)));

function atomicStore(name: string): Handler {
  const bits = bitsOf(name);
  return (g, { index: offset }) => {
    const { operands, a } = g;
    const value = operands.pop();
    const address = operands.pop();
    const memory = g.memory(address, offset);
    const reg = operands.own(value);
    a.op("Xchg", bits, memory, r(reg));
    operands.free(value);
    operands.free(address);
  };
}

/** Narrow atomic results are zero-extended. */
function widen(g: Generator, reg: Reg, bits: Size): void {
  if (bits === 8 || bits === 16) g.a.extend("Movzx", 32, bits, r(reg), r(reg));
}

/** rmw.add, sub and xchg give the old value by one instruction. */
function exchange(name: string, operation: "add" | "sub" | "xchg"): Handler {
  const type = typeOf(name);
  const bits = bitsOf(name);
  return (g, { index: offset }) => {
    const { operands, a } = g;
    if (operation !== "xchg" && g.next?.opcode.name === "drop") {
      modify(g, operation === "add" ? "Add" : "Sub", bits, offset);
      return;
    }
    const value = operands.pop();
    const address = operands.pop();
    const memory = g.memory(address, offset);
    const reg = operands.own(value);
    if (operation === "sub") a.op("Neg", bits, r(reg));
    if (operation === "xchg") a.op("Xchg", bits, memory, r(reg));
    else a.op("Xadd", bits, memory, r(reg), true);
    widen(g, reg, bits);
    operands.free(address);
    operands.pushRegister(type, reg);
  };
}

/** The old value is dropped: LOCK ADD, SUB, AND, OR, XOR. */
function modify(g: Generator, mnemonic: string, bits: Size, offset: number): void {
  const { operands, a } = g;
  const value = operands.pop();
  const address = operands.pop();
  const memory = g.memory(address, offset);
  let source = operands.source(value);
  if (typeof source === "number") source = truncated(source, bits);
  else if (!(source instanceof R)) source = r(operands.register(value));
  a.op(mnemonic, bits, memory, source, true);
  operands.free(value);
  operands.free(address);
  g.skipNext();
}

function logical(name: string, mnemonic: "And" | "Or" | "Xor"): Handler {
  const type = typeOf(name);
  const bits = bitsOf(name);
  const size = bits === 64 ? 64 : 32;
  return (g, { index: offset }) => {
    const { operands, a } = g;
    if (g.next?.opcode.name === "drop") {
      modify(g, mnemonic, bits, offset);
      return;
    }
    const value = operands.pop();
    const address = operands.pop();
    if (operands.registerNow(value) === RAX) operands.own(value, [RAX]);
    if (operands.registerNow(address) === RAX) operands.own(address, [RAX]);
    operands.claim(RAX);
    const operand = r(operands.register(value));
    const memory = g.memory(address, offset);
    const changed = operands.allocate();
    const again = new Label();
    a.op("Mov", bits, r(RAX), memory);
    a.bind(again);
    a.op("Mov", size, r(changed), r(RAX));
    a.op(mnemonic, size, r(changed), operand);
    a.op("Cmpxchg", bits, memory, r(changed), true);
    a.jumpIf("ne", again);
    widen(g, RAX, bits);
    operands.freeRegister(changed);
    operands.free(value);
    operands.free(address);
    operands.pushRegister(type, RAX);
  };
}

function compareExchange(name: string): Handler {
  const type = typeOf(name);
  const bits = bitsOf(name);
  return (g, { index: offset }) => {
    const { operands, a } = g;
    const replacement = operands.pop();
    const expected = operands.pop();
    const address = operands.pop();
    for (const value of [replacement, address])
      if (operands.registerNow(value) === RAX) operands.own(value, [RAX]);
    if (operands.registerNow(expected) !== RAX) {
      operands.claim(RAX);
      operands.move(RAX, expected);
      operands.free(expected);
    }
    const reg = operands.register(replacement);
    a.op("Cmpxchg", bits, g.memory(address, offset), r(reg), true);
    widen(g, RAX, bits);
    operands.free(replacement);
    operands.free(address);
    operands.pushRegister(type, RAX);
  };
}

/** The handler of an instruction that accesses memory, by its name. */
function handlerOf(name: string): Handler {
  if (!name.includes("atomic")) return name.includes("load") ? load(name) : store(name);
  if (name.includes("atomic.load")) return load(name);
  if (name.includes("atomic.store")) return atomicStore(name);
  const operation = name.split(".").at(-1)!.replace("_u", "");
  switch (operation) {
    case "add":
    case "sub":
    case "xchg":
      return exchange(name, operation);
    case "and":
      return logical(name, "And");
    case "or":
      return logical(name, "Or");
    case "xor":
      return logical(name, "Xor");
    case "cmpxchg":
      return compareExchange(name);
    default:
      throw new Error(`no atomic operation ${name}`);
  }
}

const inPlace: Readonly<Record<string, string>> = {
  add: "Add",
  sub: "Sub",
  and: "And",
  or: "Or",
  xor: "Xor",
};

/** Local or constant, the same again, load, operand, operation, store to the same place: one instruction on memory. */
export function modifyInMemory(g: Generator): boolean {
  const [address, again, load, operand, operation, store] = [0, 1, 2, 3, 4, 5].map((n) => g.ahead(n));
  if (store === undefined || again!.opcode.name !== address!.opcode.name || again!.index !== address!.index)
    return false;
  const [type, name] = operation!.opcode.name.split(".");
  const mnemonic = inPlace[name!];
  const bytes = store.opcode.bytes;
  if (mnemonic === undefined || !store.opcode.name.startsWith(`${type}.store`)) return false;
  if (!load!.opcode.name.startsWith(`${type}.load`) || load!.opcode.bytes !== bytes) return false;
  if (load!.index !== store.index) return false;
  const { operands, a } = g;
  const isConstant = operand!.opcode.name === `${type}.const`;
  if (!isConstant && operand!.opcode.name !== "local.get") return false;
  if (address!.opcode.name === "local.get") g.localGet();
  else operands.pushConstant("i32", BigInt(address!.index));
  const base = operands.pop();
  const value = pushOperand(g, 3);
  const bits = (bytes! * 8) as Size;
  const memory = g.memory(base, store.index);
  let source = operands.source(value);
  if (typeof source === "number") source = truncated(source, bits);
  else if (!(source instanceof R)) source = r(operands.register(value));
  a.op(mnemonic, bits, memory, source);
  operands.free(base);
  operands.free(value);
  for (let n = 5; n > 0; n--) g.skipNext();
  return true;
}

/** The constant or local that is read so many instructions on. */
function pushOperand(g: Generator, ahead: number): Value {
  const { opcode, index, wide } = g.ahead(ahead)!;
  if (opcode.name === "local.get") g.localGet(ahead);
  else if (opcode.name === "i32.const") g.operands.pushConstant("i32", BigInt(index));
  else g.operands.pushConstant("i64", wide);
  return g.operands.pop();
}

/** global, operand, operation, the same global set: one instruction on memory. */
export function modifyGlobal(g: Generator): boolean {
  const [global, operand, operation, set] = [0, 1, 2, 3].map((n) => g.ahead(n));
  if (set?.opcode.name !== "global.set" || set.index !== global!.index) return false;
  const { type } = g.module.globals[global!.index]!;
  const mnemonic = inPlace[operation!.opcode.name.slice(4)];
  if (mnemonic === undefined || !operation!.opcode.name.startsWith(`${type}.`)) return false;
  if (operand!.opcode.name !== `${type}.const` && operand!.opcode.name !== "local.get") return false;
  const { operands, a } = g;
  const value = pushOperand(g, 1);
  let source = operands.source(value);
  if (typeof source !== "number" && !(source instanceof R)) source = r(operands.register(value));
  a.op(mnemonic, sizeOf(type), g.symbolMemory(symbolOf.global(global!.index)), source);
  operands.free(value);
  for (let n = 3; n > 0; n--) g.skipNext();
  return true;
}

const accesses = [...opcodeNamed.values()].filter(({ immediate }) => immediate === "memory");

export const access: Record<string, Handler> = {
  ...Object.fromEntries(accesses.map(({ name }) => [name, handlerOf(name)])),
  "atomic.fence": (g) => g.a.plain("Mfence"),
};
