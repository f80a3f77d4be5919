// Generates x86-64 code for one wasm function in one pass: control flow, calls and variables. The other
// instructions are rows of integer.ts and access.ts.
//
// Calls between generated functions: arguments in RDI RSI RDX RCX R8 R9, then on the stack; result in RAX;
// RBX and R12 to R15 are preserved; RBP is the frame pointer, so a panic can walk the frames. Where control
// flow joins, a block's result is in RAX and everything below it is in the frame.
import { access } from "./access.js";
import {
  Assembler,
  type Chunk,
  fits32,
  inverse,
  join,
  Label,
  type Memory,
  R,
  R8,
  R9,
  R10,
  R11,
  R12,
  R13,
  R14,
  R15,
  RAX,
  RBP,
  RBX,
  RCX,
  RDI,
  RDX,
  type Reg,
  RSI,
  RSP,
  r,
} from "./assembler.js";
import { isWrite } from "./flow.js";
import { integer } from "./integer.js";
import type { Intrinsic } from "./intrinsics.js";
import { type Clobber, type Home, type LocalPlan, planLocals } from "./locals.js";
import { type Move, moveAll, Operands, sizeOf, type Value } from "./operands.js";
import { symbolOf } from "./symbols.js";
import type { Instruction, Signature, ValueType, WasmFunction, WasmModule } from "./wasm.js";

export const argumentRegisters: readonly Reg[] = [RDI, RSI, RDX, RCX, R8, R9];

/** What differs between the kernel and a user program. */
export interface Target {
  /** Holds the virtual address of wasm address 0; undefined when that is 0. */
  readonly base: Reg | undefined;
  readonly intrinsics: ReadonlyMap<string, Intrinsic>;
}

export type Handler = (g: Generator, instruction: Instruction) => void;

interface Block {
  readonly kind: "function" | "block" | "loop" | "if";
  readonly result: ValueType | undefined;
  readonly height: number;
  readonly label: Label;
  readonly otherwise: Label | undefined;
}

/** Instructions that take a comparison from the flags; before all others it is put into a register. */
const readFlags = new Set(["br_if", "if", "select", "i32.eqz", "drop"]);

/** A jump table of up to this many labels is a chain of comparisons. */
const chainLength = 4;

export class Generator {
  readonly a = new Assembler();
  readonly operands: Operands;
  readonly target: Target;
  readonly module: WasmModule;
  readonly f: WasmFunction;
  readonly #plan: LocalPlan;
  readonly #blocks: Block[] = [];
  readonly #trap = new Label();
  #reachable = true;
  /** Depth of blocks inside code that is skipped as unreachable. */
  #skipped = 0;
  #at = 0;
  readonly #jumpTables: { name: string; labels: string[] }[] = [];

