// Where each local of a function lives: the hottest in registers that calls preserve, the rest in the frame.
// A use counts eight times as much for every loop around it.
import type { Reg } from "./assembler.js";
import type { WasmFunction } from "./wasm.js";

/** A register, or a slot of the frame; undefined for a local that is never used. */
export type Home = { readonly register: Reg } | { readonly slot: number } | undefined;

export interface LocalPlan {
  readonly homes: readonly Home[];
  readonly saved: readonly Reg[];
  readonly slots: number;
  /** Locals that may be read before they are written and so begin as zero. */
  readonly zeroed: readonly number[];
  /** For the index of a block, loop or if: the locals that are written inside. */
  readonly written: ReadonlyMap<number, ReadonlySet<number>>;
}

interface Uses {
  weights: number[];
  zeroed: Set<number>;
  written: Map<number, Set<number>>;
}

const opens = (name: string) => name === "block" || name === "loop" || name === "if";

function usesOf(f: WasmFunction): Uses {
  const weights = new Array<number>(f.locals.length).fill(0);
  const zeroed = new Set<number>();
  const written = new Map<number, Set<number>>();
  // Definitely written here; leaving a block forgets what was written inside.
  let certain = new Set(f.signature.parameters.keys());
  const nest: { start: number; certain: Set<number>; loop: boolean }[] = [];
  let weight = 1;
  f.body.forEach(({ opcode: { name }, index }, at) => {
    if (opens(name)) {
      nest.push({ start: at, certain: new Set(certain), loop: name === "loop" });
      written.set(at, new Set());
      if (name === "loop") weight = Math.min(weight * 8, 8 ** 6);
    } else if (name === "else") {
      certain = new Set(nest.at(-1)!.certain);
    } else if (name === "end" && nest.length > 0) {
      const left = nest.pop()!;
      certain = left.certain;
      if (left.loop) weight = 8 ** nest.filter((block) => block.loop).length;
      const outer = nest.at(-1);
      if (outer) for (const local of written.get(left.start)!) written.get(outer.start)!.add(local);
    } else if (name === "local.get") {
      weights[index]! += weight;
      if (!certain.has(index)) zeroed.add(index);
    } else if (name === "local.set" || name === "local.tee") {
      weights[index]! += weight;
      certain.add(index);
      const inner = nest.at(-1);
      if (inner) written.get(inner.start)!.add(index);
    }
  });
  return { weights, zeroed, written };
}

/** Decides every local's home; `available` are registers that calls preserve, best first. */
export function planLocals(f: WasmFunction, available: readonly Reg[]): LocalPlan {
  const { weights, zeroed, written } = usesOf(f);
  const used = weights.map((_, local) => local).filter((local) => weights[local]! > 0);
  // A register costs a save and a restore: one use is not worth it.
  const hot = used
    .filter((local) => weights[local]! > 2 || f.signature.parameters.length > local)
    .sort((x, y) => weights[y]! - weights[x]! || x - y)
    .slice(0, available.length);
  const homes = new Array<Home>(f.locals.length).fill(undefined);
  hot.forEach((local, n) => {
    homes[local] = { register: available[n]! };
  });
  let slots = 0;
  for (const local of used) homes[local] ??= { slot: slots++ };
  return { homes, saved: available.slice(0, hot.length), slots, zeroed: [...zeroed], written };
}
