// Results and locals that become arguments of a call are wanted in the registers that arguments go in, so that nothing moves them there,
// and the count of a shift in RCX. A result keeps to that register through instructions that change their first operand in place.
import { RCX, type Reg } from "./assembler.js";
import type { Instruction } from "./wasm.js";

export const shifts = new Set(
  ["i32", "i64"].flatMap((type) => "shl shr_s shr_u rotl rotr".split(" ").map((name) => `${type}.${name}`)),
);
export const inPlace = new Set(
  ["i32", "i64"].flatMap((type) =>
    "add sub mul and or xor shl shr_s shr_u rotl rotr extend8_s extend16_s extend32_s extend_i32_u extend_i32_s wrap_i64"
      .split(" ")
      .map((name) => `${type}.${name}`),
  ),
);
const constants = new Set(["i32.const", "i64.const"]);

export interface Taken {
  /** Operands that it takes; the first of them in these registers. */
  readonly count: number;
  readonly registers: readonly Reg[];
  readonly gives: boolean;
}

/** By instruction: where its result is wanted. `callOf` tells of an instruction that is a call; only stretches without branches count. */
export function readWishes(
  body: readonly Instruction[],
  callOf: (instruction: Instruction) => Taken | undefined,
): ReadonlyMap<number, Reg> {
  const wishes = new Map<number, Reg>();
  /** By instruction that changes an operand in place: what gave the operand. */
  const operand = new Map<number, number>();
  /** What gave the values on the operand stack, as far as it is known. */
  let stack: (number | undefined)[] = [];
  const take = (count: number) => Array.from({ length: count }, () => stack.pop()).reverse();
  const want = (given: number | undefined, reg: Reg) => {
    for (let from = given; from !== undefined; from = operand.get(from)) wishes.set(from, reg);
  };
  body.forEach((instruction, at) => {
    const { name, takes, gives } = instruction.opcode;
    const call = callOf(instruction);
    if (call !== undefined) {
      take(call.count).forEach((given, n) => {
        const reg = call.registers[n];
        if (reg !== undefined) want(given, reg);
      });
      if (call.gives) stack.push(undefined);
    } else if (name === "local.get") stack.push(at);
    else if (constants.has(name)) stack.push(undefined);
    else if (name === "global.get") stack.push(at);
    else if (name === "local.set" || name === "global.set" || name === "drop") stack.pop();
    else if (name === "local.tee") {
      stack.pop();
      stack.push(undefined);
    } else if (takes !== undefined && gives !== undefined) {
      const [first, second] = take(takes.length);
      if (shifts.has(name)) want(second, RCX);
      if (inPlace.has(name) && first !== undefined) operand.set(at, first);
      if (gives.length > 0) stack.push(at);
    } else stack = [];
  });
  return wishes;
}
