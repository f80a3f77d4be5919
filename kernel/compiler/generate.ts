// Generates x86-64 code for one wasm function in one pass over its instructions. What each instruction becomes
// is a row of control.ts, calls.ts, variables.ts, integer.ts or access.ts; here is what they share: the frame,
// the place in the function and memory operands.
//
// A frame: the slots, lowest, then the saved registers, then the return address. There is no frame pointer: how long each
// function's frame is goes with its code (image.ts), so a panic can walk the frames.
import { access } from "./access.js";
import {
  Assembler,
  type Chunk,
  Label,
  type Memory,
  R12,
  R13,
  R14,
  R15,
  RAX,
  RBP,
  RBX,
  type Reg,
  RSP,
  r,
} from "./assembler.js";
import { argumentRegisters, calls, clobbersOf, takenBy } from "./calls.js";
import { withConditions } from "./conditions.js";
import { control, type DecidingCircuit, type Decision, type Outcomes, skipUnreachable } from "./control.js";
import { isWrite } from "./flow.js";
import { integer } from "./integer.js";
import type { Intrinsic } from "./intrinsics.js";
import { type Home, type LocalPlan, planLocals } from "./locals.js";
import { type Move, moveAll, Operands, sizeOf, type Value } from "./operands.js";
import { withReturns } from "./returns.js";
import { readStructure, type Structure } from "./structure.js";
import { symbolOf } from "./symbols.js";
import { variables } from "./variables.js";
import type { Instruction, ValueType, WasmFunction, WasmModule } from "./wasm.js";
import { inPlace, readWishes, shifts } from "./wishes.js";

/** What differs between the kernel and a user program. */
export interface Target {
  /** Holds the virtual address of wasm address 0; undefined when that is 0. */
  readonly base: Reg | undefined;
  readonly intrinsics: ReadonlyMap<string, Intrinsic>;
}

/** How a frame lies on the stack, in words of eight bytes. */
export interface Frame {
  /** Pushed first, in this order. */
  readonly saved: readonly Reg[];
  readonly slots: number;
  /** Below the return address: those. */
  readonly words: number;
  /** Parameters above it, which the caller takes away. */
  readonly passed: number;
}

export type Handler = (g: Generator, instruction: Instruction) => void;

export interface Block {
  readonly kind: "function" | "block" | "loop" | "if" | "circuit" | "decision";
  /** Index of the instruction that opened it. */
  readonly start: number;
  readonly result: ValueType | undefined;
  /** Values on the operand stack below it. */
  readonly height: number;
  readonly label: Label;
  /** Where its result is at its end, if several ways lead there. */
  readonly register: Reg;
  /** Where the condition of an `if` goes when it is false, until that place is reached. */
  readonly otherwise: Label | undefined;
  readonly decision?: Decision;
}

/** Instructions that take a comparison from the flags; before all others it is put into a register. */
const readFlags = new Set(["br_if", "if", "select", "i32.eqz", "drop", "local.set", "local.tee"]);

/** An epilogue of up to so many bytes stands wherever the function returns, in place of a jump to it. */
const epilogueBytes = 10;

export class Generator {
  a!: Assembler;
  operands!: Operands;
  readonly plan: LocalPlan;
  readonly structure: Structure;
  readonly #wishes: ReadonlyMap<number, Reg>;
  blocks: Block[] = [];
  /** Jumps here stop the processor with an undefined instruction. */
  trap = new Label();
  jumpTables: { readonly name: string; readonly labels: readonly string[] }[] = [];
  /** Slots of the frame. */
  #slots: number;
  /** Whether any path leads to the present instruction. */
  reachable = true;
  /** Depth of blocks inside code that is skipped as unreachable. */
  skipped = 0;
  /** Index of the present instruction. */
  at = 0;
  /** Labels of the conditions that `if` and `br_if` take, and && and || that decide them, by index. */
  users = new Map<number, Outcomes>();
  circuits = new Map<number, DecidingCircuit | undefined>();

  readonly f: WasmFunction;

