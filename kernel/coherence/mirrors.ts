// Mirrored mode (`mirror=F`, R3): what a machine has written is on F others as well (or on all that there are) before anybody
// else sees it, or sees anything that was written after it. So the death of F machines takes only writes that nobody saw.
//
//   written   pages that were written since the last cut; a first write faults, since a page is mapped writable only then
//   cut       when a page that was written here leaves: the right to write to all of them ends at one moment, and each gets
//             a serial number; they are of one time
//   unsafe    pages of a cut that fewer than F other machines are known to have
//   safe      F others have it, and everything that was written before it
//
// With one mirror nothing waits for anything: unsafe pages go to whom the page goes, on the same link before it, so who sees
// the page has them; a page that is handed over has its mirror at its former owner, whose frame keeps the bytes. With
// more, a page that was written here leaves when it is safe. What a link has acknowledged is at its other end. A machine keeps the
// newest mirror of each page on its _shelf_; those of one cut count together, when the page that they go in front of is there
// as well. After deaths the newest serial number wins (takeover.ts), and what then is on too few is unsafe before it can leave again.
//
// Invariant (R3): as long as no more than F machines have died since everybody said that all was mirrored anew, each page's newest value
// that somebody has seen is on one of those that are left, whichever of those that may still die do. Page.copies names nobody who does not have
// the bytes of Page.serial or newer ones.
//
// Pure, as engine.ts: page tables, frames and links are mirror-pages.ts's.
import { bitOf, Engine, Page, peerAt } from "./records";
import { NO_SERIAL, serialEnded, serialReverted } from "./serials";

/** Page.mirror */
export const MIRROR_SAFE: u8 = 0;
export const MIRROR_WRITTEN: u8 = 1;
export const MIRROR_UNSAFE: u8 = 2;

/** So many others are to have each page, of those that there are. When there are fewer, some may be enough that were not. */
export function mirrorSet(engine: Engine, copies: u32, others: u64): void {
  const fewer = engine.mirrorOthers & ~others;
  engine.mirrorCopies = copies;
  engine.mirrorOthers = others;
  if (fewer == 0) return;
  let at = engine.mirrors;
  while (at != 0) {
    const page = changetype<Page>(at);
    at = page.mirrorNext;
    if (page.mirror == MIRROR_UNSAFE && enough(engine, page.copies)) become(engine, page, MIRROR_SAFE);
  }
}

function enough(engine: Engine, machines: u64): bool {
  const others = engine.mirrorOthers;
  return popcnt<u64>(machines & others) >= min<u64>(engine.mirrorCopies, popcnt<u64>(others));
}

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
  if (mirrorFresh(page)) engine.mirrorsFresh--;
  if (mirror != MIRROR_SAFE) engine.mirrorsFresh++;
  page.thawed = 0;
  if (page.mirror == MIRROR_SAFE && mirror != MIRROR_SAFE) {
    page.mirrorNext = engine.mirrors;
    engine.mirrors = changetype<usize>(page);
  } else if (page.mirror != MIRROR_SAFE && mirror == MIRROR_SAFE) unlink(engine, page);
  page.mirror = mirror;
  if (mirror != MIRROR_UNSAFE) nothingUnderWay(page);
}

function nothingUnderWay(page: Page): void {
  for (let rest = page.mirrorTo; rest != 0; rest &= rest - 1) peerAt(page, <u32>ctz(rest) + 1).mirrorAt = 0;
  page.mirrorTo = 0;
  page.mirrorOpen = 0;
}

/** A thread here is about to write to the page. Who has what it was before is remembered: others have seen that. */
export function mirrorWritten(engine: Engine, page: Page): void {
  if (page.mirror != MIRROR_WRITTEN) become(engine, page, MIRROR_WRITTEN);
}

/** Nobody here can write to the page any more, since it leaves or is read elsewhere: engineGone() numbers it. */
export function mirrorEnded(engine: Engine, page: Page): void {
  if (page.mirror != MIRROR_WRITTEN) return;
  page.copies = 0;
  become(engine, page, MIRROR_UNSAFE);
}

/** Nobody here can write to the page for the moment: it is of this cut. */
export function mirrorCut(engine: Engine, page: Page): void {
  serialEnded(page, true);
  if (engine.self != <u32>page.home) page.dirty = 1;
  mirrorEnded(engine, page);
}

/** Bytes came from that machine, which has them still. */
export function mirrorTaken(engine: Engine, page: Page, from: u32): void {
  become(engine, page, MIRROR_SAFE);
  page.copies = from != engine.self ? bitOf(from) : 0;
}

/**
 * It has to be where another such page is that leaves here, since it may have been written before that one. Not what has thawed: it was safe, or
 * seen, before F machines died, and F more may only when it is mirrored anew.
 */
