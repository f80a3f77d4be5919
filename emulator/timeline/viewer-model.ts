// What the viewer of a report's page has to show: the Timeline in the page, as rows of segments, a row a page of a machine. It
// knows no numbers of the kernel's: states and messages come with their names, and names choose colours.

import type { StateRow, Timeline } from "./data.js";

export const data = JSON.parse(document.getElementById("data")!.textContent!) as Timeline;
export const AGAIN = 1;
export const WITH_PAGE = 2;
export const WITH_DIFFERENCE = 4;
/** Columns of a MessageRow and of a StateRow. */
export const [SENT, ARRIVED, FROM, TO, NAME, BYTES, OBJECT, PAGE, FLAGS] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8,
] as const;
export const [AT, MACHINE, OF, FIRST, STATE, DIRECTORY, OWNER, LAST] = [0, 1, 2, 3, 4, 5, 6, 7] as const;

/** The first that fits gives class and meaning. */
// biome-ignore format: a table reads by columns
export const looks: readonly (readonly [name: RegExp, look: string, says: string])[] = [
  [/FAILED|ORPHANED|LOST|RECOVER/, "failed",  "lost: who was to answer is dead"],
  [/LEAVING|LOWERING/,             "leaving", "being taken away"],
  [/_WRITE$|^COLLECTING/,          "wants",   "waits for the right to write"],
  [/_READ$|OPERATE/,               "asks",    "waits to read, or for an operation"],
  [/^MODIFIED/,                    "M",       "M: modified, may write"],
  [/^EXCLUSIVE/,                   "E",       "E: exclusive, may write"],
  [/^OWNED/,                       "O",       "O: owned, others share it"],
  [/^SHARED/,                      "S",       "S: shared, may read"],
  [/^INVALID|/,                    "I",       "I: invalid"],
];
export const lookOf = data.states.map((name) => looks.find(([pattern]) => pattern.test(name))![1]);

export interface Segment {
  readonly from: number;
  to: number;
  readonly row: StateRow;
  /** The page has no record of its own: it is as its range. */
  readonly ranged: boolean;
}
export interface Row {
  readonly object: number;
  readonly page: number;
  /** By machine, from 0. */
  readonly segments: Segment[][];
}

export const key = (object: number, page: number) => object * 2 ** 40 + page;
export const machineCount = data.machines.length;

// --- What there is to show ---

/** How much happens to each page: the busiest come first. */
const activity = new Map<number, { object: number; page: number; count: number }>();
function active(object: number, page: number): void {
  if (object < 0 || page < 0) return;
  const k = key(object, page);
  const entry = activity.get(k) ?? { object, page, count: 0 };
  entry.count++;
  activity.set(k, entry);
}
for (const m of data.messages) active(m[OBJECT], m[PAGE]);
for (const c of data.changes) if (c[LAST] < 0) active(c[OF], c[FIRST]);
export const busiest = [...activity.values()].sort((a, b) => b.count - a.count);

/** Changes of one page of one machine, and the ranges of its objects, each in the order of time. */
const ownChanges = new Map<string, StateRow[]>();
const rangeChanges = new Map<string, StateRow[]>();
for (const c of data.changes) {
  const single = c[LAST] < 0;
  const map = single ? ownChanges : rangeChanges;
  const k = single ? `${c[MACHINE]} ${key(c[OF], c[FIRST])}` : `${c[MACHINE]} ${c[OF]}`;
  const list = map.get(k);
  if (list === undefined) map.set(k, [c]);
  else list.push(c);
}

function segmentsOf(machine: number, object: number, page: number): Segment[] {
  const own = ownChanges.get(`${machine} ${key(object, page)}`) ?? [];
  const ranges = (rangeChanges.get(`${machine} ${object}`) ?? []).filter(
    (c) => c[STATE] < 0 || (c[FIRST] <= page && c[LAST] >= page),
  );
  const segments: Segment[] = [];
  let [record, range]: (StateRow | null)[] = [null, null];
  const all = [...own.map((c) => [c, false] as const), ...ranges.map((c) => [c, true] as const)];
  all.sort((a, b) => a[0][AT] - b[0][AT] || a[0][STATE] - b[0][STATE]);
  for (const [change, ranged] of all) {
    const now = change[STATE] < 0 ? null : change;
    if (ranged) range = now;
    else record = now;
    const last = segments.at(-1);
    const shown = record ?? range;
    if (last !== undefined && last.row === shown) continue;
    if (last !== undefined) last.to = Math.min(last.to, change[AT]);
    if (last !== undefined && last.to <= last.from) segments.pop();
    const before = segments.at(-1);
    const fromRange = record === null;
    if (
      before !== undefined &&
      shown !== null &&
      before.to === change[AT] &&
      before.ranged === fromRange &&
      before.row[STATE] === shown[STATE] &&
      before.row[DIRECTORY] === shown[DIRECTORY] &&
      before.row[OWNER] === shown[OWNER]
    )
      before.to = data.end;
    else if (shown !== null) segments.push({ from: change[AT], to: data.end, row: shown, ranged: fromRange });
  }
  return segments;
}

export const rowOf = (object: number, page: number): Row => ({
  object,
  page,
  segments: data.machines.map((_, i) => segmentsOf(i + 1, object, page)),
});

/** Index of the first element for which it holds; they are sorted so that it holds for all behind. */
export function first<T>(list: readonly T[], holds: (element: T) => boolean): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(list[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}
