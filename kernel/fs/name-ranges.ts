// The ranges of pages that child directories get (names.ts): a slot of their parent's range, or a range of the overflow area; and how a machine
// that has made a directory gets all of its range to itself.
import { pagesLock, pagesUnlock } from "../coherence/lock-calls";
import { objectClaim, pageHeld, pageHold, pageLetGo } from "../coherence/pager";
import { allocate, release } from "../memory/slab";
import { ENOSPC } from "../process/errno";
import {
  CARVED,
  Header,
  LOCKS_BYTES,
  lockAdd,
  lockRange,
  namesLock,
  namesReady,
  namesUnlock,
  objectOf,
  PAGE,
  Place,
  placeCopy,
  placeNew,
  ROOT_ORDER,
  SLOT_SHIFT,
  slotClear,
} from "./names";

const ROOT_SLOTS: u32 = 32;
const ALL_SLOTS: u32 = 64;
const OVERFLOW_FIRST: u64 = (<u64>1) << 39;
const OVERFLOW_MAPS: u64 = 64;
const OVERFLOW_ORDER: u32 = 10;

/**
 * All pages of a directory that this machine has just made are to be its own, and the right to lock them: 6 messages at the most, once, after
 * which nothing that it does below is said to anybody.
 */
export function directoryClaim(place: Place): void {
  if (namesReady(place) >= 0) objectClaim(objectOf(place), place.first, rangeEnd(place.first, place.order));
}

export function directoryClaimLocks(place: Place): void {
  const range = allocate(16);
  lockRange(range, 0, place.first, rangeEnd(place.first, place.order));
  if (pagesLock(objectOf(place), range, 1) >= 0) pagesUnlock(objectOf(place));
  release(range);
}

function rangeEnd(first: u64, order: u32): u64 {
  return first + ((<u64>1) << order) - 1;
}

// --- Ranges of pages for child directories ---

/** A slot that is free: child's `first` and `order` are set. False: there is none, and it has to be overflow. */
export function slotFree(place: Place, header: Header, child: Place): bool {
  if (place.order < CARVED) return false;
  const slots = place.order === ROOT_ORDER ? ROOT_SLOTS : ALL_SLOTS;
  const slot = u32(ctz<u64>(~(header.slots | 1)));
  if (slot >= slots) return false;
  child.order = place.order - SLOT_SHIFT;
  child.first = place.first + (u64(slot) << child.order);
  header.slots |= (<u64>1) << slot;
  return true;
}

function isOverflow(place: Place): bool {
  return place.first >= OVERFLOW_FIRST;
}

/**
 * Without any lock: a directory has ended whose slots nobody has, and its range is free. The directory that gave it a slot need not be the one that
 * it was in at last; if that has ended as well, and waited for this one, its own range is free too.
 */
export function rangeGiveBack(child: Place): void {
  const at = placeNew();
  const giver = placeNew();
  placeCopy(at, child);
  giver.system = child.system;
  const range = allocate(LOCKS_BYTES);
  while (true) {
    if (isOverflow(at)) {
      overflowChange(at, false);
      break;
    }
    giver.order = at.order + SLOT_SHIFT;
    giver.first = at.first & ~(((<u64>1) << giver.order) - 1);
    if (namesLock(giver, range, lockAdd(range, 0, giver)) < 0) break;
    const ended = slotClear(giver, (at.first - giver.first) >> at.order);
    namesUnlock(giver);
    if (!ended) break;
    placeCopy(at, giver);
  }
  release(range);
  release(changetype<usize>(giver));
  release(changetype<usize>(at));
}

/** Without any lock: a range of the overflow area, for `child`. -ENOSPC */
export function overflowTake(child: Place): i64 {
  return overflowChange(child, true);
}

/** A bit for each range of the overflow area, in its first pages. */
function overflowChange(child: Place, take: bool): i64 {
  const ready = namesReady(child);
  if (ready < 0) return ready;
  const object = objectOf(child);
  const ranges = allocate(16);
  lockRange(ranges, 0, OVERFLOW_FIRST, OVERFLOW_FIRST + OVERFLOW_MAPS - 1);
  let result = pagesLock(object, ranges, 1);
  release(ranges);
  if (result < 0) return result;
  const bits = PAGE * 8;
  const number = take ? 0 : (child.first - overflowAt(0)) >> OVERFLOW_ORDER;
  result = -ENOSPC;
  for (let page = number / bits; page < OVERFLOW_MAPS && result === -ENOSPC; page++) {
    result = pageHold(object, OVERFLOW_FIRST + page, true);
    if (result < 0) break;
    const bit = take ? bitTake(pageHeld()) : number % bits;
    if (!take)
      store<u8>(pageHeld() + usize(bit / 8), load<u8>(pageHeld() + usize(bit / 8)) & ~(1 << u8(bit % 8)));
    pageLetGo();
    if (bit < bits) child.first = overflowAt(page * bits + bit);
    else result = -ENOSPC;
  }
  child.order = OVERFLOW_ORDER;
  pagesUnlock(object);
  return result;
}

function overflowAt(number: u64): u64 {
  return OVERFLOW_FIRST + ((number + 1) << OVERFLOW_ORDER);
}

/** Sets the first bit of a page that is 0; its number, or that of the first behind the page. */
function bitTake(page: usize): u64 {
  for (let word: usize = 0; word < usize(PAGE); word += 8) {
    const bits = load<u64>(page + word);
    if (~bits === 0) continue;
    const bit = ctz<u64>(~bits);
    store<u64>(page + word, bits | ((<u64>1) << bit));
    return u64(word) * 8 + bit;
  }
  return PAGE * 8;
}
