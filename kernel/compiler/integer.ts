// Integer instructions: how each wasm operation becomes x86-64. Semantics of the corner cases: WebAssembly
// core specification 1.0, chapter 4.3.2. Division by zero and INT_MIN / -1 raise #DE, as the processor does
// by itself.
import { testsForZero } from "./access.js";
import { type Condition, fits32, inverse, Label, R, RAX, RCX, RDX, type Reg, r } from "./assembler.js";
import { test } from "./control.js";
import type { Generator, Handler } from "./generate.js";
import { sizeOf, type Value } from "./operands.js";
import type { ValueType } from "./wasm.js";

type Arithmetic = "Add" | "Sub" | "And" | "Or" | "Xor" | "Imul";

/** Where the result goes: the local that is set next, an operand's own register, or a new one. */
function resultRegister(g: Generator, left: Value, right: Value): Reg {
  const { operands } = g;
  const wanted = g.destination();
  if (wanted !== undefined && !operands.reads(right, wanted)) return wanted;
  if (wanted === undefined && left.place === "register") return operands.own(left);
  return g.allocate();
}

/** The lower half is all that is wanted of a result, and all that it is made of: the constant's lower half does. */
function lowerHalf(right: Value): Value {
  return right.place === "constant" ? { ...right, constant: BigInt.asIntN(32, right.constant) } : right;
}

function binary(mnemonic: Arithmetic, written: ValueType): Handler {
  const commutes = mnemonic !== "Sub";
  return (g) => {
    const { operands, a } = g;
    let right = operands.pop();
    let left = operands.pop();
    if (mnemonic === "And" && testOnly(g, written, left, right)) return;
    const halved = written === "i64" && g.next?.opcode.name === "i32.wrap_i64";
    const type = halved ? "i32" : written;
    const size = sizeOf(type);
    if (halved) {
      g.skipNext();
      right = lowerHalf(right);
    }
    const wanted = g.destination();
    const swap =
      left.place === "constant" ||
      (wanted !== undefined && operands.reads(right, wanted)) ||
      (wanted === undefined && left.place !== "register" && right.place === "register");
    if (commutes && swap) [left, right] = [right, left];
    const source = operands.source(right);
    if (shortForm(g, mnemonic, type, left, right)) return;
    const to = resultRegister(g, left, right);
    const low = mnemonic === "And" ? lowBits(right) : undefined;
    const from = operands.registerNow(left);
    if (low !== undefined && from !== undefined) a.extend("Movzx", 32, low, r(to), r(from));
    else if (mnemonic === "Imul" && typeof source === "number") {
      a.multiply(size, r(to), operands.memory(left) ?? r(operands.register(left)), source);
    } else {
      operands.move(to, left);
      a.op(mnemonic, size, r(to), source);
    }
    if (operands.registerNow(left) !== to) operands.free(left);
    operands.free(right);
    operands.pushRegister(type, to);
  };
}

/** The width of the low part that a mask leaves, if MOVZX does it. */
function lowBits(mask: Value): 8 | 16 | undefined {
  if (mask.place !== "constant") return undefined;
  return mask.constant === 0xffn ? 8 : mask.constant === 0xffffn ? 16 : undefined;
}

/** LEA for a sum that goes to a third register. */
function shortForm(g: Generator, mnemonic: Arithmetic, type: ValueType, left: Value, right: Value): boolean {
  if (mnemonic !== "Add" && mnemonic !== "Sub") return false;
  const { operands, a } = g;
  const base = operands.registerNow(left);
  if (base === undefined) return false;
  const wanted = g.destination();
  if (wanted === base || (wanted === undefined && left.place === "register")) return false;
  const memory = leaOperand(g, mnemonic, base, right);
  if (memory === undefined) return false;
  const to = wanted ?? g.allocate();
  a.op("Lea", sizeOf(type), r(to), memory);
  operands.free(left);
  operands.free(right);
  operands.pushRegister(type, to);
  return true;
}

