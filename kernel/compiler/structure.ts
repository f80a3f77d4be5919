// Shapes that can be seen in a function's instructions before code is made for them: where blocks end, which
// conditionals are the && and || of the source, and loops that begin with their condition.
import type { Instruction } from "./wasm.js";

export interface Extent {
  readonly otherwise: number | undefined;
  readonly end: number;
  /** Some branch inside goes to its label. */
  branchedTo: boolean;
  /** ... and goes on elsewhere otherwise: a br_if or a br_table. */
  triedTo: boolean;
  /** ... which is a br_table. */
  tabledTo: boolean;
}

/** `if (result i32) X else constant end`, or with the constant first. */
export interface Circuit {
  readonly constantArm: "then" | "else";
  readonly constant: boolean;
  /** The `else` or `end` behind the arm that is not constant. */
  readonly armEnd: number;
  readonly otherwise: number;
  readonly end: number;
}

export interface Structure {
  readonly extents: ReadonlyMap<number, Extent>;
  /** For a loop that begins with a short condition and `if`: where that `if` is. */
  readonly conditions: ReadonlyMap<number, number>;
}

export const opensBlock = (name: string) => name === "block" || name === "loop" || name === "if";

interface Open {
  readonly start: number;
  otherwise: number | undefined;
  branchedTo: boolean;
  triedTo: boolean;
  tabledTo: boolean;
}

function readExtents(body: readonly Instruction[]): Map<number, Extent> {
  const extents = new Map<number, Extent>();
  const begin = (start: number): Open => {
    return { start, otherwise: undefined, branchedTo: false, triedTo: false, tabledTo: false };
  };
  const open: Open[] = [begin(-1)];
  body.forEach(({ opcode: { name }, index, labels }, at) => {
    if (opensBlock(name)) open.push(begin(at));
    else if (name === "else") open.at(-1)!.otherwise = at;
    else if (name === "br") open.at(-1 - index)!.branchedTo = true;
    else if (name === "br_if" || name === "br_table") {
      const tabled = name === "br_table";
      for (const depth of tabled ? labels : [index])
        Object.assign(open.at(-1 - depth)!, {
          branchedTo: true,
          triedTo: true,
          ...(tabled && { tabledTo: true }),
        });
    } else if (name === "end") {
      const { start, ...extent } = open.pop()!;
      extents.set(start, { ...extent, end: at });
    }
  });
  return extents;
}

/** So many instructions may be repeated at the end of a loop. */
const conditionLength = 12;
const straight = new Set(["none", "local", "global", "memory", "i32", "i64"]);
const leaves = new Set(["unreachable", "else", "end", "return", "drop"]);

function conditionOf(body: readonly Instruction[], loop: number): number | undefined {
  for (let at = loop + 1; at <= loop + conditionLength; at++) {
    const next = body[at]!;
    if (next.opcode.name === "if") return at > loop + 1 ? at : undefined;
    if (!straight.has(next.opcode.immediate) || leaves.has(next.opcode.name)) return undefined;
  }
  return undefined;
}

export function readStructure(body: readonly Instruction[]): Structure {
  const extents = readExtents(body);
  const conditions = new Map<number, number>();
  for (const at of extents.keys()) {
    if (at < 0 || body[at]!.opcode.name !== "loop") continue;
    const condition = conditionOf(body, at);
    if (condition !== undefined) conditions.set(at, condition);
  }
  return { extents, conditions };
}

/** The && or || that begins with the `if` at an index, if it is one. */
export function circuitAt(
  body: readonly Instruction[],
  structure: Structure,
  at: number,
): Circuit | undefined {
  const { result } = body[at]!;
  const { otherwise, end, branchedTo } = structure.extents.get(at)!;
  if (result !== "i32" || otherwise === undefined || branchedTo) return undefined;
  const isConstant = (index: number) => body[index]!.opcode.name === "i32.const";
  const shape = { otherwise, end };
  if (end === otherwise + 2 && isConstant(otherwise + 1))
    return { ...shape, constantArm: "else", constant: body[otherwise + 1]!.index !== 0, armEnd: otherwise };
  if (otherwise === at + 2 && isConstant(at + 1))
    return { ...shape, constantArm: "then", constant: body[at + 1]!.index !== 0, armEnd: end };
  return undefined;
}