  constructor(module: WasmModule, f: WasmFunction, target: Target) {
    this.module = module;
    this.f = f;
    this.target = target;
    const preserved = target.base === R15 ? [RBX, R12, R13, R14] : [RBX, R12, R13, R14, R15];
    this.#plan = planLocals(f, preserved, argumentRegisters, this.#clobbers());
    this.operands = new Operands(this.a, this.#plan);
  }

  /** The function's code, and its jump tables. */
  generate(): Chunk[] {
    this.#blocks.push({
      kind: "function",
      result: this.f.signature.result,
      height: 0,
      label: new Label(),
      otherwise: undefined,
    });
    for (this.#at = 0; this.#at < this.f.body.length; this.#at++) this.#step(this.f.body[this.#at]!);
    if (this.#blocks.length > 0) throw new Error(`function ${this.f.name}: blocks are left open`);
    if (this.#trap.uses > 0) {
      this.a.bind(this.#trap);
      this.a.plain("Ud2");
    }
    const name = symbolOf.function(this.f.index);
    const code = join(name, 16, this.#prologue(), this.a.finish(name));
    return [code, ...this.#jumpTables.map(jumpTableChunk)];
  }

  // --- Frame ---

  #prologue(): Chunk {
    const a = new Assembler();
    const { saved, zeroed } = this.#plan;
    a.op("Push", 64, r(RBP));
    a.op("Mov", 64, r(RBP), r(RSP));
    for (const reg of saved) a.op("Push", 64, r(reg));
    if (this.operands.slots > 0) a.op("Sub", 64, r(RSP), 8 * this.operands.slots);
    this.#receive(a);
    for (const { home, type } of zeroed) {
      const place = this.operands.place(home);
      if (typeof place === "number") a.op("Xor", 32, r(place), r(place));
      else a.op("Mov", sizeOf(type), place, 0);
    }
    return a.finish("prologue");
  }

  /** Brings the parameters home: those for the frame first, then the others at once, then those that came
   * on the stack. */
  #receive(a: Assembler): void {
    const moves: Move[] = [];
    const late: (() => void)[] = [];
    this.f.signature.parameters.forEach((type, n) => {
      const home = this.#plan.parameters[n];
      if (home === undefined) return;
      const place = this.operands.place(home);
      const size = sizeOf(type);
      const from = argumentRegisters[n];
      if (from !== undefined) {
        if (typeof place === "number") moves.push({ to: place, from, size });
        else a.op("Mov", size, place, r(from));
        return;
      }
      const passed = { base: RBP, displacement: 16 + 8 * (n - argumentRegisters.length) };
      late.push(() => {
        const through = typeof place === "number" ? place : RAX;
        a.op("Mov", size, r(through), passed);
        if (typeof place !== "number") a.op("Mov", size, place, r(RAX));
      });
    });
    moveAll(a, moves);
    for (const load of late) load();
  }

  #epilogue(): void {
    const { saved } = this.#plan;
    if (this.operands.slots > 0) {
      if (saved.length === 0) {
        this.a.plain("Leaveq", "Retnq");
        return;
      }
      this.a.op("Lea", 64, r(RSP), { base: RBP, displacement: -8 * saved.length });
    }
    for (const reg of [...saved].reverse()) this.a.op("Pop", 64, r(reg));
    this.a.op("Pop", 64, r(RBP));
    this.a.plain("Retnq");
  }

  // --- One instruction ---

  get next(): Instruction | undefined {
    return this.f.body[this.#at + 1];
  }

  /** Leaves out the next instruction, which a handler has done already. */
  skipNext(): void {
    this.#at++;
  }

  #step(instruction: Instruction): void {
    const { name } = instruction.opcode;
    if (!this.#reachable) {
      this.#skip(name, instruction);
      return;
    }
    if (this.operands.top?.place === "flags" && !readFlags.has(name)) this.operands.settle(this.operands.top);
    const handler = handlers[name];
    if (handler === undefined)
      throw new Error(`function ${this.f.name}: no code for ${name} at 0x${instruction.at.toString(16)}`);
    handler(this, instruction);
  }

  #skip(name: string, instruction: Instruction): void {
    if (name === "block" || name === "loop" || name === "if") this.#skipped++;
    else if (name === "end" && this.#skipped > 0) this.#skipped--;
    else if (this.#skipped === 0 && (name === "end" || name === "else")) handlers[name]!(this, instruction);
  }

  /** Register to which the next instruction copies the top of the stack, made safe to write. */
  destination(): Reg | undefined {
    const next = this.next;
    if (next?.opcode.name !== "local.set" && next?.opcode.name !== "local.tee") return undefined;
    const home = this.#plan.homes.get(this.#at + 1);
    if (home === undefined || !("register" in home)) return undefined;
    this.operands.copyReadsOf(home);
    return home.register;
  }

  /** Jumps here stop the processor with an undefined instruction. */
  get trap(): Label {
    return this.#trap;
  }

  unreachable(): void {
    this.#reachable = false;
    this.operands.truncate(this.#blocks.at(-1)!.height);
  }

  /** Memory operand for a wasm address on the stack plus a constant offset, without wrapping at 4 GiB. */
  memory(address: Value, offset: number): Memory {
    const { base } = this.target;
    const based = base === undefined ? {} : { base };
    if (address.place === "constant") {
      const place = Number(BigInt.asUintN(32, address.constant)) + offset;
      if (place <= 0x7fff_ffff) return { ...based, displacement: place };
    }
    let index = this.operands.register(address);
    if (offset > 0x7fff_ffff) {
      const sum = this.operands.allocate();
      this.a.constant(r(sum), offset);
      this.a.op("Add", 64, r(sum), r(index));
      this.operands.free(address);
      address.place = "register";
      address.index = sum;
      index = sum;
      return base === undefined ? { base: index } : { base, index };
    }
    const displacement = offset === 0 ? {} : { displacement: offset };
    return base === undefined ? { base: index, ...displacement } : { base, index, ...displacement };
  }

  symbolMemory(symbol: string): Memory {
    return this.target.base === undefined ? { symbol } : { base: this.target.base, symbol };
  }

  // --- Blocks ---

  enter(kind: "block" | "loop" | "if", instruction: Instruction): void {
    const { operands } = this;
    const condition = kind === "if" ? operands.pop() : undefined;
    const otherwise = kind === "if" ? new Label() : undefined;
    const changed = new Set(
      operands.stack.some(({ place }) => place === "local") ? this.#changedInside() : [],
    );
    operands.stabilise((home) => changed.has("register" in home ? home.register : home));
    if (condition !== undefined) this.#branchUnless(condition, otherwise!);
    const label = new Label();
    if (kind === "loop") this.a.bind(label);
    this.#blocks.push({
      kind,
      result: instruction.result,
      height: operands.stack.length,
      label,
      otherwise,
    });
  }

  /** Registers and homes that the block which begins here may change. */
  #changedInside(): (Reg | Home)[] {
    const changed: (Reg | Home)[] = [];
    let depth = 0;
    for (let at = this.#at; at < this.f.body.length; at++) {
      const instruction = this.f.body[at]!;
      const { name } = instruction.opcode;
      if (name === "block" || name === "loop" || name === "if") depth++;
      else if (name === "end" && --depth === 0) break;
      changed.push(...this.#clobbersOf(instruction));
      const home = isWrite(name) ? this.#plan.homes.get(at) : undefined;
      if (home !== undefined) changed.push("register" in home ? home.register : home);
    }
    return changed;
  }

  #branchUnless(condition: Value, target: Label): void {
    this.a.jumpIf(inverse(this.test(condition)), target);
  }