function leaOperand(g: Generator, mnemonic: Arithmetic, base: Reg, right: Value) {
  if (right.place === "constant") {
    const value = mnemonic === "Add" ? right.constant : -right.constant;
    if (value < -0x8000_0000n || value > 0x7fff_ffffn) return undefined;
    return { base, displacement: Number(value) };
  }
  const index = g.operands.registerNow(right);
  return mnemonic === "Add" && index !== undefined ? { base, index } : undefined;
}

/** AND whose result is only compared with zero is a TEST. */
function testOnly(g: Generator, type: ValueType, left: Value, right: Value): boolean {
  if (!testsForZero(type, g.next)) return false;
  const { operands, a } = g;
  const size = sizeOf(type);
  if (left.place === "constant") return false;
  const source = operands.source(right);
  if (source instanceof R || typeof source === "number")
    a.op("Test", size, operands.memory(left) ?? r(operands.register(left)), source);
  else a.op("Test", size, r(operands.register(left)), source);
  operands.free(left);
  operands.free(right);
  if (type === "i64") {
    g.skipNext(); // the i64.eqz is done with it
    operands.pushFlags("e");
  } else operands.pushFlags("ne");
  return true;
}

/** Conditions as they read with the operands exchanged. */
const mirrored: Partial<Record<Condition, Condition>> = {
  e: "e",
  ne: "ne",
  b: "a",
  a: "b",
  be: "ae",
  ae: "be",
  l: "g",
  g: "l",
  le: "ge",
  ge: "le",
};

function compare(condition: Condition, type: ValueType): Handler {
  const size = sizeOf(type);
  return (g) => {
    const { operands, a } = g;
    let right = operands.pop();
    let left = operands.pop();
    let meaning = condition;
    if (left.place === "constant" && right.place !== "constant") {
      [left, right] = [right, left];
      meaning = mirrored[condition]!;
    }
    const source = operands.source(right);
    if (source === 0 && operands.memory(left) === undefined) {
      const reg = r(operands.register(left));
      a.op("Test", size, reg, reg);
    } else if (source instanceof R || typeof source === "number")
      a.op("Cmp", size, operands.memory(left) ?? r(operands.register(left)), source);
    else a.op("Cmp", size, r(operands.register(left)), source);
    operands.free(left);
    operands.free(right);
    operands.pushFlags(meaning, g.wish());
  };
}

function equalsZero(type: ValueType): Handler {
  return (g) => {
    const { operands } = g;
    const value = operands.pop();
    if (value.place === "decided") operands.pushDecided();
    else if (value.place === "flags") operands.pushFlags(inverse(value.condition), g.wish());
    else if (type === "i32") operands.pushFlags(inverse(test(g, value)), g.wish());
    else {
      const memory = operands.memory(value);
      const reg = memory === undefined ? operands.register(value) : 0;
      if (memory !== undefined) g.a.op("Cmp", 64, memory, 0);
      else g.a.op("Test", 64, r(reg), r(reg));
      operands.free(value);
      operands.pushFlags("e", g.wish());
    }
  };
}

function shift(mnemonic: "Shl" | "Shr" | "Sar" | "Rol" | "Ror", type: ValueType): Handler {
  const size = sizeOf(type);
  return (g) => {
    const { operands, a } = g;
    const count = operands.pop();
    const value = operands.pop();
    if (count.place === "constant") {
      const by = Number(BigInt.asUintN(size === 32 ? 5 : 6, count.constant));
      if (mnemonic === "Shl" && by >= 1 && by <= 3 && scaled(g, type, value, by)) return;
      const to = resultRegister(g, value, count);
      operands.move(to, value);
      if (by !== 0) a.shift(mnemonic, size, r(to), by);
      if (operands.registerNow(value) !== to) operands.free(value);
      operands.pushRegister(type, to);
      return;
    }
    let wanted = g.destination();
    if (wanted !== undefined && operands.registerNow(count) === wanted) wanted = undefined;
    // The value must not be in RCX when the count arrives there.
    if (operands.registerNow(value) === RCX) operands.own(value, [RCX]);
    takeCount(g, count);
    const to = wanted ?? operands.own(value, [RCX]);
    operands.move(to, value);
    a.shift(mnemonic, size, r(to));
    if (operands.registerNow(value) !== to) operands.free(value);
    operands.freeRegister(RCX);
    operands.pushRegister(type, to);
  };
}

