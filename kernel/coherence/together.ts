// Pages of a run (runs.ts) that have no records, many in one go: at the home they are given from what their range says and their kept
// bytes, where they were asked for they come to be so; no record is made, hence none merges again. Core 0 only.
//
// Invariant: what is left behind is what records would leave that are made for it, take their short step (steps.ts) and merge at once
// (merge.ts); test/kernel/coherence-steps.test.ts compares.
import { stats } from "../stats";
import { clusterSelf } from "../syslink/cluster";
import { askedCame } from "./asked";
import { rangesOf, rangesReady } from "./grants";
import { Kept, keptBehind, keptCame, keptFind } from "./kept";
import { SharedObject } from "./pager";
import { engine } from "./pages";
import { rangesGoOn, rangesPutState } from "./ranges";
import { PageMessage } from "./records";
import { takeRunsRight } from "./revocations";
import { RUN_PAGE_BYTES, runBytes, runFirst, runGivesKept, runPages, runTransaction } from "./runs";
import { stepGiveRange, stepLowers, stepMayGiveRange, stepMayTakeCopies } from "./steps";
import { SHARED } from "./table";
import { PAGE_BYTES } from "./wire";

/** So many pages lose the right to write with one shoot-down. */
export const TOGETHER: u32 = 32;

/** Of pages that are given, their Kept; of those that come, their frames. */
const given: usize = memory.data(128, 4); // TOGETHER * 4
const rooms: usize = memory.data(128, 4);

/**
 * The message of another machine, of page `index` and `pages` more of a run behind it, asks this machine, their home, for copies. So many
 * of them are given; 0: the first takes more than that.
 */
export function giveTogether(object: SharedObject, message: PageMessage, index: u64, pages: u32): u32 {
  const end = (object.size + 4095) >> 12;
  if (object.home != clusterSelf() || index >= end) return 0;
  const first = keptFind(object, index);
  if (changetype<usize>(first) == 0) return 0;
  rangesReady(object);
  const set = rangesOf(object);
  const wanted = min<u64>(<u64>min<u32>(pages, TOGETHER), end - index);
  const may = <u32>stepMayGiveRange(engine, set, index, wanted, message.from);
  let count: u32 = 0;
  for (let kept = first; count < may && mayGive(kept); kept = keptBehind(object, kept)) {
    store<usize>(given + (count << 2), changetype<usize>(kept));
    count++;
  }
  if (count == 0) return 0;
  if (stepLowers(set, index)) count = renumber(takeRunsRight(object, index, count), count);
  if (count == 0) return 0;
  stepGiveRange(engine, set, index, index + count - 1, message.from);
  runGivesKept(given, count, message.from, message.transaction);
  stats().pagesSent += count;
  return count;
}

/** Of a page that has a record there is none. Of what may be a page of zeros, and of what no right covers, a record knows more. */
function mayGive(kept: Kept): bool {
  if (changetype<usize>(kept) == 0 || kept.frame == 0 || kept.former != 0) return false;
  return load<u64>(kept.frame) != 0;
}

/** `dirty`: a bit for each that a page-table entry says was written. So many of them, from the first on, have numbers now that go out. */
function renumber(dirty: u32, count: u32): u32 {
  for (let i: u32 = 0; i < count; i++) {
    const kept = changetype<Kept>(load<usize>(given + (i << 2)));
    const written = ((dirty >> i) & 1) | <u32>kept.noted | <u32>kept.changed;
    if (kept.serial == 0 && written == 0) {
      // Nothing was ever written: the requester has these bytes. Of those behind it the page tables say no more what they said.
      for (let bits = (dirty >> i) << i; bits != 0; bits &= bits - 1)
        changetype<Kept>(load<usize>(given + ((<u32>ctz(bits)) << 2))).noted = 1;
      return i;
    }
    if (written != 0) kept.serial++;
    kept.noted = 0;
    kept.changed = 0;
    kept.dirty = 0;
  }
  return count;
}

/** The run that is read grants copies. So many of its pages, from page `number` of it on, are here now that were asked for without records. */
export function takeTogether(object: SharedObject, number: u32): u32 {
  if (!stepMayTakeCopies() || object.home == clusterSelf()) return 0;
  const index = runFirst() + number;
  const most = min<u32>(runPages - number, TOGETHER);
  const count = askedCame(object, index, runTransaction() + number, most, given, rooms);
  if (count == 0) return 0;
  let next = index;
  let bytes = runBytes(number);
  for (let at: usize = 0; at != <usize>(count << 2); at += 4) {
    const frame = load<usize>(given + at);
    memory.copy(frame, bytes + 8, PAGE_BYTES);
    keptCame(load<usize>(rooms + at), object, next++, load<u64>(bytes), frame);
    bytes += RUN_PAGE_BYTES;
  }
  const last = index + count - 1;
  if (!rangesGoOn(rangesOf(object), index, last, SHARED)) {
    rangesReady(object);
    rangesPutState(rangesOf(object), index, last, SHARED);
  }
  stats().pagesReceived += count;
  return count;
}