  /** Brings a condition into the flags; the value is used up. */
  test(condition: Value): "e" | Exclude<Value["condition"], "e"> {
    if (condition.place === "flags") return condition.condition;
    const memory = this.operands.memory(condition);
    if (memory !== undefined) this.a.op("Cmp", 32, memory, 0);
    else {
      const reg = this.operands.register(condition);
      this.a.op("Test", 32, r(reg), r(reg));
    }
    this.operands.free(condition);
    return "ne";
  }

  /** Moves the result of a block to where its end expects it. */
  #deliver(block: Block, value: Value): void {
    this.operands.transfer([value], [RAX]);
    void block;
  }

  otherwise(): void {
    const block = this.#blocks.pop()!;
    if (this.#reachable) {
      if (block.result !== undefined) this.#deliver(block, this.operands.pop());
      this.a.jump(block.label);
    }
    this.operands.truncate(block.height);
    this.a.bind(block.otherwise!);
    this.#blocks.push({ ...block, otherwise: undefined });
    this.#reachable = true;
  }

  end(): void {
    const block = this.#blocks.pop()!;
    const { operands } = this;
    if (block.kind === "loop") {
      if (!this.#reachable) operands.truncate(block.height);
      return;
    }
    const joins = block.label.uses > 0 || block.kind === "function";
    const result = this.#reachable && block.result !== undefined ? operands.pop() : undefined;
    if (!joins && block.otherwise === undefined) {
      if (result !== undefined) operands.stack.push(result);
      else if (!this.#reachable) operands.truncate(block.height);
      return;
    }
    if (result !== undefined) this.#deliver(block, result);
    operands.truncate(block.height);
    if (block.otherwise !== undefined) this.a.bind(block.otherwise);
    const entered = this.#reachable || joins || block.otherwise !== undefined;
    if (block.kind === "function") {
      if (!this.#reachable && block.label.uses === 0) return;
      this.a.bind(block.label);
      this.#epilogue();
      return;
    }
    this.a.bind(block.label);
    this.#reachable = entered;
    if (block.result !== undefined) operands.pushRegister(block.result, RAX);
  }

  #blockAt(depth: number): Block {
    const block = this.#blocks.at(-1 - depth);
    if (block === undefined) throw new Error(`function ${this.f.name}: no block at depth ${depth}`);
    return block;
  }

  branch(depth: number): void {
    const block = this.#blockAt(depth);
    if (block.result !== undefined && block.kind !== "loop") this.#deliver(block, this.operands.pop());
    this.a.jump(block.label);
    this.unreachable();
  }

  branchIf(depth: number): void {
    const block = this.#blockAt(depth);
    const condition = this.operands.pop();
    if (block.result === undefined || block.kind === "loop") {
      this.a.jumpIf(this.test(condition), block.label);
      return;
    }
    // The result stays on the stack when the branch is not taken, so it moves to RAX on both ways.
    const value = this.operands.pop();
    if (condition.place !== "flags" && this.operands.registerNow(condition) === RAX)
      this.operands.own(condition, [RAX]);
    if (this.operands.registerNow(value) !== RAX) {
      this.operands.claim(RAX);
      this.operands.move(RAX, value);
      this.operands.free(value);
    }
    this.operands.pushRegister(block.result, RAX);
    this.a.jumpIf(this.test(condition), block.label);
  }

  branchTable(labels: readonly number[]): void {
    const { operands, a } = this;
    const index = operands.pop();
    const blocks = labels.map((depth) => this.#blockAt(depth));
    const first = blocks[0]!;
    let reg = operands.own(index, [RAX]);
    if (first.result !== undefined && first.kind !== "loop") this.#deliver(first, operands.pop());
    const others = blocks.slice(0, -1);
    const fallback = blocks.at(-1)!;
    if (others.length <= chainLength) {
      others.forEach((block, n) => {
        a.op("Cmp", 32, r(reg), n);
        a.jumpIf("e", block.label);
      });
      a.jump(fallback.label);
    } else {
      a.op("Cmp", 32, r(reg), others.length);
      a.jumpIf("ae", fallback.label);
      const name = `${symbolOf.function(this.f.index)} table ${this.#jumpTables.length}`;
      a.op("Mov", 32, r(reg), { ...this.symbolMemory(name), index: reg, scale: 4 });
      if (this.target.base !== undefined) a.op("Add", 64, r(reg), r(this.target.base));
      a.op("Jmp", 64, r(reg));
      const names = others.map((block, n) => {
        const label = `${name} entry ${n}`;
        a.nameLabel(label, block.label);
        return label;
      });
      this.#jumpTables.push({ name, labels: names });
    }
    operands.freeRegister(reg);
    reg = RAX;
    this.unreachable();
  }

  return(): void {
    const block = this.#blocks[0]!;
    if (block.result !== undefined) this.#deliver(block, this.operands.pop());
    this.a.jump(block.label);
    this.unreachable();
  }

  // --- Calls ---

  call(index: number): void {
    const entry = this.module.imports[index];
    if (entry === undefined) {
      const callee = this.module.functions[index - this.module.imports.length]!;
      this.callWith(callee.signature, () => this.a.call(symbolOf.function(index)));
      return;
    }
    const intrinsic = this.target.intrinsics.get(entry.name);
    if (intrinsic === undefined)
      throw new Error(
        `function ${this.f.name}: import ${entry.module}.${entry.name} is not one of the intrinsics`,
      );
    if (intrinsic.stub !== undefined) this.callWith(entry.signature, () => this.a.call(intrinsic.stub!));
    else this.#inline(intrinsic, entry.signature);
  }

  /** Everything of a call but the CALL itself. `free` lists registers that it reads besides the arguments. */
  callWith(signature: Signature, emitCall: () => void): void {
    const { operands, a } = this;
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
    }
    operands.transfer(values.slice(0, argumentRegisters.length), argumentRegisters);
    emitCall();
    if (onStack.length > 0) a.op("Add", 64, r(RSP), 8 * onStack.length);
    if (signature.result !== undefined) operands.pushRegister(signature.result, RAX);
  }

  callIndirect(typeIndex: number): void {
    const signature = this.module.types[typeIndex]!;
    const { operands, a } = this;
    // The index is the topmost operand; it goes to RAX, which carries no argument.
    const index = operands.pop();
    const reg = operands.own(index, [...argumentRegisters]);
    a.op("Cmp", 32, r(reg), this.module.table.length);
    a.jumpIf("ae", this.trap);
    const entry = { ...this.symbolMemory(symbolOf.table), index: reg, scale: 8 } as const;
    a.op("Cmp", 32, { ...entry, displacement: 4 }, canonicalType(this.module, signature));
    a.jumpIf("ne", this.trap);
    this.callWith(signature, () => {
      a.op("Mov", 32, r(reg), entry);
      if (this.target.base !== undefined) a.op("Add", 64, r(reg), r(this.target.base));
      a.op("Call", 64, r(reg));
      operands.freeRegister(reg);
    });
  }

  #inline(intrinsic: Intrinsic, signature: Signature): void {
    const { operands, a } = this;
    const count = signature.parameters.length;
    const values = operands.stack.splice(operands.stack.length - count, count);
    const to = intrinsic.arguments;
    // Values that stay must leave the registers that the code changes.
    operands.spillRegisters(operands.stack.length, registersOf(intrinsic));
    operands.transfer(values, to);
    intrinsic.code!(a, this.target);
    if (signature.result !== undefined) operands.pushRegister(signature.result, RAX);
  }

  // --- Variables ---

  /** local.set, or local.tee when `keep`: the value is then the local's. */
  localSet(keep: boolean): void {
    const { operands, a } = this;
    const home = this.#plan.homes.get(this.#at);
    if (home === undefined) {
      if (!keep) operands.free(operands.pop());
      return;
    }
    const value = operands.pop();
    const { type } = value;
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

  localGet(local: number): void {
    const home = this.#plan.homes.get(this.#at);
    if (home === undefined) throw new Error(`function ${this.f.name}: local ${local} has no home`);
    this.operands.pushLocal(this.f.locals[local]!, home);
  }

  // --- What instructions change ---

  #clobbers(): Clobber[] {
    return this.f.body.flatMap((instruction, at) => {
      const registers = this.#clobbersOf(instruction);
      return registers.length > 0 ? [{ at, registers }] : [];
    });
  }

  #clobbersOf({ opcode: { name }, index }: Instruction): readonly Reg[] {
    if (callsHelper.has(name)) return changedByCalls;
    if (name !== "call") return [];
    const entry = this.module.imports[index];
    const intrinsic = entry === undefined ? undefined : this.target.intrinsics.get(entry.name);
    return intrinsic === undefined || intrinsic.stub !== undefined ? changedByCalls : registersOf(intrinsic);
  }
}