  constructor(
    readonly module: WasmModule,
    written: WasmFunction,
    readonly target: Target,
  ) {
    const { result } = written.signature;
    const f = { ...written, body: withConditions(withReturns(written.body, result), result) };
    this.f = f;
    const preserved = target.base === R15 ? [RBX, RBP, R12, R13, R14] : [RBX, RBP, R12, R13, R14, R15];
    const clobbers = f.body.flatMap((instruction, at) => {
      const registers = clobbersOf({ module, target }, instruction);
      return registers.length > 0 ? [{ at, registers }] : [];
    });
    this.#wishes = readWishes(f.body, (instruction) => takenBy({ module, target }, instruction));
    this.plan = planLocals(f, preserved, argumentRegisters, clobbers, this.#wishes);
    this.structure = readStructure(f.body);
    this.#slots = this.plan.slots;
  }

  /** The function's code, and its jump tables. How many slots its frame has is known when all of it has been made: then it is made
   * again, if there are more than its locals need. */
  generate(): Chunk[] {
    const chunks = this.#generate();
    if (this.operands.slots === this.#slots) return chunks;
    this.#slots = this.operands.slots;
    return this.#generate();
  }

  #generate(): Chunk[] {
    const { f } = this;
    const { result } = f.signature;
    this.a = new Assembler();
    this.operands = new Operands(this.a, this.plan);
    this.trap = new Label();
    this.jumpTables = [];
    this.reachable = true;
    this.skipped = 0;
    this.users = new Map();
    this.circuits = new Map();
    const joins = { label: new Label(), register: RAX, otherwise: undefined };
    this.blocks = [{ kind: "function", start: -1, result, height: 0, ...joins }];
    this.#prologue();
    for (this.at = 0; this.at < f.body.length; this.at++) this.step(f.body[this.at]!);
    if (this.blocks.length > 0) throw new Error(`function ${f.name}: blocks are left open`);
    if (this.trap.uses > 0) {
      this.a.bind(this.trap);
      this.a.plain("Ud2");
    }
    const name = symbolOf.function(f.index);
    return [this.a.finish(name), ...this.jumpTables.map(jumpTableChunk)];
  }

  step(instruction: Instruction): void {
    const { name } = instruction.opcode;
    if (!this.reachable) {
      skipUnreachable(this, instruction);
      return;
    }
    const { top } = this.operands;
    const { kind } = this.blocks.at(-1)!;
    const decides = (name === "else" || name === "end") && (kind === "circuit" || kind === "decision");
    if (top?.place === "flags" && !readFlags.has(name) && !decides) this.operands.settle(top);
    const handler = handlers[name];
    if (handler === undefined)
      throw new Error(`function ${this.f.name}: no code for ${name} at 0x${instruction.at.toString(16)}`);
    handler(this, instruction);
  }

  // --- Frame ---

  #prologue(): void {
    const { a } = this;
    const { saved, zeroed } = this.plan;
    for (const reg of saved) a.op("Push", 64, r(reg));
    if (this.#slots > 0) a.op("Sub", 64, r(RSP), 8 * this.#slots);
    this.#receive();
    for (const { home, type } of zeroed) {
      const place = this.operands.place(home);
      if (typeof place === "number") a.op("Xor", 32, r(place), r(place));
      else a.op("Mov", sizeOf(type), place, 0);
    }
  }

  /** Brings the parameters home: those for the frame first, then the others at once, then those that came
   * on the stack. */
  #receive(): void {
    const { a, frame } = this;
    const moves: Move[] = [];
    const late: (() => void)[] = [];
    this.f.signature.parameters.forEach((type, n) => {
      const home = this.plan.parameters[n];
      if (home === undefined) return;
      const place = this.operands.place(home);
      const size = sizeOf(type);
      const from = argumentRegisters[n];
      if (from !== undefined) {
        if (typeof place === "number") moves.push({ to: place, from, size });
        else a.op("Mov", size, place, r(from));
        return;
      }
      const passed = { base: RSP, displacement: 8 * (frame.words + 1 + n - argumentRegisters.length) };
      late.push(() => {
        const through = typeof place === "number" ? place : RAX;
        a.op("Mov", size, r(through), passed);
        if (typeof place !== "number") a.op("Mov", size, place, r(RAX));
      });
    });
    moveAll(a, moves);
    for (const load of late) load();
  }

