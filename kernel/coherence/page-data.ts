// A page's bytes as they travel: whole, as what has changed since the page came from the machine that it goes back to
// (difference.ts), or not at all when they are zeros. Core 0 only.
//
// Invariant: while `twinOf` names a machine, that machine still has in its frame what `twin` holds.
import { frameAllocate } from "../memory/frames";
import { panic } from "../panic";
import { stats } from "../stats";
import { isFoughtOver } from "./contention";
import { DIFFERENCE_MAX, differenceApply, differenceWrite } from "./difference";
import { Action, Page, PageMessage, RIGHT, RIGHT_MODIFIED, SAME_DATA, SAY_GRANT } from "./records";
import { NO_DIFFERENCE, PAGE_BYTES, wireData, wireDifference, wireDifferenceBytes } from "./wire";

const differenceRoom: usize = memory.data(DIFFERENCE_MAX, 8);

/** What dataToSend() gave is a difference of so many bytes; NO_DIFFERENCE: a whole page, or none. */
export let differenceBytes: u32 = NO_DIFFERENCE;

/** Where the bytes to send stand; 0 when they are all zeros. */
export function dataToSend(page: Page, action: Action): usize {
  differenceBytes = NO_DIFFERENCE;
  const counters = stats();
  if (action.sayFlags & SAME_DATA) {
    counters.pagesRevalidated++;
    return 0;
  }
  counters.pagesSent++;
  differenceBytes = differenceFor(page, action);
  if (differenceBytes != NO_DIFFERENCE) return differenceRoom;
  return page.frame != 0 && !isZero(page.frame) ? page.frame : 0;
}

/** Written to differenceRoom, when the page goes back to where it came from and little has changed; else NO_DIFFERENCE. */
function differenceFor(page: Page, action: Action): u32 {
  if (page.twinOf != <u32>action.to) return NO_DIFFERENCE;
  page.twinOf = 0;
  if (page.twinSerial != action.base) return NO_DIFFERENCE; // it has forgotten them, or others
  if ((action.sayFlags & RIGHT) != RIGHT_MODIFIED || action.say != SAY_GRANT) return NO_DIFFERENCE;
  const bytes = differenceWrite(page.frame, page.twin, differenceRoom);
  return bytes > DIFFERENCE_MAX ? NO_DIFFERENCE : bytes;
}

/**
 * The page has come, alone to this machine: who sent it has kept it, in the frame that it took it from, and nothing
 * changes that until the page comes there again, from here or after this machine has lost it. Only pages that are
 * fought over are worth a copy.
 */
function twinTake(page: Page, incoming: PageMessage): void {
  page.twinOf = 0;
  if (incoming.kind != SAY_GRANT || (incoming.flags & RIGHT) != RIGHT_MODIFIED) return;
  if (!isFoughtOver(page)) return;
  if (page.twin == 0) page.twin = frameAllocate();
  if (page.twin == 0) return;
  memory.copy(page.twin, page.frame, PAGE_BYTES);
  page.twinOf = incoming.from;
  page.twinSerial = incoming.serial;
}

/** A page of zeros is sent as such. */
export function isZero(frame: usize): bool {
  for (let at = frame; at < frame + PAGE_BYTES; at += 8) if (load<u64>(at) != 0) return false;
  return true;
}

/** The data of the message that wireRead() has just read. */
export function dataTake(page: Page, incoming: PageMessage): void {
  if (page.frame == 0) {
    page.frame = frameAllocate();
    if (page.frame == 0) panic("out of memory for a page of the backing store");
  }
  if (incoming.flags & SAME_DATA) {
    page.twinOf = 0;
    return;
  }
  const counters = stats();
  counters.pagesReceived++;
  if (wireDifferenceBytes != NO_DIFFERENCE) differenceApply(page.frame, wireDifference, wireDifferenceBytes);
  else if (wireData != 0) memory.copy(page.frame, wireData, PAGE_BYTES);
  else memory.fill(page.frame, 0, PAGE_BYTES);
  twinTake(page, incoming);
}
