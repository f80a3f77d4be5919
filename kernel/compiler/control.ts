// Control flow: blocks, branches, and conditions that are decided by jumps.
//
// Where control flow joins, a block's result is in RAX and everything below it is in the frame or constant.
// The && and || of the source arrive as `if (result i32) X else 0`; when a branch uses the result, each part
// jumps to where the whole is decided, and no 0 or 1 is ever made. So does each way to the end of any other block whose result only
// a branch takes, which is a decision: what is constant there jumps to where the branch would.
import { inverse, Label, RAX, type Reg, r } from "./assembler.js";
import { clobbersOf } from "./calls.js";
import { isWrite } from "./flow.js";
import type { Block, Generator, Handler } from "./generate.js";
import type { Home } from "./locals.js";
import type { Value } from "./operands.js";
import { type Circuit, circuitAt, opensBlock } from "./structure.js";
import { symbolOf } from "./symbols.js";
import type { Instruction } from "./wasm.js";

/** Where the outcomes of a condition go; the one that `falls` need not jump. */
export interface Outcomes {
  readonly onTrue: Label;
  readonly onFalse: Label;
  readonly falls: boolean;
  /** Values below an `if`, once it has been entered. */
  height?: number;
}

export interface DecidingCircuit {
  readonly circuit: Circuit;
  readonly outcomes: Outcomes;
}

/** A block whose result only a branch takes. */
export interface Decision {
  readonly outcomes: Outcomes;
  /** Some way leads to its end. */
  reached: boolean;
}

/** A br_table of up to this many labels is a chain of comparisons. */
const chainLength = 4;

/** Brings a condition into the flags; the value is used up. */
export function test(g: Generator, condition: Value): Value["condition"] {
  const { operands, a } = g;
  if (condition.place === "flags") return condition.condition;
  const memory = operands.memory(condition);
  if (memory !== undefined) a.op("Cmp", 32, memory, 0);
  else {
    const reg = operands.register(condition);
    a.op("Test", 32, r(reg), r(reg));
  }
  operands.free(condition);
  return "ne";
}

/** Jumps when the condition is as `sense` says; the value is used up. */
function jumpWhen(g: Generator, sense: boolean, condition: Value, target: Label): void {
  const holds = test(g, condition);
  g.a.jumpIf(sense ? holds : inverse(holds), target);
  g.operands.flagsUsed();
}

// --- Blocks ---

function enter(g: Generator, kind: "block" | "loop", instruction: Instruction): void {
  const decision = kind === "block" ? decisionAt(g, instruction) : undefined;
  if (decision !== undefined) {
    stabiliseAll(g);
    pushBlock(g, "decision", instruction, new Label(), undefined, decision);
    return;
  }
  stabilise(g);
  const label = new Label();
  if (kind === "loop") g.a.bind(label);
  pushBlock(g, kind, instruction, label, undefined);
}

function pushBlock(
  g: Generator,
  kind: Block["kind"],
  { result }: Instruction,
  label: Label,
  otherwise: Label | undefined,
  decision?: Decision,
): void {
  const height = g.operands.stack.length;
  const decided = kind === "circuit" || kind === "decision";
  const register = result === undefined || decided ? RAX : (homeOfResult(g)?.register ?? RAX);
  const block = { kind, start: g.at, result, height, label, register, otherwise };
  g.blocks.push(decision === undefined ? block : { ...block, decision });
}

/** The local that the result of the block which begins here is set to at once, if that has a register and no way to the end goes on
 * elsewhere with the result. */
function homeOfResult(g: Generator): { readonly register: Reg } | undefined {
  const { end, triedTo } = g.structure.extents.get(g.at)!;
  const next = g.f.body[end + 1];
  if (triedTo || next === undefined || !isWrite(next.opcode.name)) return undefined;
  const home = g.plan.homes.get(end + 1);
  return home !== undefined && "register" in home ? home : undefined;
}

/** Nothing below a block may stand where the block's code changes it. */
function stabilise(g: Generator): void {
  const { operands } = g;
  const lazy = operands.stack.some(({ place }) => place === "local");
  const changed = new Set(lazy ? changedInside(g) : []);
  operands.stabilise(g.blocks.at(-1)!.height, (home) =>
    changed.has("register" in home ? home.register : home),
  );
}

/** Before the parts of what a branch takes: the branch comes later and must find nothing left to save on one way only. */
const stabiliseAll = (g: Generator) => g.operands.stabilise(g.blocks.at(-1)!.height, () => true);