/** LEA for a small multiple that is added to something, or goes to another register. */
function scaled(g: Generator, type: ValueType, value: Value, by: number): boolean {
  const { operands, a } = g;
  const index = operands.registerNow(value);
  if (index === undefined) return false;
  const multiple = { index, scale: by === 1 ? 2 : by === 2 ? 4 : 8 } as const;
  const { top } = operands;
  const plus = (ahead: number) => g.ahead(ahead)?.opcode.name === `${type}.add`;
  const offset =
    g.next?.opcode.name === "i32.const" && plus(2) && fits32(g.next.index) ? g.next.index : undefined;
  const base = plus(1) && top !== undefined ? operands.registerNow(top) : undefined;
  if (base !== undefined) {
    g.skipNext();
    const left = operands.pop();
    const own = [left, value].find(({ place }) => place === "register")?.index;
    const to = g.destination() ?? own ?? g.allocate();
    a.op("Lea", sizeOf(type), r(to), { base, ...multiple });
    for (const used of [left, value]) if (operands.registerNow(used) !== to) operands.free(used);
    operands.pushRegister(type, to);
    return true;
  }
  if (offset !== undefined) {
    g.skipNext();
    g.skipNext();
  } else if (g.destination() === index || (g.destination() === undefined && value.place === "register"))
    return false;
  const to = g.destination() ?? (value.place === "register" ? index : g.allocate());
  a.op("Lea", sizeOf(type), r(to), { ...multiple, displacement: offset ?? 0 });
  if (to !== index) operands.free(value);
  operands.pushRegister(type, to);
  return true;
}

/** Brings a shift count to RCX and takes that register. */
function takeCount(g: Generator, count: Value): void {
  const { operands } = g;
  if (count.place !== "register" || count.index !== RCX) {
    operands.claim(RCX);
    operands.move(RCX, count);
    operands.free(count);
  }
}

function divide(type: ValueType, signed: boolean, wantsRemainder: boolean): Handler {
  const size = sizeOf(type);
  return (g) => {
    const { operands, a } = g;
    const divisor = operands.pop();
    const dividend = operands.pop();
    const held = operands.registerNow(divisor);
    if (held === RAX || held === RDX || divisor.place === "constant") operands.own(divisor, [RAX, RDX]);
    const from = operands.registerNow(dividend);
    if (from !== RAX) {
      if (from !== RDX) operands.claim(RDX);
      operands.claim(RAX);
      operands.move(RAX, dividend);
      if (from !== RDX) operands.free(dividend);
    } else operands.claim(RDX);
    const by = operands.memory(divisor) ?? r(operands.register(divisor));
    const done = new Label();
    if (signed && wantsRemainder) {
      // INT_MIN % -1 is 0, but IDIV would raise #DE: any remainder by -1 is 0.
      const divides = new Label();
      a.op("Cmp", size, by, -1);
      a.jumpIf("ne", divides);
      a.op("Xor", 32, r(RDX), r(RDX));
      a.jump(done);
      a.bind(divides);
    }
    if (signed) a.plain(size === 32 ? "Cdq" : "Cqo");
    else a.op("Xor", 32, r(RDX), r(RDX));
    a.op(signed ? "Idiv" : "Div", size, by);
    a.bind(done);
    operands.free(divisor);
    operands.freeRegister(wantsRemainder ? RAX : RDX);
    operands.pushRegister(type, wantsRemainder ? RDX : RAX);
  };
}

/** BSR and BSF leave their target alone for 0 only on some processors; so a CMOV chooses. */
function countZeros(mnemonic: "Bsr" | "Bsf", type: ValueType): Handler {
  const size = sizeOf(type);
  return (g) => {
    const { operands, a } = g;
    const value = operands.pop();
    const from = operands.memory(value) ?? r(operands.register(value));
    const to = operands.allocate();
    const forZero = operands.allocate();
    a.constant(r(forZero), mnemonic === "Bsf" ? size : 2 * size - 1);
    a.op(mnemonic, size, r(to), from);
    a.op("Cmove", size, r(to), r(forZero));
    if (mnemonic === "Bsr") a.op("Xor", size, r(to), size - 1);
    operands.free(value);
    operands.freeRegister(forZero);
    operands.pushRegister(type, to);
  };
}