export function mirrorFresh(page: Page): bool {
  return page.mirror != MIRROR_SAFE && page.thawed == 0;
}

/** The page has to go to that machine: it neither has it nor is it on its way. */
export function mirrorLacks(page: Page, to: u32): bool {
  return page.mirror == MIRROR_UNSAFE && ((page.copies | page.mirrorTo | page.mirrorOpen) & bitOf(to)) == 0;
}

/** The next page of that kind behind `page` (0: the first one), 0 = there is none. */
export function mirrorNext(engine: Engine, page: Page, mirror: u8): Page {
  let at = changetype<usize>(page) != 0 ? page.mirrorNext : engine.mirrors;
  while (at != 0 && changetype<Page>(at).mirror != mirror) at = changetype<Page>(at).mirrorNext;
  return changetype<Page>(at);
}

/** Its bytes are said to that machine; what they count with as well, when mirrorClosed() says so. */
export function mirrorSent(page: Page, to: u32): void {
  // Safe, nothing was written: its bytes have been elsewhere since they came.
  if (page.mirror == MIRROR_UNSAFE) page.mirrorOpen |= bitOf(to);
}

/** Everything up to `position` on that link has to arrive: then what was said there counts. */
export function mirrorClosed(engine: Engine, to: u32, position: u32): void {
  for (let at = engine.mirrors; at != 0; at = changetype<Page>(at).mirrorNext) {
    const page = changetype<Page>(at);
    if (!(page.mirrorOpen & bitOf(to))) continue;
    page.mirrorOpen &= ~bitOf(to);
    page.mirrorTo |= bitOf(to);
    peerAt(page, to).mirrorAt = position;
  }
}

/** The link to that machine has been acknowledged up to `position`. */
export function mirrorArrived(engine: Engine, machine: u32, position: u32): void {
  let at = engine.mirrors;
  while (at != 0) {
    const page = changetype<Page>(at);
    at = page.mirrorNext;
    if (!(page.mirrorTo & bitOf(machine))) continue;
    const peer = peerAt(page, machine);
    if (<i32>(position - peer.mirrorAt) < 0) continue;
    peer.mirrorAt = 0;
    page.mirrorTo &= ~bitOf(machine);
    page.copies |= bitOf(machine);
    if (enough(engine, page.copies)) become(engine, page, MIRROR_SAFE);
  }
}

/** That machine is dead: what it had is gone, what was under way there as well. */
export function mirrorDied(page: Page, dead: u32): void {
  page.copies &= ~bitOf(dead);
  page.mirrorTo &= ~bitOf(dead);
  page.mirrorOpen &= ~bitOf(dead);
  peerAt(page, dead).mirrorAt = 0;
}

/**
 * The page's home has moved, in a view of other machines, and nothing has left here since. `mine`: this machine answers for the page. What
 * too few of them have is unsafe from here on, so that wherever it goes next its sender knows when it is there; the heal that
 * follows sends it, and what is being written, to as many as are to have it.
 */
export function mirrorThawed(engine: Engine, page: Page, mine: bool): void {
  if (!mine || page.serial == 0 || page.mirror != MIRROR_SAFE || enough(engine, page.copies)) return;
  become(engine, page, MIRROR_UNSAFE);
  engine.mirrorsFresh--;
  page.thawed = 1;
}

/** The page's record goes. */
export function mirrorForget(engine: Engine, page: Page): void {
  become(engine, page, MIRROR_SAFE);
}

// --- At the mirror ---

/** A mirror of the page, of a cut that is all there. True: it is the page's newest, and takes the place of the former one. */
export function shelfCame(page: Page, serial: u64): bool {
  const newer = page.shelf < serial;
  if (newer) page.shelf = serial;
  return newer;
}

/**
 * The newest bytes of the page here become its own. True: they are the mirror's, and are to be copied. Whose machine was left out may
 * have numbered on from them what nobody saw, and may come back with it (R7): so they have a number of another era from here on, by
 * which nobody else has them.
 */
export function shelfTake(engine: Engine, page: Page, had: bool): bool {
  const own = shelfIsOwn(page, had);
  if (!own) page.serial = page.shelf;
  page.shelf = 0;
  serialReverted(engine, page);
  nothingUnderWay(page);
  page.copies = 0;
  return !own;
}

/** The newest bytes of the page here are its own, not the mirror's. */
export function shelfIsOwn(page: Page, had: bool): bool {
  return page.shelf <= shelfOwn(page, had);
}

function shelfOwn(page: Page, had: bool): u64 {
  return had && page.serial != NO_SERIAL ? page.serial : 0;
}

/** The serial number of the newest bytes of the page here, whether or not they may be used; 0: there are none. */
export function shelfBest(page: Page, had: bool): u64 {
  return max<u64>(shelfOwn(page, had), page.shelf);
}
