// x86-TSO as an abstract machine, and all that it allows: Sewell, Sarkar, Owens, Zappa Nardelli, Myreen, "x86-TSO: A
// Rigorous and Usable Programmer's Model for x86 Multiprocessors" (CACM 53:7, 2010), section 3.2. Each thread has a
// FIFO store buffer in front of one memory. A store enters the buffer; a load takes the newest store of its own
// buffer, else memory; at any time the oldest store of a buffer may go to memory; MFENCE waits until the thread's
// buffer is empty; a locked instruction starts and ends with an empty buffer, and nobody else moves meanwhile.
//
// The paper has words of one size. Here memory is bytes: a load that a buffered store covers in part takes the rest
// from memory, as AMD APM vol. 2, 7.2 says; an operand that is split (its halves lie in two lines or pages) is no
// single access but one of each byte, ascending.
//
// A test is written as its threads' steps, "|" between threads, ";" between steps, and behind "/" the cells whose
// final values are observed:
//   x=1 store   x load   x~1 XCHG   x+1 LOCK XADD   mfence, lock, xchg: the instruction, on nobody's cell
// An operand is a cell (x, y, z), four bytes at its start unless told: x.b1 is its second byte (b, w, d, q: 1, 2, 4, 8
// bytes). An outcome is the loaded values in written order, thread by thread, then the final ones, with commas.

export interface Place {
  readonly cell: number;
  readonly offset: number;
  readonly bytes: number;
}
export type Step =
  | { readonly kind: "load"; readonly place: Place }
  | { readonly kind: "store" | "exchange" | "add"; readonly place: Place; readonly value: bigint }
  | { readonly kind: "fence"; readonly by: Fence };
export interface Shape {
  readonly threads: readonly (readonly Step[])[];
  readonly finals: readonly Place[];
}
export const fences = ["mfence", "lock", "xchg"] as const;
export type Fence = (typeof fences)[number];
export const cellNames = ["x", "y", "z"] as const;
export const CELL_BYTES = 8;

// --- reading ---

const SIZES: Record<string, number> = { b: 1, w: 2, d: 4, q: 8 };
const STEP = /^(?<cell>[xyz])(?:\.(?<size>[bwdq])(?<offset>[0-7]))?(?:(?<what>[=~+])(?<value>\d+))?$/;

export function parseShape(text: string): Shape {
  const [threads = "", finals = ""] = text.split("/");
  return {
    threads: threads.split("|").map((thread) => thread.split(";").map(parseStep)),
    finals: finals === "" ? [] : finals.split(",").map((word) => placeOf(parsed(word))),
  };
}

/** The shape's text with a fence between any two steps of a thread. */
export function fenced(text: string, fence: Fence): string {
  return text.replaceAll(";", `;${fence};`);
}

function parsed(word: string): Record<string, string | undefined> {
  const groups = STEP.exec(word)?.groups;
  if (groups === undefined) throw new Error(`litmus step "${word}": not x, x=1, x~1, x+1 or a fence`);
  return groups;
}
function placeOf({ cell, size = "d", offset = "0" }: Record<string, string | undefined>): Place {
  return { cell: cellNames.indexOf(cell as "x"), offset: Number(offset), bytes: SIZES[size]! };
}
function parseStep(word: string): Step {
  if ((fences as readonly string[]).includes(word)) return { kind: "fence", by: word as Fence };
  const groups = parsed(word);
  const place = placeOf(groups);
  if (place.offset + place.bytes > CELL_BYTES) throw new Error(`litmus step "${word}" leaves its cell`);
  if (groups["what"] === undefined) return { kind: "load", place };
  const kind = groups["what"] === "=" ? "store" : groups["what"] === "~" ? "exchange" : "add";
  return { kind, place, value: BigInt(groups["value"]!) };
}

// --- the abstract machine ---

export interface Model {
  /** Entries of each store buffer; 0 is sequential consistency. */
  readonly entries?: number;
  /** Operands that are no single access. */
  readonly split?: (place: Place) => boolean;
}

interface Buffered {
  readonly at: number;
  readonly bytes: number;
  readonly value: bigint;
}
interface Thread {
  readonly next: number;
  readonly buffer: readonly Buffered[];
  /** Loaded so far, in order. */
  readonly loaded: readonly bigint[];
}
interface State {
  /** All cells, one after the other, little endian. */
  readonly memory: bigint;
  readonly threads: readonly Thread[];
}