/** Sign extension inside a type, or of i32 to i64. */
function signExtend(from: 8 | 16 | 32, type: ValueType): Handler {
  return (g) => {
    const { operands, a } = g;
    const value = operands.pop();
    const wanted = g.destination();
    const source = operands.memory(value) ?? r(operands.register(value));
    const to = wanted ?? (value.place === "register" ? value.index : g.allocate());
    a.extend(from === 32 ? "Movsxd" : "Movsx", sizeOf(type), from, r(to), source);
    if (operands.registerNow(value) !== to) operands.free(value);
    operands.pushRegister(type, to);
  };
}

/** Between i32 and i64 without a sign: a 32-bit MOV clears the upper half. */
function zeroExtend(to: ValueType): Handler {
  return (g) => {
    const { operands, a } = g;
    const value = operands.pop();
    if (value.place === "constant") {
      operands.pushConstant(to, BigInt.asUintN(32, value.constant));
      return;
    }
    if (to === "i64" && value.place === "register") {
      // Its upper half is zero already.
      operands.pushRegister("i64", value.index);
      return;
    }
    const wanted = g.destination();
    const source = operands.memory(value) ?? r(operands.register(value));
    const target = wanted ?? (value.place === "register" ? value.index : g.allocate());
    a.op("Mov", 32, r(target), source);
    if (operands.registerNow(value) !== target) operands.free(value);
    operands.pushRegister(to, target);
  };
}

const select: Handler = (g) => {
  const { operands, a } = g;
  const condition = operands.pop();
  const otherwise = operands.pop();
  const value = operands.pop();
  const size = sizeOf(value.type);
  // Moves leave the flags alone, so a comparison made before may still be waiting in them.
  const wanted = g.destination();
  const free =
    wanted !== undefined && !operands.reads(otherwise, wanted) && !operands.reads(condition, wanted);
  const to = free ? wanted : operands.own(value);
  if (free) operands.move(to, value);
  const source = operands.memory(otherwise) ?? r(operands.register(otherwise));
  a.op(`Cmov${inverse(test(g, condition))}`, size, r(to), source);
  operands.flagsUsed();
  operands.free(otherwise);
  if (operands.registerNow(value) !== to) operands.free(value);
  operands.pushRegister(value.type, to);
};

const compares: [string, Condition][] = [
  ["eq", "e"],
  ["ne", "ne"],
  ["lt_s", "l"],
  ["lt_u", "b"],
  ["gt_s", "g"],
  ["gt_u", "a"],
  ["le_s", "le"],
  ["le_u", "be"],
  ["ge_s", "ge"],
  ["ge_u", "ae"],
];

function rowsFor(type: ValueType): Record<string, Handler> {
  const rows: Record<string, Handler> = {
    add: binary("Add", type),
    sub: binary("Sub", type),
    mul: binary("Imul", type),
    and: binary("And", type),
    or: binary("Or", type),
    xor: binary("Xor", type),
    shl: shift("Shl", type),
    shr_s: shift("Sar", type),
    shr_u: shift("Shr", type),
    rotl: shift("Rol", type),
    rotr: shift("Ror", type),
    div_s: divide(type, true, false),
    div_u: divide(type, false, false),
    rem_s: divide(type, true, true),
    rem_u: divide(type, false, true),
    eqz: equalsZero(type),
    clz: countZeros("Bsr", type),
    ctz: countZeros("Bsf", type),
    extend8_s: signExtend(8, type),
    extend16_s: signExtend(16, type),
    ...Object.fromEntries(compares.map(([name, condition]) => [name, compare(condition, type)])),
  };
  return Object.fromEntries(Object.entries(rows).map(([name, row]) => [`${type}.${name}`, row]));
}

export const integer: Record<string, Handler> = {
  ...rowsFor("i32"),
  ...rowsFor("i64"),
  "i32.wrap_i64": zeroExtend("i32"),
  "i64.extend_i32_u": zeroExtend("i64"),
  "i64.extend_i32_s": signExtend(32, "i64"),
  "i64.extend32_s": signExtend(32, "i64"),
  select,
};