/** Everything but RBX, RBP, RSP and R12 to R15. */
const changedByCalls: readonly Reg[] = [RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11];
const callsHelper = new Set(["call_indirect", "memory.copy", "memory.fill", "i32.popcnt", "i64.popcnt"]);
const registersOf = (intrinsic: Intrinsic): Reg[] => [...intrinsic.arguments, ...intrinsic.changes, RAX];

/** Equal signatures have equal numbers. */
export function canonicalType(module: WasmModule, signature: Signature): number {
  const key = JSON.stringify(signature);
  return module.types.findIndex((type) => JSON.stringify(type) === key);
}

function jumpTableChunk({ name, labels }: { name: string; labels: string[] }): Chunk {
  const a = new Assembler();
  for (const label of labels) a.cell(label, 32);
  return a.finish(name, 4);
}

const variables: Record<string, Handler> = {
  "local.get": (g, { index }) => g.localGet(index),
  "local.set": (g) => g.localSet(false),
  "local.tee": (g) => g.localSet(true),
  "global.get": (g, { index }) => {
    const { type } = g.module.globals[index]!;
    const to = g.destination() ?? g.operands.allocate();
    g.a.op("Mov", sizeOf(type), r(to), g.symbolMemory(symbolOf.global(index)));
    g.operands.pushRegister(type, to);
  },
  "global.set": (g, { index }) => {
    const value = g.operands.pop();
    const memory = g.symbolMemory(symbolOf.global(index));
    const source = g.operands.source(value);
    const simple = typeof source === "number" || source instanceof R;
    g.a.op("Mov", sizeOf(value.type), memory, simple ? source : r(g.operands.register(value)));
    g.operands.free(value);
  },
  "i32.const": (g, { index }) => g.operands.pushConstant("i32", BigInt(index)),
  "i64.const": (g, { wide }) => g.operands.pushConstant("i64", wide),
  drop: (g) => g.operands.free(g.operands.pop()),
};

const control: Record<string, Handler> = {
  unreachable: (g) => {
    g.a.plain("Ud2");
    g.unreachable();
  },
  nop: () => {},
  block: (g, instruction) => g.enter("block", instruction),
  loop: (g, instruction) => g.enter("loop", instruction),
  if: (g, instruction) => g.enter("if", instruction),
  else: (g) => g.otherwise(),
  end: (g) => g.end(),
  br: (g, { index }) => g.branch(index),
  br_if: (g, { index }) => g.branchIf(index),
  br_table: (g, { labels }) => g.branchTable(labels),
  return: (g) => g.return(),
  call: (g, { index }) => g.call(index),
  call_indirect: (g, { index }) => g.callIndirect(index),
};

export const handlers: Record<string, Handler> = { ...control, ...variables, ...integer, ...access };
