// Merging: a page's record that says no more than a range could is a part of a range again, and neighbours in the same state are one
// (promises 80, 83). And what is thrown away when records are to become fewer (promise 84). Pure, as engine.ts.
//
// A record may go when nothing is under way that it remembers: no request, no revocation, nobody who is to be served from here. At
// the home also no request that another machine was to answer, and no acknowledgement that another was to send: of these
// the home hears no more, and would have to speak up if that machine died. What the home itself has answered is in order: a
// link keeps the order of what it is told, so that a forward finds its receiver with what it was granted before.
//
// A page that the home itself has alone has been handed on by all who wanted it earlier: they have been served.
import { refresh } from "./directory";
import { RangeSet, rangesCarve, rangesMerge, rangesPutState } from "./ranges";
import { bitOf, Engine, Page, peerAt } from "./records";
import { serialEnded } from "./serials";
import {
  CLEAN_SHARED,
  EXCLUSIVE,
  HELD,
  INVALID,
  LOST,
  MODIFIED,
  OWNED,
  RECOVERING,
  SHARED,
  UNUSED,
} from "./table";

/** Nothing is under way with the page here, as far as the engine knows. */
export function pageRests(page: Page): bool {
  const open =
    page.transaction |
    <u32>page.frozen |
    <u32>page.laterKind |
    <u32>page.causeKind |
    <u32>page.purge |
    <u32>page.overtaken |
    <u32>page.left;
  if (open != 0 || (page.readers | page.operations) != 0 || page.directory == RECOVERING) return false;
  switch (page.state) {
    case INVALID:
    case SHARED:
    case OWNED:
    case EXCLUSIVE:
    case MODIFIED:
      return true;
    default:
      return false;
  }
}

function isAlone(engine: Engine, page: Page): bool {
  const writes = page.state == EXCLUSIVE || page.state == MODIFIED;
  return writes && page.directory == HELD && <u32>page.owner == engine.self && page.sharers == 0;
}

/** At the home: nobody else owes anything to anybody on its account. */
function settled(engine: Engine, page: Page): bool {
  const alone = isAlone(engine, page);
  for (let machine: u32 = 1; machine <= engine.machines; machine++) {
    const peer = peerAt(page, machine);
    if (peer.kept != 0) return false;
    // Who was to answer it has died: it may tell of a loss, and that is to be known for the one that it was. What is here is not lost.
    if (!alone && peer.server == 0 && page.passed & bitOf(machine)) return false;
    const others = (peer.server != 0 && <u32>peer.server != engine.self) || peer.acks != 0;
    if (others && (!alone || peer.operating != 0)) return false;
  }
  return true;
}

/** May the page's record go, its range taking over what it says? */
export function pageMayMerge(engine: Engine, page: Page): bool {
  if (page.ranges == 0 || !pageRests(page)) return false;
  if (engine.self != page.home) return page.state != OWNED;
  refresh(page);
  if (page.state == OWNED && page.directory != CLEAN_SHARED) return false;
  switch (page.directory) {
    case UNUSED:
    case LOST:
    case CLEAN_SHARED:
      break;
    case HELD:
      if (page.sharers != 0) return false;
      break;
    default:
      return false;
  }
  return settled(engine, page);
}

/** The record says nothing any more that its range does not. What the frame holds, and Page.dirty, the caller keeps. */
export function pageMerge(engine: Engine, page: Page): void {
  assert(pageMayMerge(engine, page), "a record goes that says more than a range can");
  const set = changetype<RangeSet>(page.ranges);
  let state = page.state;
  if (state == MODIFIED) state = EXCLUSIVE;
  if (state == OWNED) state = SHARED; // at the home, which has been told that the backing store is right
  if (engine.self == page.home && page.ranged == 0) {
    rangesMerge(set, page.index, page.index, state, page.directory, page.owner, page.sharers);
  } else rangesPutState(set, page.index, page.index, state);
}

/** At the home: may it ask for the page though nobody needs it? Of a loss somebody is to be told. */
export function pageMayFetch(page: Page): bool {
  refresh(page);
  return page.directory != RECOVERING && page.directory != LOST;
}

/** May what this machine has of the page be thrown away, without a word? A copy; at the home what it has alone. */
export function pageMayDrop(engine: Engine, page: Page): bool {
  if (page.ranges == 0 || !pageRests(page)) return false;
  if (engine.self != page.home) return page.state == SHARED;
  refresh(page);
  if (page.state == SHARED || page.state == OWNED) return page.directory == CLEAN_SHARED;
  return isAlone(engine, page) && settled(engine, page);
}

/** It has left every page table; `written`: one of them says so. At the home the frame is the backing store and stays. */
export function pageDrop(engine: Engine, page: Page, written: bool): void {
  assert(pageMayDrop(engine, page), "a right is thrown away that others rely on");
  serialEnded(page, written);
  page.state = INVALID;
  if (engine.self != page.home) return;
  if (page.ranged != 0) rangesCarve(changetype<RangeSet>(page.ranges), page.index);
  page.ranged = 0;
  page.sharers &= ~bitOf(engine.self);
  page.owner = 0;
  if (page.sharers == 0) page.directory = UNUSED;
}
