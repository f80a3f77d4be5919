// Branches to a place from which nothing comes but the function's end, made returns: a jump to a jump takes an instruction more, and
// what returns need not come together with the others first. An `if` around a branch alone is a br_if.
import { opcodeNamed } from "./opcodes.js";
import { opensBlock } from "./structure.js";
import type { Instruction, ValueType } from "./wasm.js";

interface Open {
  readonly name: string;
  /** Behind its end the function only returns, with its result if there is one. */
  readonly leaves: boolean;
}

/** Where the blocks end, by where they begin or have their `else`. */
function readEnds(body: readonly Instruction[]): Map<number, number> {
  const ends = new Map<number, number>();
  const open: number[][] = [];
  body.forEach(({ opcode: { name } }, at) => {
    if (opensBlock(name)) open.push([at]);
    else if (name === "else") open.at(-1)!.push(at);
    else if (name === "end") for (const start of open.pop() ?? []) ends.set(start, at);
  });
  return ends;
}

/** Whether instruction `at` and what follows only leaves the function. */
function leavesFrom(body: readonly Instruction[], ends: ReadonlyMap<number, number>, at: number): boolean {
  for (let next = at; next < body.length; next++) {
    const { name } = body[next]!.opcode;
    if (name === "return") return true;
    if (name === "else") next = ends.get(next)!;
    else if (name !== "end") return false;
  }
  return true;
}

const named = (instruction: Instruction, name: string, index = 0): Instruction => ({
  ...instruction,
  opcode: opcodeNamed.get(name)!,
  index,
  result: undefined,
});

/** `if`, a branch, `end`: as one instruction. */
function branchAlone(body: readonly Instruction[], at: number, open: readonly Open[], result: boolean) {
  const [first, branch, end] = [body[at], body[at + 1], body[at + 2]];
  if (first?.opcode.name !== "if" || end?.opcode.name !== "end") return undefined;
  if (branch!.opcode.name === "return" && !result) return named(first, "br_if", open.length);
  // To its own end is nowhere.
  if (branch!.opcode.name === "br" && branch!.index > 0) return named(first, "br_if", branch!.index - 1);
  return undefined;
}

/** The instructions of a function that leave it as soon as they can. */
export function withReturns(
  body: readonly Instruction[],
  result: ValueType | undefined,
): readonly Instruction[] {
  const ends = readEnds(body);
  const open: Open[] = [];
  const code: Instruction[] = [];
  const outermost = (depth: number) => (open.at(-1 - depth)?.leaves === true ? open.length : depth);
  for (let at = 0; at < body.length; at++) {
    const alone = branchAlone(body, at, open, result !== undefined);
    const instruction = alone ?? body[at]!;
    if (alone !== undefined) at += 2;
    const { opcode, index, labels } = instruction;
    const { name } = opcode;
    if (opensBlock(name)) {
      const carries = (instruction.result === undefined) === (result === undefined);
      open.push({ name, leaves: name !== "loop" && carries && leavesFrom(body, ends, ends.get(at)!) });
    } else if (name === "end") open.pop();
    if (name === "else" && open.at(-1)!.leaves) code.push(named(instruction, "return"));
    if (name === "br" && outermost(index) === open.length) code.push(named(instruction, "return"));
    else if (name === "br_if") code.push({ ...instruction, index: outermost(index) });
    else if (name === "br_table") code.push({ ...instruction, labels: labels.map(outermost) });
    else code.push(instruction);
  }
  return code;
}
