// Litmus tests between the cores of one machine: each core plays a thread of a test (tso.ts has the notation), a seed
// draws the interleaving, and what was loaded and what cells hold afterwards is the outcome. The machine is made once;
// a seed costs only setting the cores back to their first instruction.
import { ACTIVE } from "../../emulator/cpu/layout.js";
import { type GeneralName, Machine } from "../../emulator/index.js";
import { type Fence, type Place, parseShape, type Shape, type Step } from "./tso.js";

/** What stands between a thread's accesses. Each is the core's own business: no cell of the test is touched. */
const FENCES: Record<Fence, string> = {
  mfence: "mfence",
  lock: "lock add dword ptr [r12], 1",
  xchg: "xchg [r12], r13d",
};

const CELLS = 0x20_0000;
const LINE = 64;
const PAGE = 0x1000;
/** Where the cells lie. In the last two an operand of more than two bytes is split. */
export const places = {
  "one line": (cell: number) => CELLS + 8 * cell,
  "one page": (cell: number) => CELLS + LINE * cell,
  "two pages": (cell: number) => CELLS + PAGE * cell,
  "split over lines": (cell: number) => CELLS + LINE * (cell + 1) - 2,
  "split over pages": (cell: number) => CELLS + PAGE * (cell + 1) - 2,
} as const;
export type PlaceName = keyof typeof places;
/** Operands that a cell splits at the end of a line or a page. */
export const splits = ({ offset, bytes }: Place): boolean => offset < 2 && offset + bytes > 2;

const OWN = 0x30_0000;
const CODE = 0x1_0000;
/** Each takes one loaded value: its names at 1, 2, 4 and 8 bytes. */
export const REGISTERS: readonly Record<number, string>[] = [
  { 1: "al", 2: "ax", 4: "eax", 8: "rax" },
  { 1: "bl", 2: "bx", 4: "ebx", 8: "rbx" },
  { 1: "cl", 2: "cx", 4: "ecx", 8: "rcx" },
  { 1: "dl", 2: "dx", 4: "edx", 8: "rdx" },
];
const SIZES: Record<number, string> = { 1: "byte", 2: "word", 4: "dword", 8: "qword" };

/** Outcome to how often it came and the first seed that showed it. */
export type Seen = Map<string, { count: number; seed: number }>;

export interface LitmusRun {
  readonly place?: PlaceName;
  readonly seeds: number;
  readonly first?: number;
  /** The order in which a thread takes its steps, for threads that do not take them as written. */
  readonly order?: Readonly<Record<number, readonly number[]>>;
  /** Ends the run early. */
  readonly enough?: (seen: Seen) => boolean;
}

export class LitmusMachine {
  readonly machine: Machine;
  readonly #cells: DataView;

  private constructor(machine: Machine) {
    this.machine = machine;
    this.#cells = new DataView(machine.ram.buffer, machine.ram.byteOffset, machine.ram.byteLength);
  }

  static async create(storeBuffer = 0, cores = 4): Promise<LitmusMachine> {
    return new LitmusMachine(await Machine.create({ cores, memory: 4 << 20, storeBuffer }));
  }

  /** Runs the test once for each seed from `first` on. */
  run(text: string, { place = "one page", seeds, first = 1, order = {}, enough }: LitmusRun): Seen {
    const shape = parseShape(text);
    const at = places[place];
    shape.threads.forEach((steps, core) => {
      const program = assembly(steps, (cell, offset) => `${at(cell) + offset}`, order[core]);
      this.machine.start(`${program}\nhlt`, { at: CODE + core * PAGE, cores: [core] });
    });
    const seen: Seen = new Map();
    for (let seed = first; seed < first + seeds; seed++) {
      const outcome = this.#once(shape, at, seed);
      const known = seen.get(outcome);
      if (known !== undefined) known.count++;
      else {
        seen.set(outcome, { count: 1, seed });
        if (enough?.(seen) === true) break;
      }
    }
    return seen;
  }

  #once({ threads, finals }: Shape, at: (cell: number) => number, seed: number): string {
    const { machine } = this;
    for (let cell = 0; cell < 3; cell++) this.#cells.setBigUint64(at(cell), 0n, true);
    threads.forEach((_, index) => {
      const core = machine.core(index);
      core.set({ rip: CODE + index * PAGE, rax: 0, rbx: 0, rcx: 0, rdx: 0, r12: OWN + index * PAGE });
      core.activity = ACTIVE;
    });
    const end = machine.run({ seed, slice: 4, limit: 1e6 });
    if (end !== "halted") throw new Error(`litmus: seed ${seed} ended by ${end}: ${machine.problem}`);
    const loaded = threads.flatMap((steps, core) =>
      loadsOf(steps).map((_, i) => machine.core(core).register(REGISTERS[i]![8] as GeneralName)),
    );
    const final = finals.map((p) => machine.read(at(p.cell) + p.offset, p.bytes as 1 | 2 | 4 | 8));
    return [...loaded, ...final].join();
  }
}

export const loadsOf = (steps: readonly Step[]): readonly Step[] =>
  steps.filter((s) => s.kind !== "store" && s.kind !== "fence");

/** What stands in the brackets of an operand. */
export type AddressOf = (cell: number, offset: number) => string;

/** A thread's steps. Loads go to RAX, RBX, RCX and RDX, in order; R12 points to a line of its own, R13 and R14 are free. */
export function assembly(
  steps: readonly Step[],
  at: AddressOf,
  order: readonly number[] = steps.map((_, i) => i),
): string {
  return order.map((i) => instruction(steps, steps[i]!, at)).join("\n");
}

function instruction(steps: readonly Step[], step: Step, at: AddressOf): string {
  if (step.kind === "fence") return FENCES[step.by];
  const { cell, offset, bytes } = step.place;
  const operand = `${SIZES[bytes]} ptr [${at(cell, offset)}]`;
  if (step.kind === "store") {
    if (bytes < 8) return `mov ${operand}, ${step.value}`;
    return `mov r14, ${step.value}\nmov ${operand}, r14`;
  }
  const register = REGISTERS[loadsOf(steps).indexOf(step)]![bytes];
  if (step.kind === "load") return `mov ${register}, ${operand}`;
  return `mov ${register}, ${step.value}\n${step.kind === "add" ? "lock xadd" : "xchg"} ${operand}, ${register}`;
}

/** Of the outcomes seen: those that are not among the allowed, how often each came, and the seed that repeats the first. */
export function forbiddenSeen(allowed: ReadonlySet<string>, seen: Seen): string[] {
  return [...seen]
    .filter(([outcome]) => !allowed.has(outcome))
    .map(([outcome, { count, seed }]) => `${outcome} seen ${count} times, first with seed ${seed}`);
}
