// Conditions that wasm's optimizer has made arithmetic, made conditions again: where only a branch asks whether `X | Y`, `X & Y` or
// `select` is zero, each part may jump by itself (control.ts), which takes fewer instructions than to make a 0 or 1 of each
// comparison and put them together.
//
// Invariant: what is left out on one of the ways, or moved, does nothing but make a value: reads of locals, globals and plain memory,
// constants, arithmetic that cannot trap. What comes first on every way may set locals that the rest does not read.
import { opcodeNamed } from "./opcodes.js";
import type { Instruction } from "./wasm.js";

const comparisons = new Set(
  ["i32", "i64"].flatMap((type) =>
    "eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u".split(" ").map((name) => `${type}.${name}`),
  ),
);
const traps = new Set(
  ["i32", "i64"].flatMap((type) => "div_s div_u rem_s rem_u".split(" ").map((name) => `${type}.${name}`)),
);

/** Instructions from `start` on are to be these. */
interface Rewritten {
  readonly start: number;
  readonly code: readonly Instruction[];
}

/** How many values it takes and gives; undefined: it does more than make a value. */
function pure({ opcode }: Instruction): { takes: number; gives: number } | undefined {
  const { name, immediate, takes, gives } = opcode;
  if (name === "local.get" || name === "global.get") return { takes: 0, gives: 1 };
  if (name === "select") return { takes: 3, gives: 1 };
  if (traps.has(name) || name.includes("atomic") || name.includes("store")) return undefined;
  if (immediate !== "none" && immediate !== "i32" && immediate !== "i64" && immediate !== "memory")
    return undefined;
  return gives?.length === 1 && takes !== undefined ? { takes: takes.length, gives: 1 } : undefined;
}

const keeps = { takes: 1, gives: 1 };

/** Where the expression begins that ends with instruction `last`; undefined: it is not pure. With `kept` it may set locals, which are
 * put there. */
function startOf(body: readonly Instruction[], last: number, kept?: Set<number>): number | undefined {
  let missing = 1;
  for (let at = last; at >= 0; at--) {
    const { opcode, index } = body[at]!;
    const tee = opcode.name === "local.tee" && kept !== undefined;
    if (tee) kept.add(index);
    const effect = tee ? keeps : pure(body[at]!);
    if (effect === undefined) return undefined;
    missing += effect.takes - effect.gives;
    if (missing === 0) return at;
  }
  return undefined;
}

class Conditions {
  constructor(readonly body: readonly Instruction[]) {}

  /** Of the value that instruction `last` gives, and of which only matters whether it is zero. */
  rewrite(last: number): Rewritten | undefined {
    const { name } = this.body[last]!.opcode;
    if (name === "i32.eqz") {
      const inner = this.rewrite(last - 1);
      return inner && { start: inner.start, code: [...inner.code, this.body[last]!] };
    }
    if (name === "i32.or" || name === "i32.and") return this.#both(last, name === "i32.or");
    return name === "select" ? this.#chosen(last) : undefined;
  }

  /** The instructions from `start` to `last`, whose value is a condition. */
  #condition(start: number, last: number): readonly Instruction[] {
    const inner = this.rewrite(last);
    if (inner === undefined || inner.start < start) return this.body.slice(start, last + 1);
    return [...this.body.slice(start, inner.start), ...inner.code];
  }

  #isComparison(last: number): boolean {
    return comparisons.has(this.body[last]!.opcode.name);
  }

  /** 0 or 1, for sure. */
  #isTruth(last: number): boolean {
    if (this.#isComparison(last)) return true;
    const { name } = this.body[last]!.opcode;
    if (name !== "i32.or" && name !== "i32.and") return false;
    const second = startOf(this.body, last - 1, new Set());
    return second !== undefined && second > 0 && this.#isTruth(last - 1) && this.#isTruth(second - 1);
  }

  #both(last: number, either: boolean): Rewritten | undefined {
    const second = startOf(this.body, last - 1);
    if (second === undefined || second === 0) return undefined;
    const [left, right] = [second - 1, last - 1];
    // A bit that is tested, or words that are put together, take no more as they are.
    if (!this.#isTruth(right) && !(either && this.#isTruth(left))) return undefined;
    if (!either && !(this.#isTruth(left) && this.#isTruth(right))) return undefined;
    const at = this.body[last]!.at;
    const then = this.#condition(second, right);
    const code = either ? circuit(at, [constant(at, 1)], then) : circuit(at, then, [constant(at, 0)]);
    const before = this.rewrite(left);
    return before === undefined
      ? { start: second, code }
      : { start: before.start, code: [...before.code, ...code] };
  }

  /** One of two values, one of which is known. */
  #chosen(last: number): Rewritten | undefined {
    const kept = new Set<number>();
    const third = startOf(this.body, last - 1, kept);
    if (third === undefined || third === 0) return undefined;
    const second = startOf(this.body, third - 1);
    if (second === undefined || second === 0) return undefined;
    const first = startOf(this.body, second - 1);
    if (first === undefined) return undefined;
    const reads = ({ opcode, index }: Instruction) => opcode.name === "local.get" && kept.has(index);
    if (this.body.slice(first, third).some(reads)) return undefined;
    const isConstant = (start: number, end: number) =>
      end === start + 1 && this.body[start]!.opcode.name === "i32.const";
    if (isConstant(first, second) === isConstant(second, third)) return undefined;
    const { at } = this.body[last]!;
    const arm = (start: number, end: number) =>
      isConstant(start, end)
        ? [constant(at, this.body[start]!.index === 0 ? 0 : 1)]
        : this.#condition(start, end - 1);
    const code = circuit(at, arm(first, second), arm(second, third));
    return { start: first, code: [...this.#condition(third, last - 1), ...code] };
  }
}

function made(at: number, name: string, rest: Partial<Instruction> = {}): Instruction {
  const opcode = opcodeNamed.get(name)!;
  return { opcode, at, index: 0, wide: 0n, labels: [], result: undefined, ...rest };
}

const constant = (at: number, index: number) => made(at, "i32.const", { index });

const circuit = (at: number, then: readonly Instruction[], otherwise: readonly Instruction[]) => [
  made(at, "if", { result: "i32" }),
  ...then,
  made(at, "else"),
  ...otherwise,
  made(at, "end"),
];

/** The instructions of a function with such a result, its conditions as conditions. */
export function withConditions(
  body: readonly Instruction[],
  result: Instruction["result"],
): readonly Instruction[] {
  const conditions = new Conditions(body);
  const results: Instruction["result"][] = [result];
  const code: Instruction[] = [];
  /** Where each instruction's code began. */
  const places: number[] = [];
  body.forEach((instruction, at) => {
    const { name } = instruction.opcode;
    const asks = name === "if" || (name === "br_if" && results.at(-1 - instruction.index) === undefined);
    const rewritten = asks && at > 0 ? conditions.rewrite(at - 1) : undefined;
    if (rewritten !== undefined) {
      code.length = places[rewritten.start]!;
      code.push(...rewritten.code);
    }
    if (name === "loop") results.push(undefined);
    else if (name === "block" || name === "if") results.push(instruction.result);
    else if (name === "end") results.pop();
    places.push(code.length);
    code.push(instruction);
  });
  return code;
}
