// Litmus tests between the cores of one machine: each core plays a role of a few instructions, a seed draws the
// interleaving, and what registers and cells hold afterwards is the outcome. The machine is made once; a seed costs
// only setting the cores back to their first instruction.
//
// A role is Intel-syntax text with [x] and [y] for the cells and FENCE for what a variant puts there. An outcome is
// written as the digits of what a test observes, in that order.
import { ACTIVE } from "../../emulator/cpu/layout.js";
import { type GeneralName, Machine } from "../../emulator/index.js";

export interface Litmus {
  readonly name: string;
  /** Intel SDM vol. 3A. */
  readonly manual: string;
  readonly roles: readonly string[];
  /** Registers as "core:name", or a cell's final value. */
  readonly observes: readonly (`${number}:${string}` | "x" | "y")[];
  /** Outcomes that x86-TSO never shows. */
  readonly forbidden: readonly string[];
  /** Outcomes that only a store buffer shows: allowed, but cores that take turns cannot reach them. */
  readonly buffered?: readonly string[];
  /** How many different outcomes cores that take turns can reach. */
  readonly reaches: number;
}

/** What stands between a role's accesses. Each is the core's own business: no cell of the test is touched. */
export const fences = {
  nothing: "",
  MFENCE: "mfence",
  "LOCKed instruction": "lock add dword ptr [own], 1",
  XCHG: "xchg [own], r9d",
} as const;

const X = 0x20_0000;
/** Where y lies from x. */
export const places = { "one line": 4, "one page": 64, "two pages": 4096 } as const;
const OWN = 0x30_0000;
const CODE = 0x1_0000;
const PAGE = 0x1000;

export interface Seen {
  /** Outcome to how often it came and the first seed that showed it. */
  readonly [outcome: string]: { count: number; seed: number };
}

export class LitmusMachine {
  readonly #machine: Machine;
  readonly #cells: DataView;

  private constructor(machine: Machine) {
    this.#machine = machine;
    this.#cells = new DataView(machine.ram.buffer, machine.ram.byteOffset, machine.ram.byteLength);
  }

  static async create(cores = 4): Promise<LitmusMachine> {
    return new LitmusMachine(await Machine.create({ cores, memory: 4 << 20 }));
  }

  /** Runs the roles once for each seed from `first` on. */
  run(
    test: Pick<Litmus, "roles" | "observes">,
    fence: string,
    yFromX: number,
    seeds: number,
    first = 1,
  ): Seen {
    const machine = this.#machine;
    const y = X + yFromX;
    test.roles.forEach((role, core) => {
      const text = role
        .replaceAll("FENCE", fence)
        .replaceAll("[x]", `[${X}]`)
        .replaceAll("[y]", `[${y}]`)
        .replaceAll("[own]", `[${OWN + core * PAGE}]`);
      machine.start(`${text}\nhlt`, { at: CODE + core * PAGE, cores: [core] });
    });
    const seen: Record<string, { count: number; seed: number }> = {};
    for (let seed = first; seed < first + seeds; seed++) {
      const outcome = this.#once(test, y, seed);
      seen[outcome] ??= { count: 0, seed };
      seen[outcome].count++;
    }
    return seen;
  }

  #once({ roles, observes }: Pick<Litmus, "roles" | "observes">, y: number, seed: number): string {
    const machine = this.#machine;
    this.#cells.setUint32(X, 0, true);
    this.#cells.setUint32(y, 0, true);
    roles.forEach((_, index) => {
      const core = machine.core(index);
      core.set({ rip: CODE + index * PAGE, rax: 0, rbx: 0, rcx: 0, rdx: 0 });
      core.activity = ACTIVE;
    });
    const end = machine.run({ seed, slice: 4, limit: 1e6 });
    if (end !== "halted") throw new Error(`litmus: seed ${seed} ended by ${end}: ${machine.problem}`);
    return observes
      .map((what) => {
        if (what === "x" || what === "y") return this.#cells.getUint32(what === "x" ? X : y, true);
        const [core, register] = what.split(":") as [string, GeneralName];
        return machine.core(Number(core)).register(register);
      })
      .join("");
  }
}

/** Of the forbidden outcomes that were seen: which, how often, and the seed that repeats the first. */
export function forbiddenSeen(test: Litmus, seen: Seen): string[] {
  return test.forbidden.flatMap((outcome) => {
    const at = seen[outcome];
    return at === undefined ? [] : [`${outcome} seen ${at.count} times, first with seed ${at.seed}`];
  });
}
