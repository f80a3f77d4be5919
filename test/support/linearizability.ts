// Is a history linearizable? Herlihy and Wing, "Linearizability: A Correctness Condition for Concurrent Objects" (TOPLAS
// 12:3, 1990): there is an order of the operations, one after the other, that the object's specification allows, in
// which whatever returned before another was invoked comes first. The search is Wing and Gong's ("Testing and Verifying
// Concurrent Objects", 1993) with Lowe's memory of what was tried ("Testing for Linearizability", 2017).
//
// An operation that never returned may have happened at any time after it was invoked, with any result, or not at all.

export interface Operation<Call, Result> {
  readonly call: Call;
  /** Undefined: it is not known. */
  readonly result: Result | undefined;
  readonly invoked: number;
  /** Infinity: it never returned. */
  readonly returned: number;
  /** For reports. */
  readonly by?: number;
}

export interface Specification<State, Call, Result> {
  readonly initial: State;
  /** The state after the call; undefined when it cannot have had this result. An unknown result fits always. */
  step(state: State, call: Call, result: Result | undefined): State | undefined;
  /** Equal for equal states. */
  key(state: State): string;
}

export type Verdict<Call, Result> =
  | { readonly linearizable: true; readonly order: readonly Operation<Call, Result>[] }
  /** The longest beginning of an order that was found, and the operations one of which had to come next. */
  | {
      readonly linearizable: false;
      readonly longest: readonly Operation<Call, Result>[];
      readonly stuck: readonly Operation<Call, Result>[];
    };

export function check<State, Call, Result>(
  history: readonly Operation<Call, Result>[],
  specification: Specification<State, Call, Result>,
): Verdict<Call, Result> {
  for (const { invoked, returned } of history) {
    if (!(invoked <= returned))
      throw new RangeError(`an operation returned at ${returned}, invoked at ${invoked}`);
  }
  const operations = [...history].sort((a, b) => a.invoked - b.invoked);
  const tried = new Set<string>();
  const done: boolean[] = operations.map(() => false);
  const order: number[] = [];
  let longest: number[] = [];

  /** Operations that may come next: nothing that is left has returned before they were invoked. */
  const candidates = (): number[] => {
    let earliest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < operations.length; i++)
      if (!done[i]) earliest = Math.min(earliest, operations[i]!.returned);
    const found: number[] = [];
    for (let i = 0; i < operations.length && operations[i]!.invoked <= earliest; i++)
      if (!done[i]) found.push(i);
    return found;
  };
  const search = (state: State): boolean => {
    if (operations.every((o, i) => done[i] === true || o.returned === Number.POSITIVE_INFINITY)) return true;
    const memory = `${done.map((d) => (d ? "1" : "0")).join("")} ${specification.key(state)}`;
    if (tried.has(memory)) return false;
    tried.add(memory);
    for (const index of candidates()) {
      const { call, result } = operations[index]!;
      const next = specification.step(state, call, result);
      if (next === undefined) continue;
      done[index] = true;
      order.push(index);
      if (order.length > longest.length) longest = [...order];
      if (search(next)) return true;
      order.pop();
      done[index] = false;
    }
    return false;
  };

  if (search(specification.initial)) return { linearizable: true, order: order.map((i) => operations[i]!) };
  for (let i = 0; i < operations.length; i++) done[i] = longest.includes(i);
  return {
    linearizable: false,
    longest: longest.map((i) => operations[i]!),
    stuck: candidates().map((i) => operations[i]!),
  };
}

// --- specifications of what the guest program `history` does (kernel/user/history.ts) ---

export interface Call {
  readonly name: string;
  readonly first: number;
  readonly second: number;
}
/** Null: refused (empty, full, held). */
export type Answer = number | null;

const fits = (result: Answer | undefined, wanted: Answer): boolean =>
  result === undefined || result === wanted;

/** LOCK XADD of 1: the old value. */
export const counter: Specification<number, Call, Answer> = {
  initial: 0,
  step: (state, _, result) => (fits(result, state) ? state + 1 : undefined),
  key: String,
};

/** Read, XCHG and CMPXCHG: each gives the old value. */
export const register: Specification<number, Call, Answer> = {
  initial: 0,
  step: (state, { name, first, second }, result) => {
    if (!fits(result, state)) return undefined;
    if (name === "read") return state;
    if (name === "write") return first;
    return state === first ? second : state;
  },
  key: String,
};

/** A queue of so many values: put gives 1, take the oldest. */
export const queueOf = (capacity: number): Specification<readonly number[], Call, Answer> => ({
  initial: [],
  step: (state, { name, first }, result) => {
    if (name === "put") {
      const full = state.length === capacity;
      return fits(result, full ? null : 1) ? (full ? state : [...state, first]) : undefined;
    }
    const [oldest = null, ...rest] = state;
    return fits(result, oldest) ? rest : undefined;
  },
  key: (state) => state.join(),
});

/** A lock: an attempt has it when it is free; releases are by its holder. */
export const lock: Specification<boolean, Call, Answer> = {
  initial: false,
  step: (held, { name }, result) => {
    if (name === "try") return fits(result, held ? null : 1) ? true : undefined;
    return held ? false : undefined;
  },
  key: String,
};