  epilogue(): void {
    const { a } = this;
    if (this.#slots > 0) a.op("Add", 64, r(RSP), 8 * this.#slots);
    for (const reg of [...this.plan.saved].reverse()) a.op("Pop", 64, r(reg));
    a.plain("Retnq");
  }

  /** Leaves the function, here or at its end. */
  leave(): void {
    const sum = this.#slots === 0 ? 0 : this.#slots < 16 ? 4 : 7;
    const bytes = this.plan.saved.reduce((all, reg) => all + (reg < 8 ? 1 : 2), sum + 1);
    if (bytes <= epilogueBytes && !this.#isLast()) this.epilogue();
    else this.a.jump(this.blocks[0]!.label);
  }

  /** Whether the function ends behind the present instruction. */
  #isLast(): boolean {
    return this.f.body.slice(this.at + 1).every(({ opcode }) => opcode.name === "end");
  }

  /** Of the function whose code is complete. */
  get frame(): Frame {
    const { parameters } = this.f.signature;
    const { saved } = this.plan;
    return {
      saved,
      slots: this.#slots,
      words: this.#slots + saved.length,
      passed: Math.max(0, parameters.length - argumentRegisters.length),
    };
  }

  // --- The place in the function ---

  /** The instruction so many places on; 0 is the present one. */
  ahead(count: number): Instruction | undefined {
    return this.f.body[this.at + count];
  }

  get next(): Instruction | undefined {
    return this.ahead(1);
  }

  /** Leaves out the next instruction, which a handler has done already. */
  skipNext(): void {
    this.at++;
  }

  blockAt(depth: number): Block {
    const block = this.blocks.at(-1 - depth);
    if (block === undefined) throw new Error(`function ${this.f.name}: no block at depth ${depth}`);
    return block;
  }

  /** What follows is not reached from here. */
  unreachable(): void {
    this.reachable = false;
    this.operands.truncate(this.blocks.at(-1)!.height);
  }

  // --- Values ---

  /** local.get, here or so many instructions on. */
  localGet(ahead = 0): void {
    const local = this.ahead(ahead)!.index;
    const home = this.plan.homes.get(this.at + ahead);
    if (home === undefined) throw new Error(`function ${this.f.name}: local ${local} has no home`);
    this.operands.pushLocal(this.f.locals[local]!, home);
  }

  /** Register to which the next instruction copies the top of the stack, or brings it as a block's result, made safe to write. */
  destination(): Reg | undefined {
    const name = this.next?.opcode.name;
    if (name === "else" || name === "end" || name === "br") {
      const block = this.blockAt(name === "br" ? this.next!.index : 0);
      const carries = block.result !== undefined && (name !== "br" || block.kind !== "loop");
      return carries && block.register !== RAX ? block.register : undefined;
    }
    return this.#destinedHome();
  }

  /** The register of the local that is set next, or to what instructions make of the result in place. */
  #destinedHome(): Reg | undefined {
    const read = new Set<Home | undefined>();
    const changes = (instruction: Instruction | undefined, takes: number) =>
      instruction !== undefined &&
      inPlace.has(instruction.opcode.name) &&
      instruction.opcode.takes!.length === takes;
    let at = this.at + 1;
    for (; !isWrite(this.f.body[at]!.opcode.name); at++) {
      const [next, user] = [this.f.body[at]!, this.f.body[at + 1]];
      if (changes(next, 1)) continue;
      const reads = next.opcode.name === "local.get";
      if ((!reads && !next.opcode.name.endsWith(".const")) || !changes(user, 2)) return undefined;
      // A shift's count would have to go to RCX.
      if (reads && shifts.has(user!.opcode.name)) return undefined;
      if (reads) read.add(this.plan.homes.get(at));
      at++;
    }
    const home = this.plan.homes.get(at);
    if (home === undefined || !("register" in home) || read.has(home)) return undefined;
    this.operands.copyReadsOf(home);
    return home.register;
  }

  /** A register for the present instruction's result. */
  allocate(): Reg {
    return this.operands.allocate([], this.#wishes.get(this.at));
  }

  /** The register in which the present instruction's result is wanted, if it is free. */
  wish(): Reg | undefined {
    const wish = this.#wishes.get(this.at);
    return wish !== undefined && this.operands.isFree(wish) ? wish : undefined;
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
    }
    const displacement = offset === 0 || offset > 0x7fff_ffff ? {} : { displacement: offset };
    return base === undefined ? { base: index, ...displacement } : { base, index, ...displacement };
  }

  symbolMemory(symbol: string): Memory {
    return this.target.base === undefined ? { symbol } : { base: this.target.base, symbol };
  }
}

function jumpTableChunk({ name, labels }: { name: string; labels: readonly string[] }): Chunk {
  const a = new Assembler();
  for (const label of labels) a.cell(label, 32);
  return a.finish(name, 4);
}

const handlers: Readonly<Record<string, Handler>> = {
  ...control,
  ...calls,
  ...variables,
  ...integer,
  ...access,
};
