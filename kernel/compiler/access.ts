// Loads, stores and atomic operations. Every plain access is one MOV; an atomic read-modify-write is one
// LOCKed instruction, or a CMPXCHG loop where the old value of an AND, OR or XOR is wanted. An atomic store
// is an XCHG, which orders it before later loads (Intel SDM volume 3, 8.2).
import { Label, type Memory, R, RAX, type Reg, r, type Size } from "./assembler.js";
import type { Generator, Handler } from "./generate.js";
import { opcodeNamed } from "./opcodes.js";
import { sizeOf } from "./operands.js";
import { symbolOf } from "./symbols.js";
import type { ValueType } from "./wasm.js";

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

function load(name: string): Handler {
  const type = typeOf(name);
  const bits = bitsOf(name);
  const signed = name.endsWith("_s");
  return (g, { index: offset }) => {
    const { operands } = g;
    const address = operands.pop();
    const wanted = g.destination();
    const memory = g.memory(address, offset);
    const to = wanted ?? (address.place === "register" ? address.index : operands.allocate());
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

const block = (symbol: string): Handler => {
  const signature = { parameters: ["i32", "i32", "i32"], result: undefined } as const;
  return (g) => g.callWith(signature, () => g.a.call(symbol));
};

const accesses = [...opcodeNamed.values()].filter(({ immediate }) => immediate === "memory");

export const access: Record<string, Handler> = {
  ...Object.fromEntries(accesses.map(({ name }) => [name, handlerOf(name)])),
  "memory.copy": block(symbolOf.memoryCopy),
  "memory.fill": block(symbolOf.memoryFill),
  "atomic.fence": (g) => g.a.plain("Mfence"),
};
