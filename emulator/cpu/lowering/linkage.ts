// What every handler may refer to: function types by number, and the table slots of the engine's own functions and of
// the microcode. Fixed for a process, so that handlers can be bundled into modules in any grouping.

import type { Signature, Type } from "../wasm.js";

/** Table slots of the engine's functions (interpreter.ts). Slot 0 stays empty: calling it traps. */
export const SLOT = {
  enter: 1,
  resume: 2,
  fault: 3,
  loadSlow: 4,
  storeSlow: 5,
  probeWrite: 6,
  slowCall: 7,
  endOfBlock: 8,
  invalid: 9,
  tooLong: 10,
  unimplemented: 11,
  stop: 12, // stands in for an op before which a run has to end
  lockBus: 13,
  unlockBus: 14,
  endOfLegacyBlock: 15,
} as const;
export const FIRST_MICROCODE_SLOT = 32;

const words = (n: number): Type[] => Array.from({ length: n }, () => "i32");

/** Types by number; the microcode's own follow. */
export const TYPE = { handler: 0, loadSlow: 1, storeSlow: 2, core: 3 } as const;
export const BASE_TYPES: readonly Signature[] = [
  { parameters: words(3), results: ["i32"] }, // core, op, budget: gives an exit code
  { parameters: [...words(3), "i64", "i64"], results: ["i64"] }, // core, op, budget, va, bytes | ACCESS_STACK
  { parameters: [...words(3), "i64", "i64", "i64"], results: [] }, // the same, value
  { parameters: words(1), results: [] },
];

export interface MicrocodeFunction {
  readonly slot: number;
  readonly type: number;
  readonly signature: Signature;
}

export class Linkage {
  readonly types: readonly Signature[];
  readonly microcode: ReadonlyMap<string, MicrocodeFunction>;
  /** The first slot for handlers. */
  readonly firstFormSlot: number;

  constructor(exported: ReadonlyMap<string, Signature>) {
    const types = [...BASE_TYPES];
    const text = (s: Signature) => `${s.parameters}>${s.results}`;
    const numbers = new Map(types.map((s, i) => [text(s), i]));
    const functions = new Map<string, MicrocodeFunction>();
    let slot = FIRST_MICROCODE_SLOT;
    for (const [name, signature] of exported) {
      let type = numbers.get(text(signature));
      if (type === undefined) {
        type = types.push(signature) - 1;
        numbers.set(text(signature), type);
      }
      functions.set(name, { slot: slot++, type, signature });
    }
    this.types = types;
    this.microcode = functions;
    this.firstFormSlot = slot;
  }

  function(name: string): MicrocodeFunction {
    const found = this.microcode.get(name);
    if (found === undefined) throw new Error(`the microcode has no function named ${name}`);
    return found;
  }
}
