// Mirrored mode (`mirror=1`, R3): what a machine has written is on another one as well before anybody else sees it, or sees
// anything that was written after it. So the death of a machine takes only writes that nobody saw.
//
//   written   pages that were written since the last cut; a first write faults, since a page is mapped writable only then
//   cut       when a page that was written here leaves: the right to write to all of them ends at one moment, and each gets
//             a serial number; they are of one time
//   unsafe    pages of a cut that no other machine is known to have. They go to whom the page goes, on the same link before it:
//             who sees the page has them. What the link has acknowledged is safe
//
// Nothing waits for anything: who asks for a page is its mirror, and that of what was written before it. A page that is
// handed over has its mirror at its former owner, whose frame keeps the bytes. A machine keeps the newest mirror of each page
// on its _shelf_; those of one cut count together, when the page that they go in front of is there
// as well. After a death the newest serial number wins (takeover.ts). Pure, as engine.ts: page tables, frames and links are mirror-pages.ts's.
import { bitOf, Engine, Page } from "./records";
import { NO_SERIAL, serialEnded } from "./serials";

/** Page.mirror */
export const MIRROR_SAFE: u8 = 0;
export const MIRROR_WRITTEN: u8 = 1;
export const MIRROR_UNSAFE: u8 = 2;

function unlink(engine: Engine, page: Page): void {
  let before: usize = 0;
  let at = engine.mirrors;
  while (at != 0 && at != changetype<usize>(page)) {
    before = at;
    at = changetype<Page>(at).mirrorNext;
  }
  assert(at != 0, "a page is mirrored that is in no list");
  if (before != 0) changetype<Page>(before).mirrorNext = page.mirrorNext;
  else engine.mirrors = page.mirrorNext;
  page.mirrorNext = 0;
}

function become(engine: Engine, page: Page, mirror: u8): void {
  if (page.mirror == MIRROR_SAFE && mirror != MIRROR_SAFE) {
    page.mirrorNext = engine.mirrors;
    engine.mirrors = changetype<usize>(page);
  } else if (page.mirror != MIRROR_SAFE && mirror == MIRROR_SAFE) unlink(engine, page);
  page.mirror = mirror;
}

/** A thread here is about to write to the page. */
export function mirrorWritten(engine: Engine, page: Page): void {
  become(engine, page, MIRROR_WRITTEN);
  page.mirrorTo = 0;
  page.copies = 0;
}

/** Nobody here can write to the page any more, since it leaves or is read elsewhere: engineGone() numbers it. */
export function mirrorEnded(engine: Engine, page: Page): void {
  if (page.mirror == MIRROR_WRITTEN) become(engine, page, MIRROR_UNSAFE);
}

/** Nobody here can write to the page for the moment: it is of this cut. */
export function mirrorCut(engine: Engine, page: Page): void {
  serialEnded(page, true);
  if (engine.self != <u32>page.home) page.dirty = 1;
  become(engine, page, MIRROR_UNSAFE);
}

/** Bytes came from that machine, which has them still. */
export function mirrorTaken(engine: Engine, page: Page, from: u32): void {
  become(engine, page, MIRROR_SAFE);
  page.mirrorTo = 0;
  page.copies = from != engine.self ? bitOf(from) : 0;
}

/** Whether something has to go to `to` before the page does. */
export function mirrorNeeded(engine: Engine, page: Page, to: u32): bool {
  if (page.mirror != MIRROR_SAFE) return true;
  for (let at = engine.mirrors; at != 0; at = changetype<Page>(at).mirrorNext) {
    const other = changetype<Page>(at);
    if (other.mirror == MIRROR_UNSAFE && <u32>other.mirrorTo != to) return true;
  }
  return false;
}

/** The next page of that kind behind `page` (0: the first one), 0 = there is none. */
export function mirrorNext(engine: Engine, page: Page, mirror: u8): Page {
  let at = changetype<usize>(page) != 0 ? page.mirrorNext : engine.mirrors;
  while (at != 0 && changetype<Page>(at).mirror != mirror) at = changetype<Page>(at).mirrorNext;
  return changetype<Page>(at);
}

/** Its bytes are on their way to that machine; everything up to `position` on that link has to arrive. */
export function mirrorSent(page: Page, to: u32, position: u32): void {
  if (page.mirror != MIRROR_UNSAFE) return; // nothing was written: its bytes have been elsewhere since they came
  page.mirrorTo = <u8>to;
  page.mirrorAt = position;
}

/** The link to that machine has been acknowledged up to `position`. */
export function mirrorArrived(engine: Engine, machine: u32, position: u32): void {
  let at = engine.mirrors;
  while (at != 0) {
    const page = changetype<Page>(at);
    at = page.mirrorNext;
    if (page.mirror != MIRROR_UNSAFE || <u32>page.mirrorTo != machine) continue;
    if (<i32>(position - page.mirrorAt) < 0) continue;
    page.copies |= bitOf(machine);
    page.mirrorTo = 0;
    become(engine, page, MIRROR_SAFE);
  }
}

/** These machines are gone. `mine`: this machine answers for the page. Without a copy elsewhere it has to be mirrored anew. */
export function mirrorDied(engine: Engine, page: Page, dead: u64, mine: bool): void {
  page.copies &= ~dead;
  if (page.mirrorTo != 0 && dead & bitOf(page.mirrorTo)) page.mirrorTo = 0;
  if (page.mirror == MIRROR_SAFE && mine && page.copies == 0 && page.serial != 0)
    become(engine, page, MIRROR_UNSAFE);
}

/** The page's record goes. */
export function mirrorForget(engine: Engine, page: Page): void {
  become(engine, page, MIRROR_SAFE);
}

// --- At the mirror ---

/** A mirror of the page has come, of a cut that is not all there yet. */
export function shelfComing(page: Page, from: u32, serial: u64): void {
  page.coming = serial;
  page.comingFrom = <u8>from;
}

/** The cut is there. True: this is the page's newest mirror, and takes the place of the former one. */
export function shelfCame(page: Page): bool {
  const newer = page.shelf < page.coming;
  if (newer) page.shelf = page.coming;
  page.comingFrom = 0;
  return newer;
}

/** The newest bytes of the page here become its own. True: they are the mirror's, and are to be copied. */
export function shelfTake(page: Page, had: bool): bool {
  const own = page.shelf <= shelfOwn(page, had);
  if (!own) {
    page.serial = page.shelf;
    page.changed = 0;
  }
  page.shelf = 0;
  return !own;
}

function shelfOwn(page: Page, had: bool): u64 {
  return had && page.serial != NO_SERIAL ? page.serial : 0;
}

/** The serial number of the newest bytes of the page here, whether or not they may be used; 0: there are none. */
export function shelfBest(page: Page, had: bool): u64 {
  return max<u64>(shelfOwn(page, had), page.shelf);
}
