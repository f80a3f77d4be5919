// Mirrored mode: what only a machine that leaves has a mirror of, since the page's owner has died (R3). Who leaves is the home of nothing
// and is to own nothing, so it cannot be told that its mirror is the page, as others are. The new home asks for the bytes when all have
// handed in, of AT_ONCE pages at a time, and makes its directories when they are on its own shelf.
//
// Who leaves keeps what it had until all have healed (members.ts, LEFT): should the new home die with what came, the next one asks again.
// Nobody is asked for a page that somebody has, so a move in which nobody has died costs nothing more. Core 0 only.
import { clusterSelf, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_HOME_PAGE, ITEM_DATA, ITEM_PAGE, ITEM_SERIAL } from "../syslink/commands";
import { itemData, itemFind, itemPut, MessageHeader } from "../syslink/message";
import { pagesChoose } from "./hand-in";
import { homesLeaving } from "./homes";
import { mirrorsOn } from "./mirror-pages";
import { objectsFirst } from "./object-list";
import { isZero } from "./page-data";
import { pageFind, pageFindOrMake } from "./page-index";
import { FETCH } from "./page-moves";
import { SharedObject } from "./pager";
import { engine } from "./pages";
import { Page } from "./records";
import { mirrorBest, mirrorFrame, shelfPut } from "./shelves";
import { engineFetched, engineFetches, REPORT_MIRROR } from "./takeover";
import { PAGE_BYTES } from "./wire";

const AT_ONCE: u32 = 16;

/** Pages that were asked for and have not come. */
let fetching: u32 = 0;

// --- At the new home ---

/** All have handed in. False: bytes that leave with their machine are still to come. */
export function mirrorsFetched(): bool {
  const leavers = homesLeaving();
  if (!mirrorsOn() || leavers == 0) return true;
  if (fetching != 0) return false;
  for (let at = changetype<usize>(objectsFirst()); at != 0; at = changetype<SharedObject>(at).next) {
    const object = changetype<SharedObject>(at);
    if (object.home == clusterSelf() && object.moving != 0 && object.dead == 0) fetch(object, leavers);
    if (fetching == AT_ONCE) return false;
  }
  return fetching == 0;
}

function fetch(object: SharedObject, leavers: u64): void {
  for (let at = object.pages; at != 0 && fetching < AT_ONCE; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    const from = engineFetches(engine, page, leavers);
    if (from == 0) continue;
    fetching++;
    pagesChoose(object, page.index, page.index, from, FETCH);
  }
}

/** Another view: all hand in anew. */
export function mirrorsFreeze(): void {
  fetching = 0;
}

export function mirrorFetched(object: SharedObject, index: u64, message: MessageHeader): void {
  const page = pageFindOrMake(object, index);
  if (!engineFetched(engine, page)) return;
  fetching--;
  const serial = itemFind(message, ITEM_SERIAL);
  const data = itemFind(message, ITEM_DATA);
  const from = changetype<usize>(data) != 0 ? itemData(data) : 0;
  const asked = changetype<usize>(serial) != 0 && load<u64>(itemData(serial)) == page.best;
  if (asked && shelfPut(page, page.best, from)) return;
  // There is no room for it, or it is not there: whoever comes to the page is told that it is lost.
  page.best = 0;
  page.roomless = 1;
}

// --- At who leaves ---

export function mirrorGive(object: SharedObject, index: u64): void {
  const page = pageFind(object, index);
  const best = changetype<usize>(page) != 0 ? mirrorBest(page) : 0; // 0: another machine's word that it is here
  const writer = messageTo(object.home, 16 + 16 + 16 + 8 + PAGE_BYTES, object.id, 0, COMMAND_HOME_PAGE);
  store<u64>(itemPut(writer, ITEM_PAGE, REPORT_MIRROR, 8), index);
  store<u64>(itemPut(writer, ITEM_SERIAL, 0, 8), best);
  const frame = best != 0 ? mirrorFrame(page) : 0;
  if (frame != 0 && !isZero(frame)) memory.copy(itemPut(writer, ITEM_DATA, 0, PAGE_BYTES), frame, PAGE_BYTES);
  messageEnd();
}