/** Registers and homes that the block which begins here may change. */
function changedInside(g: Generator): (Reg | Home)[] {
  const changed: (Reg | Home)[] = [];
  const { end } = g.structure.extents.get(g.at)!;
  // The local behind its end may get its result inside.
  for (let at = g.at; at <= Math.min(end + 1, g.f.body.length - 1); at++) {
    const instruction = g.f.body[at]!;
    changed.push(...clobbersOf(g, instruction));
    const home = isWrite(instruction.opcode.name) ? g.plan.homes.get(at) : undefined;
    if (home !== undefined) changed.push("register" in home ? home.register : home);
  }
  return changed;
}

function conditional(g: Generator, instruction: Instruction): void {
  const condition = g.operands.pop();
  const deciding = circuitFrom(g, g.at);
  if (deciding !== undefined) {
    enterCircuit(g, instruction, deciding, condition);
    return;
  }
  const decision = decisionAt(g, instruction);
  if (decision !== undefined) stabiliseAll(g);
  else stabilise(g);
  const labels: Outcomes = g.users.get(g.at) ?? { onTrue: new Label(), onFalse: new Label(), falls: true };
  g.users.set(g.at, labels);
  if (condition.place !== "decided") jumpWhen(g, false, condition, labels.onFalse);
  g.a.bind(labels.onTrue);
  labels.height = g.operands.stack.length;
  const kind = decision === undefined ? "if" : "decision";
  pushBlock(g, kind, instruction, new Label(), labels.onFalse, decision);
}

/** Moves the result of a block to where its end expects it. */
const deliver = (g: Generator, value: Value, { register }: Block) => g.operands.transfer([value], [register]);

function otherwise(g: Generator): void {
  const { operands, a } = g;
  const block = g.blocks.pop()!;
  if (block.kind === "circuit") {
    leaveCircuit(g, block);
    return;
  }
  if (g.reachable) {
    if (block.decision !== undefined) decide(g, operands.pop(), block.decision);
    else {
      if (block.result !== undefined) deliver(g, operands.pop(), block);
      a.jump(block.label);
    }
  }
  operands.truncate(block.height);
  a.bind(block.otherwise!);
  g.blocks.push({ ...block, otherwise: undefined });
  g.reachable = true;
}

function end(g: Generator): void {
  const { operands, a } = g;
  const block = g.blocks.pop()!;
  if (block.kind === "circuit") {
    leaveCircuit(g, block);
    return;
  }
  if (block.decision !== undefined) {
    leaveDecision(g, block.height, block.decision);
    return;
  }
  const joined = block.label.uses > 0 && block.kind !== "loop";
  const result = g.reachable && block.result !== undefined ? operands.pop() : undefined;
  if (block.kind === "function") {
    if (result !== undefined) deliver(g, result, block);
    if (!g.reachable && !joined) return;
    a.bind(block.label);
    g.epilogue();
    return;
  }
  if (!joined && block.otherwise === undefined) {
    // One way leads here: the result may stay where it is.
    if (result !== undefined) operands.stack.push(result);
    else if (!g.reachable) operands.truncate(block.height);
    return;
  }
  if (result !== undefined) deliver(g, result, block);
  operands.truncate(block.height);
  if (block.otherwise !== undefined) a.bind(block.otherwise);
  a.bind(block.label);
  g.reachable = true;
  if (block.result !== undefined) operands.pushRegister(block.result, block.register);
}

// --- && and || ---

/** The circuit that begins at an index, if a branch uses its result. */
function circuitFrom(g: Generator, at: number): DecidingCircuit | undefined {
  if (g.circuits.has(at)) return g.circuits.get(at);
  const circuit = circuitAt(g.f.body, g.structure, at);
  const outcomes = circuit === undefined ? undefined : outcomesOf(g, circuit.end + 1);
  const deciding = outcomes === undefined ? undefined : { circuit: circuit!, outcomes };
  g.circuits.set(at, deciding);
  return deciding;
}

/** Where a condition goes that is on top of the stack at an index, if a branch takes it there. */
function outcomesOf(g: Generator, from: number): Outcomes | undefined {
  let at = from;
  while (g.f.body[at]!.opcode.name === "i32.eqz") at++;
  const outcomes = userAt(g, at);
  if (outcomes === undefined || (at - from) % 2 === 0) return outcomes;
  return { onTrue: outcomes.onFalse, onFalse: outcomes.onTrue, falls: !outcomes.falls };
}

function userAt(g: Generator, at: number): Outcomes | undefined {
  const { opcode, index } = g.f.body[at]!;
  const innermost = g.blocks.at(-1)!;
  if (innermost.kind === "circuit") {
    const around = g.circuits.get(innermost.start)!;
    if (around.circuit.armEnd === at) return around.outcomes;
  }
  if (innermost.decision !== undefined) {
    const { otherwise, end } = g.structure.extents.get(innermost.start)!;
    if (at === end || at === otherwise) return innermost.decision.outcomes;
  }
  if (opcode.name !== "if" && opcode.name !== "br_if") return undefined;
  const known = g.users.get(at);
  if (known !== undefined) return known;
  const outcomes = opcode.name === "if" ? outcomesOfIf(g, at) : outcomesOfBranch(g, index);
  if (outcomes !== undefined) g.users.set(at, outcomes);
  return outcomes;
}

