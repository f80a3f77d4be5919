// Calls between generated functions: arguments in RDI RSI RDX RCX R8 R9, then on the stack; result in RAX;
// RBX, RBP and R12 to R15 are preserved. An import is code in place of the call, or a stub's call.
import { fits32, R8, R9, R10, R11, RAX, RCX, RDI, RDX, type Reg, RSI, RSP, r } from "./assembler.js";
import type { Generator, Handler } from "./generate.js";
import type { Intrinsic } from "./intrinsics.js";
import { symbolOf } from "./symbols.js";
import type { Instruction, Signature, WasmModule } from "./wasm.js";
import type { Taken } from "./wishes.js";

export const argumentRegisters: readonly Reg[] = [RDI, RSI, RDX, RCX, R8, R9];
const changedByCalls: readonly Reg[] = [RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11];
const callsHelper = new Set(["call_indirect", "memory.copy", "memory.fill", "i32.popcnt", "i64.popcnt"]);
const registersOf = (intrinsic: Intrinsic): Reg[] => [...intrinsic.arguments, ...intrinsic.changes, RAX];

/** What code is made for. */
type Context = Pick<Generator, "module" | "target">;

/** Registers that an instruction changes which may hold locals. */
export function clobbersOf(g: Context, { opcode: { name }, index }: Instruction): readonly Reg[] {
  if (callsHelper.has(name)) return changedByCalls;
  if (name !== "call") return [];
  const entry = g.module.imports[index];
  const intrinsic = entry === undefined ? undefined : g.target.intrinsics.get(entry.name);
  return intrinsic?.code === undefined ? changedByCalls : registersOf(intrinsic);
}

/** What an instruction takes if it is a call, and where. */
export function takenBy(
  { module, target }: Context,
  { opcode: { name }, index }: Instruction,
): Taken | undefined {
  if (name === "memory.copy" || name === "memory.fill")
    return { count: 3, registers: argumentRegisters, gives: false };
  if (name !== "call" && name !== "call_indirect") return undefined;
  const entry = name === "call" ? module.imports[index] : undefined;
  const called = module.functions[index - module.imports.length];
  const { parameters, result } = name === "call" ? (entry ?? called!).signature : module.types[index]!;
  const intrinsic = entry === undefined ? undefined : target.intrinsics.get(entry.name);
  const registers = intrinsic?.code === undefined ? argumentRegisters : intrinsic.arguments;
  // The table's index lies above the arguments.
  const count = parameters.length + (name === "call_indirect" ? 1 : 0);
  return { count, registers: registers.slice(0, parameters.length), gives: result !== undefined };
}

/** Everything of a call but the CALL itself. */
export function callWith(g: Generator, signature: Signature, emitCall: () => void): void {
  const { operands, a } = g;
  const count = signature.parameters.length;
  const base = operands.stack.length - count;
  operands.spillRegisters(base, changedByCalls);
  // What PUSH cannot take goes to a register while the others may still be spilled.
  for (const value of operands.stack.slice(base + argumentRegisters.length))
    if (value.place === "constant" && !fits32(value.constant)) operands.own(value);
  const values = operands.stack.splice(base, count);
  const onStack = values.slice(argumentRegisters.length);
  for (const value of [...onStack].reverse()) {
    // The callee reads 32 bits of an i32, so what stands above them does not matter.
    const source = operands.source(value);
    a.op(typeof source === "number" ? "Pushq" : "Push", 64, source);
    operands.free(value);
    operands.passed++;
  }
  operands.transfer(values.slice(0, argumentRegisters.length), argumentRegisters);
  emitCall();
  operands.passed = 0;
  if (onStack.length > 0) a.op("Add", 64, r(RSP), 8 * onStack.length);
  if (signature.result !== undefined) operands.pushRegister(signature.result, RAX);
}

function call(g: Generator, index: number): void {
  const entry = g.module.imports[index];
  if (entry === undefined) {
    const callee = g.module.functions[index - g.module.imports.length]!;
    callWith(g, callee.signature, () => g.a.call(symbolOf.function(index)));
    return;
  }
  const { module, name, signature } = entry;
  const intrinsic = g.target.intrinsics.get(name);
  if (intrinsic === undefined)
    throw new Error(`function ${g.f.name}: import ${module}.${name} is not one of the intrinsics`);
  const letter = (type: string) => (type === "i32" ? "i" : "I");
  const results = signature.result === undefined ? "" : letter(signature.result);
  const type = `${signature.parameters.map(letter).join("")}>${results}`;
  if (type !== intrinsic.type)
    throw new Error(`import ${module}.${name} is declared as ${type}, the intrinsic is ${intrinsic.type}`);
  const { stub } = intrinsic;
  if (stub !== undefined) callWith(g, signature, () => g.a.call(stub));
  else inline(g, intrinsic, signature);
}

function inline(g: Generator, intrinsic: Intrinsic, signature: Signature): void {
  const { operands, a } = g;
  const count = signature.parameters.length;
  const values = operands.stack.splice(operands.stack.length - count, count);
  // Values that stay must leave the registers that the code changes.
  operands.spillRegisters(operands.stack.length, registersOf(intrinsic));
  operands.transfer(values, intrinsic.arguments);
  const to = intrinsic.anywhere ? (g.destination() ?? g.allocate()) : RAX;
  intrinsic.code!(a, g.target, to);
  if (signature.result !== undefined) operands.pushRegister(signature.result, to);
}

function callIndirect(g: Generator, typeIndex: number): void {
  const signature = g.module.types[typeIndex]!;
  const { operands, a } = g;
  const { base } = g.target;
  // The index is the topmost operand; it stays in a register that carries no argument.
  const index = operands.own(operands.pop(), argumentRegisters);
  a.op("Cmp", 32, r(index), g.module.table.length);
  a.jumpIf("ae", g.trap);
  const entry = { ...g.symbolMemory(symbolOf.table), index, scale: 8 } as const;
  a.op("Cmp", 32, { ...entry, displacement: 4 }, canonicalType(g.module, signature));
  a.jumpIf("ne", g.trap);
  callWith(g, signature, () => {
    a.op("Mov", 32, r(index), entry);
    if (base !== undefined) a.op("Add", 64, r(index), r(base));
    a.op("Call", 64, r(index));
    operands.freeRegister(index);
  });
}

/** Equal signatures have equal numbers. */
export function canonicalType(module: WasmModule, signature: Signature): number {
  const key = JSON.stringify(signature);
  return module.types.findIndex((type) => JSON.stringify(type) === key);
}

const helper = (symbol: string, signature: Signature): Handler => {
  return (g) => callWith(g, signature, () => g.a.call(symbol));
};
const block: Signature = { parameters: ["i32", "i32", "i32"], result: undefined };

export const calls: Record<string, Handler> = {
  call: (g, { index }) => call(g, index),
  call_indirect: (g, { index }) => callIndirect(g, index),
  "memory.copy": helper(symbolOf.memoryCopy, block),
  "memory.fill": helper(symbolOf.memoryFill, block),
  "i32.popcnt": helper(symbolOf.popcount, { parameters: ["i32"], result: "i32" }),
  "i64.popcnt": helper(symbolOf.popcount, { parameters: ["i64"], result: "i64" }),
};
