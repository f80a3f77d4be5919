// Where mirrors of pages are (mirrors.ts): of each page the newest, its number in Page.shelf and its bytes in shelfFrame, beside whatever
// this machine's own frame of the page has. A mirror that has come is kept apart until its cut is whole: some of what is in it
// may have been written behind what has not come yet. So many may be under way for one page, each from another machine, and
// should its sender die they count for nothing. Core 0 only.
import { frameAllocate, frameFree } from "../memory/frames";
import { mayTakeFrame } from "../memory/reserve";
import { allocate, release } from "../memory/slab";
import { panic } from "../panic";
import { clusterMachines } from "../syslink/cluster";
import { ITEM_DATA, ITEM_PAGE, ITEM_REQUESTER, ITEM_SERIAL } from "../syslink/commands";
import { itemData, itemFind, MessageHeader } from "../syslink/message";
import { homeFound } from "./homes";
import { mirrorsOn } from "./mirror-pages";
import { roomCame, roomSay } from "./mirror-room";
import { shelfBest, shelfCame, shelfIsOwn, shelfTake } from "./mirrors";
import { objectHashed } from "./object-index";
import { objectById, objectMake } from "./object-list";
import { pageFindOrMake } from "./page-index";
import { SharedObject } from "./pager";
import { engine } from "./pages";
import { Page } from "./records";
import { PAGE_BYTES } from "./wire";

/** ITEM_PAGE's aux: the last one of a cut that no page follows; the sender waits for it, and is answered at once. */
export const CUT_ENDS: u32 = 1;
export const PROMPT: u32 = 2;

/** A mirror of a cut that is not whole. */
@unmanaged
class Coming {
  next: usize = 0;
  /** Of the Page. */
  page: usize = 0;
  frame: usize = 0;
  serial: u64 = 0;
  from: u32 = 0;
}

let comings: usize = 0;

export function mirrorCame(from: u32, message: MessageHeader): void {
  const item = itemFind(message, ITEM_PAGE);
  const index = load<u64>(itemData(item));
  if (index >= 1 << 40) return;
  roomCame(from, (item.aux & PROMPT) != 0);
  const home = itemFind(message, ITEM_REQUESTER).aux;
  let object = objectById(message.linkid);
  if (changetype<usize>(object) == 0 && home != 0 && home <= clusterMachines()) {
    object = objectMake(message.linkid, home);
    objectHashed(object, message.msgid);
    homeFound(object, home);
  }
  if (changetype<usize>(object) != 0 && object.dead == 0) shelve(object, index, from, message);
  if (item.aux & CUT_ENDS) cutCame(from);
  if (item.aux & PROMPT) roomSay(from); // with it goes the link's acknowledgement
}

function shelve(object: SharedObject, index: u64, from: u32, message: MessageHeader): void {
  const coming = changetype<Coming>(allocate(offsetof<Coming>()));
  coming.page = changetype<usize>(pageFindOrMake(object, index));
  coming.frame = frameAllocate();
  if (coming.frame == 0) panic("out of memory for a mirror for which room was promised");
  coming.serial = load<u64>(itemData(itemFind(message, ITEM_SERIAL)));
  coming.from = from;
  const data = itemFind(message, ITEM_DATA);
  if (changetype<usize>(data) != 0) memory.copy(coming.frame, itemData(data), PAGE_BYTES);
  else memory.fill(coming.frame, 0, PAGE_BYTES);
  coming.next = comings;
  comings = changetype<usize>(coming);
}

/** The cut of that machine is whole: its mirrors count. */
function cutCame(from: u32): void {
  comingsEnd(from, 0, true);
}

/**
 * A page message has come, and been acted upon: the page behind whose mirrors it is was written before some of what is in them,
 * so they do not count without it.
 */
export function pageFollowed(from: u32): void {
  if (comings != 0) cutCame(from);
}

/** What a dead machine had begun to send counts for nothing. */
export function shelvesMachineDied(machine: u32): void {
  comingsEnd(machine, 0, false);
}

/** Those from `from`, or those of `page`. */
function comingsEnd(from: u32, page: usize, counts: bool): void {
  let before: usize = 0;
  let at = comings;
  while (at != 0) {
    const coming = changetype<Coming>(at);
    at = coming.next;
    if (coming.from != from && coming.page != page) {
      before = changetype<usize>(coming);
      continue;
    }
    if (before != 0) changetype<Coming>(before).next = at;
    else comings = at;
    if (counts) put(changetype<Page>(coming.page), coming);
    if (coming.frame != 0) frameFree(coming.frame);
    release(changetype<usize>(coming));
  }
}

function put(page: Page, coming: Coming): void {
  if (!shelfCame(page, coming.serial)) return;
  const former = page.shelfFrame;
  page.shelfFrame = coming.frame;
  coming.frame = former;
}

export function shelfDrop(page: Page): void {
  page.shelf = 0;
  if (page.shelfFrame != 0) frameFree(page.shelfFrame);
  page.shelfFrame = 0;
}

/** The page's record goes. */
export function shelfEnd(page: Page): void {
  comingsEnd(0, changetype<usize>(page), false);
  shelfDrop(page);
}

// --- After a death ---

/** The serial number of the newest bytes of the page that are here; 0: there are none. */
export function mirrorBest(page: Page): u64 {
  return mirrorsOn() ? shelfBest(page, page.had != 0) : 0;
}

/** The frame that has them; 0: they are zeros. */
export function mirrorFrame(page: Page): usize {
  return shelfIsOwn(page, page.had != 0) ? page.frame : page.shelfFrame;
}

/** Newer bytes of the page than any that are here; `from` 0: zeros. False: there is no room for them. */
export function shelfPut(page: Page, serial: u64, from: usize): bool {
  if (page.shelfFrame == 0) {
    if (!mayTakeFrame()) return false;
    page.shelfFrame = frameAllocate();
  }
  shelfCame(page, serial);
  if (from != 0) memory.copy(page.shelfFrame, from, PAGE_BYTES);
  else memory.fill(page.shelfFrame, 0, PAGE_BYTES);
  return true;
}

/** The newest bytes that are here become the page's frame. */
export function shelfUse(page: Page): void {
  page.former = 0;
  if (shelfTake(engine, page, page.had != 0)) {
    if (page.frame == 0) {
      page.frame = page.shelfFrame;
      page.shelfFrame = 0;
    } else memory.copy(page.frame, page.shelfFrame, PAGE_BYTES);
    page.had = 1;
  }
  shelfDrop(page);
}