function outcomesOfBranch(g: Generator, depth: number): Outcomes | undefined {
  const { label, result, kind, decision } = g.blockAt(depth);
  const { top } = g.operands;
  if (decision !== undefined && top!.place === "constant")
    return { onTrue: outcomeOf(top!, decision), onFalse: new Label(), falls: false };
  if (result !== undefined && kind !== "loop") return undefined;
  return { onTrue: label, onFalse: new Label(), falls: false };
}

function outcomesOfIf(g: Generator, at: number): Outcomes {
  const inner = circuitFrom(g, at);
  if (inner === undefined) return { onTrue: new Label(), onFalse: new Label(), falls: true };
  const { circuit, outcomes } = inner;
  const decided = circuit.constant ? outcomes.onTrue : outcomes.onFalse;
  return circuit.constantArm === "else"
    ? { onTrue: new Label(), onFalse: decided, falls: true }
    : { onTrue: decided, onFalse: new Label(), falls: false };
}

function enterCircuit(
  g: Generator,
  instruction: Instruction,
  { circuit, outcomes }: DecidingCircuit,
  condition: Value,
): void {
  stabiliseAll(g);
  const armWhen = circuit.constantArm === "else";
  if (condition.place === "decided") {
    const { onTrue, onFalse } = g.users.get(g.at)!;
    g.a.bind(armWhen ? onTrue : onFalse);
  } else jumpWhen(g, !armWhen, condition, circuit.constant ? outcomes.onTrue : outcomes.onFalse);
  pushBlock(g, "circuit", instruction, new Label(), undefined);
  if (circuit.constantArm === "then") g.at = circuit.otherwise;
}

function leaveCircuit(g: Generator, block: Block): void {
  const { circuit, outcomes } = g.circuits.get(block.start)!;
  g.at = circuit.end;
  leaveDecision(g, block.height, { outcomes, reached: true });
}

// --- Decisions ---

/** Where the result of the block that begins here leads, if it is one that only a branch takes. */
function decisionAt(g: Generator, { result }: Instruction): Decision | undefined {
  const { end, tabledTo } = g.structure.extents.get(g.at)!;
  const outcomes = result === "i32" && !tabledTo ? outcomesOf(g, end + 1) : undefined;
  return outcomes && { outcomes, reached: false };
}

/** Where a constant leads. */
const outcomeOf = ({ constant }: Value, { outcomes: { onTrue, onFalse } }: Decision) =>
  constant === 0n ? onFalse : onTrue;

/** Goes where a value leads; what comes next is something else. */
function decide(g: Generator, value: Value, decision: Decision): void {
  const { a } = g;
  const { onTrue, onFalse, falls } = decision.outcomes;
  decision.reached = true;
  if (value.place === "decided") a.jump(falls ? onTrue : onFalse);
  else if (value.place === "constant") a.jump(outcomeOf(value, decision));
  else {
    jumpWhen(g, true, value, onTrue);
    a.jump(onFalse);
  }
}

/** Goes where a value leads if the condition holds; otherwise the value stays. */
function decideIf(g: Generator, condition: Value, decision: Decision): void {
  const { operands, a } = g;
  const { top } = operands;
  if (top!.place === "constant") {
    decision.reached = true;
    jumpWhen(g, true, condition, outcomeOf(top!, decision));
    return;
  }
  const stays = new Label();
  jumpWhen(g, false, condition, stays);
  operands.aside(() => decide(g, operands.pop(), decision));
  a.bind(stays);
}

/** The end of what is decided: the last part falls through with one of the outcomes. */
function leaveDecision(g: Generator, height: number, { outcomes, reached }: Decision): void {
  const { operands } = g;
  const { onTrue, onFalse, falls } = outcomes;
  if (g.reachable) {
    const value = operands.pop();
    if (value.place !== "decided") jumpWhen(g, !falls, value, falls ? onFalse : onTrue);
  }
  operands.truncate(height);
  g.reachable ||= reached;
  if (g.reachable) operands.pushDecided();
}

// --- Branches ---

function branch(g: Generator, depth: number): void {
  const block = g.blockAt(depth);
  if (block.kind === "loop") repeatLoop(g, block);
  else if (block.decision !== undefined) decide(g, g.operands.pop(), block.decision);
  else {
    if (block.result !== undefined) deliver(g, g.operands.pop(), block);
    g.a.jump(block.label);
  }
  g.unreachable();
}

