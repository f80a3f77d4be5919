// The memory of sets of ranges (ranges.ts, which is pure).
import { allocate, release } from "../memory/slab";
import { RANGE_BYTES, RangeSet, rangesCreate } from "./ranges";

const FIRST_ROOM: u32 = 16;
/** Before a set is changed there is room for so many more: one event of the engine takes that at the most. */
const ROOM: u32 = 8;

/** One range, over all pages. */
export function setCreate(): usize {
  const set = changetype<RangeSet>(allocate(offsetof<RangeSet>()));
  rangesCreate(set, allocate(FIRST_ROOM * RANGE_BYTES), FIRST_ROOM);
  return changetype<usize>(set);
}

/** 0 is allowed. */
export function setDrop(set: usize): void {
  if (set == 0) return;
  release(changetype<RangeSet>(set).at);
  release(set);
}

/** Before every change. */
export function setReady(set: RangeSet): void {
  if (set.count + ROOM > set.capacity) grow(set);
}

function grow(set: RangeSet): void {
  const capacity = set.capacity * 2;
  const at = allocate(<usize>(capacity * RANGE_BYTES));
  memory.copy(at, set.at, <usize>(set.count * RANGE_BYTES));
  release(set.at);
  set.at = at;
  set.capacity = capacity;
}