const mask = (bytes: number): bigint => (1n << BigInt(8 * bytes)) - 1n;
const put = (memory: bigint, { at, bytes, value }: Buffered): bigint => {
  const shift = BigInt(8 * at);
  return (memory & ~(mask(bytes) << shift)) | ((value & mask(bytes)) << shift);
};
const take = (memory: bigint, at: number, bytes: number): bigint => (memory >> BigInt(8 * at)) & mask(bytes);
const addressOf = (p: Place): number => p.cell * CELL_BYTES + p.offset;
const keyOf = (s: State): string =>
  `${s.memory} ${s.threads
    .map((t) => `${t.next};${t.buffer.map((b) => `${b.at}.${b.bytes}.${b.value}`)};${t.loaded}`)
    .join("|")}`;

/** Every outcome that the abstract machine can come to. */
export function allowed(shape: Shape, model: Model = {}): Set<string> {
  const entries = model.entries ?? Number.POSITIVE_INFINITY;
  const programs = shape.threads.map((steps) => accessesOf(steps, model.split));
  const start: State = { memory: 0n, threads: programs.map(() => ({ next: 0, buffer: [], loaded: [] })) };
  const outcomes = new Set<string>();
  const seen = new Set<string>([keyOf(start)]);
  const open = [start];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    let stuck = true;
    for (const next of successors(state, programs, entries)) {
      stuck = false;
      const key = keyOf(next);
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(next);
    }
    if (stuck) outcomes.add(outcomeOf(shape, state));
  }
  return outcomes;
}

/** What a thread does, access by access; `joins` says that a load is a further byte of the value before. */
type Access = Step & { readonly joins?: number };

function accessesOf(steps: readonly Step[], split: Model["split"]): Access[] {
  return steps.flatMap((step): Access[] => {
    if ((step.kind !== "load" && step.kind !== "store") || split?.(step.place) !== true) return [step];
    return Array.from({ length: step.place.bytes }, (_, i): Access => {
      const place = { ...step.place, offset: step.place.offset + i, bytes: 1 };
      if (step.kind === "store") return { ...step, place, value: take(step.value, i, 1) };
      return i === 0 ? { ...step, place } : { ...step, place, joins: i };
    });
  });
}

/**
 * What a thread does to its own buffer alone, and will be able to do however the others go on, if it does such a thing next:
 * nobody can tell when, so it need not be tried in every order (Godefroid, "Partial-Order Methods", 1996, persistent sets).
 */
function alone(thread: Thread, access: Access | undefined, entries: number): Thread | undefined {
  const done = { ...thread, next: thread.next + 1 };
  if (access?.kind === "fence") return thread.buffer.length === 0 ? done : undefined;
  if (access?.kind !== "store" || thread.buffer.length >= entries) return undefined;
  const { place, value } = access;
  return { ...done, buffer: [...thread.buffer, { at: addressOf(place), bytes: place.bytes, value }] };
}

function* successors(state: State, programs: readonly Access[][], entries: number): Generator<State> {
  for (const [index, thread] of state.threads.entries()) {
    const now = alone(thread, programs[index]![thread.next], entries);
    if (now === undefined) continue;
    yield { memory: state.memory, threads: state.threads.map((t, i) => (i === index ? now : t)) };
    return;
  }
  for (const [index, thread] of state.threads.entries()) {
    const become = (memory: bigint, now: Thread): State => ({
      memory,
      threads: state.threads.map((t, i) => (i === index ? now : t)),
    });
    const [oldest, ...buffer] = thread.buffer;
    if (oldest !== undefined) yield become(put(state.memory, oldest), { ...thread, buffer });
    const access = programs[index]![thread.next];
    if (access === undefined) continue;
    const done = { ...thread, next: thread.next + 1 };
    if (access.kind === "fence") continue; // waits for the buffer to be empty
    const at = addressOf(access.place);
    const { bytes } = access.place;
    if (access.kind === "load") {
      const seen = take(thread.buffer.reduce(put, state.memory), at, bytes);
      yield become(state.memory, { ...done, loaded: joined(thread.loaded, seen, access.joins) });
    } else if (access.kind === "store") {
      const store = { at, bytes, value: access.value };
      if (entries === 0) yield become(put(state.memory, store), done);
    } else if (oldest === undefined) {
      const old = take(state.memory, at, bytes);
      const value = access.kind === "add" ? old + access.value : access.value;
      yield become(put(state.memory, { at, bytes, value }), { ...done, loaded: [...thread.loaded, old] });
    }
  }
}

function joined(loaded: readonly bigint[], value: bigint, joins: number | undefined): readonly bigint[] {
  if (joins === undefined) return [...loaded, value];
  return [...loaded.slice(0, -1), loaded.at(-1)! | (value << BigInt(8 * joins))];
}

function outcomeOf(shape: Shape, { memory, threads }: State): string {
  const finals = shape.finals.map((place) => take(memory, addressOf(place), place.bytes));
  return [...threads.flatMap((t) => t.loaded), ...finals].join(",");
}