/** Back to the beginning of a loop. When that is a condition, it is put here too, which saves a jump. */
function repeatLoop(g: Generator, loop: Block): void {
  const condition = g.structure.conditions.get(loop.start);
  const labels = condition === undefined ? undefined : g.users.get(condition);
  // A value that the `if` keeps below it has been put into the frame there, which would be missed here.
  if (condition === undefined || labels?.height !== loop.height) {
    g.a.jump(loop.label);
    return;
  }
  const { at } = g;
  g.operands.aside(() => {
    for (g.at = loop.start + 1; g.at < condition; g.at++) g.step(g.f.body[g.at]!);
    jumpWhen(g, true, g.operands.pop(), labels.onTrue);
  });
  g.at = at;
  g.a.jump(labels.onFalse);
}

function branchIf(g: Generator, depth: number): void {
  const { operands, a } = g;
  const block = g.blockAt(depth);
  const condition = operands.pop();
  if (condition.place === "decided") {
    // The part that decides it has jumped; the other outcome may have come by a jump as well.
    if (block.decision !== undefined) block.decision.reached = true;
    a.bind(g.users.get(g.at)!.onFalse);
    return;
  }
  if (block.result === undefined || block.kind === "loop") {
    jumpWhen(g, true, condition, block.label);
    return;
  }
  if (block.decision !== undefined) {
    decideIf(g, condition, block.decision);
    return;
  }
  // The result stays on the stack when the branch is not taken, so it moves to RAX on both ways.
  const value = operands.pop();
  if (operands.reads(condition, RAX)) operands.own(condition, [RAX]);
  if (operands.registerNow(value) !== RAX) {
    operands.claim(RAX);
    operands.move(RAX, value);
    operands.free(value);
  }
  operands.pushRegister(block.result, RAX);
  jumpWhen(g, true, condition, block.label);
}

function branchTable(g: Generator, labels: readonly number[]): void {
  const { operands } = g;
  const blocks = labels.map((depth) => g.blockAt(depth));
  const fallback = blocks.pop()!;
  const carries = fallback.result !== undefined && fallback.kind !== "loop";
  const index = operands.own(operands.pop(), carries ? [RAX] : []);
  if (carries) deliver(g, operands.pop(), fallback);
  if (blocks.length <= chainLength) jumpChain(g, index, blocks, fallback);
  else jumpTable(g, index, blocks, fallback);
  operands.freeRegister(index);
  g.unreachable();
}

function jumpChain({ a }: Generator, index: Reg, blocks: readonly Block[], fallback: Block): void {
  blocks.forEach((block, n) => {
    a.op("Cmp", 32, r(index), n);
    a.jumpIf("e", block.label);
  });
  a.jump(fallback.label);
}

function jumpTable(g: Generator, index: Reg, blocks: readonly Block[], fallback: Block): void {
  const { a } = g;
  const { base } = g.target;
  a.op("Cmp", 32, r(index), blocks.length);
  a.jumpIf("ae", fallback.label);
  const name = `${symbolOf.function(g.f.index)} table ${g.jumpTables.length}`;
  a.op("Mov", 32, r(index), { ...g.symbolMemory(name), index, scale: 4 });
  if (base !== undefined) a.op("Add", 64, r(index), r(base));
  a.op("Jmp", 64, r(index));
  const names = blocks.map((block, n) => {
    const label = `${name} entry ${n}`;
    a.nameLabel(label, block.label);
    return label;
  });
  g.jumpTables.push({ name, labels: names });
}

function leave(g: Generator): void {
  const block = g.blocks[0]!;
  if (block.result !== undefined) deliver(g, g.operands.pop(), block);
  g.leave();
  g.unreachable();
}

/** Code that nothing reaches is left out; blocks inside it are counted to find where it ends. */
export function skipUnreachable(g: Generator, instruction: Instruction): void {
  const { name } = instruction.opcode;
  if (opensBlock(name)) g.skipped++;
  else if (name === "end" && g.skipped > 0) g.skipped--;
  else if (name === "end" && g.skipped === 0) end(g);
  else if (name === "else" && g.skipped === 0) otherwise(g);
}

export const control: Record<string, Handler> = {
  unreachable: (g) => {
    g.a.plain("Ud2");
    g.unreachable();
  },
  nop: () => {},
  block: (g, instruction) => enter(g, "block", instruction),
  loop: (g, instruction) => enter(g, "loop", instruction),
  if: conditional,
  else: otherwise,
  end,
  br: (g, { index }) => branch(g, index),
  br_if: (g, { index }) => branchIf(g, index),
  br_table: (g, { labels }) => branchTable(g, labels),
  return: leave,
};
