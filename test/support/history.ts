// What the guest program `history` prints, as operations that linearizability.ts can judge.
import { type SeededRun, seeded } from "./cluster.js";
import {
  type Answer,
  type Call,
  counter,
  lock,
  type Operation,
  queueOf,
  register,
  type Specification,
} from "./linearizability.js";

export type AnySpecification = Specification<unknown, Call, Answer>;
/** What each kind of history is to be. */
export const specifications = {
  xadd: counter as AnySpecification,
  register: register as AnySpecification,
  queue: queueOf(4) as unknown as AnySpecification,
  lock: lock as AnySpecification,
} as const;
export type HistoryKind = keyof typeof specifications;
export const historyKinds = Object.keys(specifications) as HistoryKind[];

export interface Recorded extends Operation<Call, Answer> {
  /** The thread. */
  readonly by: number;
  /** When the thread was told that the operation failed: its outcome is not known. Undefined too when the machine died. */
  readonly told?: number;
}
export type History = Recorded[];

const LINE = /history: (\d+) (\w+) (\d+) (\d+) (?:begins|= (\w+) at) (\d+)(?: (\d+))?$/;

/** An operation without a known outcome may have happened at any time, or not at all; one that was not done is left out. */
export function historyOf(lines: readonly string[]): History {
  const ended: Recorded[] = [];
  const underWay = new Map<number, Recorded>();
  for (const line of lines) {
    const match = LINE.exec(line);
    if (match === null) continue;
    const [by = 0, , first = 0, second = 0, , invoked = 0, returned = 0] = match.slice(1).map(Number);
    const call = { name: match[2]!, first, second };
    const open = { call, result: undefined, invoked, returned: Number.POSITIVE_INFINITY, by };
    underWay.delete(by);
    const result = match[5];
    if (result === undefined) underWay.set(by, open);
    else if (result === "unknown") ended.push({ ...open, told: returned });
    else if (result !== "none")
      ended.push({ ...open, result: result === "no" ? null : Number(result), returned });
  }
  return [...ended, ...underWay.values()];
}

export interface HistoryShape {
  readonly machines: number;
  readonly cores: number;
  readonly seed: number;
  /** Of each thread. */
  readonly operations: number;
  /** Invalidations take long, and whoever reads a page that goes round has a copy of it, instead of the page. */
  readonly far?: boolean;
  /** A planted one. */
  readonly kernel?: Uint8Array;
}

/** A run of the program; what was recorded, if it ended well. */
export async function recorded(
  kind: string,
  o: HistoryShape,
): Promise<{ run: SeededRun; args: readonly (string | number)[]; history: History }> {
  const args = [kind, o.operations];
  const run = await seeded("history", args, {
    machines: o.machines,
    cores: o.cores,
    seed: o.seed,
    memory: 16 << 20,
    limit: 3e9,
    ...(o.far && { append: "migrate=0", network: { delay: [1, 60] as const } }),
    ...(o.kernel && { kernel: o.kernel }),
  });
  return { run, args, history: historyOf(run.lines) };
}
