// Locals, globals and constants. A read of a local or a constant costs nothing here: it is done where the value
// is used.

import { modifyGlobal, modifyInMemory, usedFromMemory } from "./access.js";
import { R, r } from "./assembler.js";
import type { Generator, Handler } from "./generate.js";
import { sizeOf } from "./operands.js";
import { symbolOf } from "./symbols.js";
import type { Instruction } from "./wasm.js";

const branches = new Set(["br_if", "if", "i32.eqz", "select"]);
const asks = (next: Instruction | undefined) => next !== undefined && branches.has(next.opcode.name);

/** local.set, or local.tee when `keep`: the value is then the local's. */
function localSet(g: Generator, keep: boolean): void {
  const { operands, a } = g;
  const home = g.plan.homes.get(g.at);
  if (home === undefined) {
    // Nothing reads it.
    if (!keep) operands.free(operands.pop());
    return;
  }
  const value = operands.pop();
  const { type } = value;
  if (keep && value.place === "flags" && "register" in home && asks(g.next)) {
    // The local gets its number, and the branch that comes next still takes the flags.
    operands.copyReadsOf(home);
    operands.move(home.register, value);
    operands.stack.push(value);
    return;
  }
  if (value.place !== "local" || value.home !== home) {
    operands.copyReadsOf(home);
    const place = operands.place(home);
    if (typeof place === "number") operands.move(place, value);
    else {
      const source = operands.memory(value) === undefined ? operands.source(value) : undefined;
      a.op("Mov", sizeOf(type), place, source ?? r(operands.register(value)));
    }
    operands.free(value);
  }
  if (keep) operands.pushLocal(type, home);
}

function globalSet(g: Generator, index: number): void {
  const value = g.operands.pop();
  const memory = g.symbolMemory(symbolOf.global(index));
  const source = g.operands.source(value);
  const simple = typeof source === "number" || source instanceof R;
  g.a.op("Mov", sizeOf(value.type), memory, simple ? source : r(g.operands.register(value)));
  g.operands.free(value);
}

function globalGet(g: Generator, index: number): void {
  if (modifyGlobal(g)) return;
  const { type } = g.module.globals[index]!;
  const memory = g.symbolMemory(symbolOf.global(index));
  if (usedFromMemory(g, type)) {
    g.operands.pushMemory(type, memory);
    return;
  }
  const to = g.destination() ?? g.allocate();
  g.a.op("Mov", sizeOf(type), r(to), memory);
  g.operands.pushRegister(type, to);
}

export const variables: Record<string, Handler> = {
  "local.get": (g) => {
    if (!modifyInMemory(g)) g.localGet();
  },
  "local.set": (g) => localSet(g, false),
  "local.tee": (g) => localSet(g, true),
  "global.get": (g, { index }) => globalGet(g, index),
  "global.set": (g, { index }) => globalSet(g, index),
  "i32.const": (g, { index }) => {
    if (!modifyInMemory(g)) g.operands.pushConstant("i32", BigInt(index));
  },
  "i64.const": (g, { wide }) => g.operands.pushConstant("i64", wide),
  drop: (g) => g.operands.free(g.operands.pop()),
};
