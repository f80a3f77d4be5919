// Litmus tests at random, in the notation of tso.ts: programs that nobody has thought of, judged by the model all the same.
// A seed gives the same test for ever.
import { Random } from "../../emulator/random.js";
import { forbiddenSeen, type LitmusMachine, type PlaceName, splits } from "./litmus.js";
import { allowedBy } from "./shapes.js";
import { fences, type Model } from "./tso.js";

export interface Bounds {
  /** 2 to 4. */
  readonly threads: number;
  /** Of all threads together: what there is to exhaust grows with it exponentially. */
  readonly steps: number;
  /** Operands lie where those of more than two bytes are split: the model then goes byte by byte. */
  readonly split?: boolean;
}

/** Values come back from four registers a thread. */
const LOADS_MAX = 4;
const STEPS_OF_THREAD = 5;
const sizes = { b: 1, w: 2, d: 4, q: 8 } as const;
type Size = keyof typeof sizes;

/** Every byte of a store is its own number, so that what is torn shows. */
function patternOf(number: number, size: Size): bigint {
  const bytes = BigInt(sizes[size]);
  return (BigInt(number) * ((1n << (8n * bytes)) - 1n)) / 255n;
}

/** Each cell that there is is stored to, and by somebody else used. */
export function randomTest(seed: number, { threads, steps, split = false }: Bounds): string {
  const random = new Random(seed);
  const pick = <T>(from: readonly T[]): T => from[random.below(from.length)]!;
  // So few that each has its two users soon.
  const cells = ["x", "y", "z"].slice(0, 1 + random.below(Math.min(threads, 3, Math.floor(steps / 3))));
  const mixed = split || random.below(2) === 0;
  let stored = 0;

  const operand = (cell: string): { text: string; size: Size } => {
    if (!mixed) return { text: cell, size: "d" };
    // In a split cell the first two bytes are on this side.
    const size = pick<Size>(split ? ["b", "w", "d", "d"] : ["b", "w", "d", "q"]);
    const offset = split ? pick([0, 0, 1]) : sizes[size] * random.below(8 / sizes[size]);
    return { text: `${cell}.${size}${offset}`, size };
  };
  const step = (loadsLeft: number): string => {
    const kind = random.below(100);
    if (kind >= 94) return pick(fences);
    const { text, size } = operand(pick(cells));
    if (kind < 40 && loadsLeft > 0) return text;
    const value = patternOf(++stored, size);
    if (kind < 82 || loadsLeft === 0) return `${text}=${value}`;
    return `${text}${kind < 88 ? "~" : "+"}${value}`;
  };
  const thread = (count: number): string[] => {
    const program: string[] = [];
    let loadsLeft = LOADS_MAX;
    for (let i = 0; i < count; i++) {
      const next = step(loadsLeft);
      if (!next.includes("=") && !isFence(next)) loadsLeft--;
      program.push(next);
    }
    return program;
  };

  for (;;) {
    stored = 0;
    const counts = Array.from({ length: threads }, () => 1);
    for (let left = steps - threads; left > 0; left--) {
      const open = counts.flatMap((n, i) => (n < STEPS_OF_THREAD ? [i] : []));
      if (open.length === 0) break;
      counts[pick(open)]!++;
    }
    const programs = counts.map(thread);
    if (!cells.every((cell) => isShared(cell, programs))) continue;
    const finals = cells.map((cell) => (mixed ? `${cell}.${split ? "d" : "q"}0` : cell));
    return `${programs.map((each) => each.join(";")).join("|")}/${finals.join()}`;
  }
}

const isFence = (step: string): boolean => (fences as readonly string[]).includes(step);
const uses = (cell: string, step: string): boolean => step.startsWith(cell) && !isFence(step);
const changes = (step: string): boolean => /[=~+]/.test(step);

function isShared(cell: string, programs: readonly (readonly string[])[]): boolean {
  const users = programs.filter((program) => program.some((step) => uses(cell, step)));
  return (
    users.length > 1 && users.some((program) => program.some((step) => uses(cell, step) && changes(step)))
  );
}

/** A test that may end in more ways says little by those that it shows. */
const OUTCOMES_MAX = 80;

export interface Judged {
  readonly seed: number;
  readonly text: string;
  readonly allowed: ReadonlySet<string>;
}

/** Tests from a seed on, with what the model allows of each. */
export function* judgedTests(first: number, bounds: Bounds, model: Model = {}): Generator<Judged, never> {
  for (let seed = first; ; seed++) {
    const text = randomTest(seed, bounds);
    const outcomes = allowedBy(text, model);
    if (outcomes.size <= OUTCOMES_MAX) yield { seed, text, allowed: outcomes };
  }
}

/** Groups of tests for the cores of one machine. */
export const onOneMachine: readonly Bounds[] = [
  { threads: 2, steps: 8 },
  { threads: 3, steps: 9 },
  { threads: 4, steps: 10 },
  { threads: 2, steps: 6, split: true },
  { threads: 3, steps: 6, split: true },
];
const SEEDS_EACH = 40;
const whole: readonly PlaceName[] = ["one line", "one page", "two pages"];
const split: readonly PlaceName[] = ["split over lines", "split over pages"];

/** Runs so many tests, those of seeds from `first` on, on a machine whose cores have so many entries: what was seen and is not allowed, and the share of what is allowed that was seen. */
export function runAtRandom(
  machine: LitmusMachine,
  entries: number,
  bounds: Bounds,
  count: number,
  first = 1,
): { readonly forbidden: readonly string[]; readonly share: number } {
  // A split store may take an entry or one for each byte.
  const model = bounds.split ? { ...(entries === 0 && { entries }), split: splits } : { entries };
  let [shown, all, left] = [0, 0, count];
  const forbidden: string[] = [];
  for (const { seed, text, allowed } of judgedTests(first, bounds, model)) {
    if (left-- === 0) break;
    const places = bounds.split ? split : whole;
    const place = places[seed % places.length]!;
    const seen = machine.run(text, { place, seeds: SEEDS_EACH });
    for (const each of forbiddenSeen(allowed, seen))
      forbidden.push(`${text} in ${place}, ${entries} entries: ${each}`);
    shown += seen.size;
    all += allowed.size;
  }
  return { forbidden, share: shown / all };
}
