// Mirrored mode in the kernel (mirrors.ts has what it means): the right to write is taken for a cut, mirrors go out and come
// in, links tell what has arrived. Core 0 only.
//
// A kernel's copy into a page is never cut in two: a page that was written here does not leave while one is under way.

import { frameAllocate, frameFree } from "../memory/frames";
import { bootNumber } from "../options";
import { panic } from "../panic";
import { stats } from "../stats";
import { clusterMachines, clusterSelf, isDead, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_MIRROR, ITEM_DATA, ITEM_PAGE, ITEM_REQUESTER, ITEM_SERIAL } from "../syslink/commands";
import { itemData, itemFind, itemPut, MessageHeader } from "../syslink/message";
import { messagePosition, messagesArrived, messagesOverflow } from "../syslink/outbox";
import {
  MIRROR_UNSAFE,
  MIRROR_WRITTEN,
  mirrorArrived,
  mirrorCut,
  mirrorDied,
  mirrorEnded,
  mirrorForget,
  mirrorNeeded,
  mirrorNext,
  mirrorSent,
  mirrorTaken,
  mirrorWritten,
  shelfBest,
  shelfCame,
  shelfComing,
  shelfTake,
} from "./mirrors";
import { objectById, objectMake, objectsFirst } from "./object-list";
import { isZero } from "./page-data";
import { pageFindOrMake } from "./page-index";
import { SharedObject } from "./pager";
import { engine } from "./pages";
import { Page } from "./records";
import { takeAway, WRITE_ONLY } from "./revocations";
import { CLEAN_SHARED, EXCLUSIVE, MODIFIED, OWNED, UNUSED } from "./table";
import { PAGE_BYTES } from "./wire";

/** ITEM_PAGE's aux: the last one of a cut that no page follows. */
const LAST: u32 = 1;

let on: bool = false;
/** Kernel copies into pages that are under way. */
let writing: u32 = 0;
/** Pages whose mirrors have come of cuts that are not whole yet, linked by comingNext. */
let comings: usize = 0;

export function mirrorsStart(): void {
  const copies = bootNumber("mirror", 0);
  if (copies > 1) panic("mirror=: 0 or 1; more than one mirror is not there");
  on = copies != 0;
}

export function mirrorsOn(): bool {
  return on;
}

// --- Where pages are written ---

/** A thread is granted the page to write to it; `copies`: it is one of the kernel that does. */
export function pageWritten(page: Page, copies: bool): void {
  if (!on) return;
  if (copies) writing++;
  mirrorWritten(engine, page);
}

export function pageCopied(): void {
  if (on) writing--;
}

/** Kernel copies have to end before a page that was written here may leave. */
export function mirrorsWait(): bool {
  return writing != 0;
}

/** No core of this machine can write to the page any more, before the engine hears of it. */
export function pageEnds(page: Page): void {
  if (on) mirrorEnded(engine, page);
}

/** Its bytes have come from `from`. */
export function pageTaken(page: Page, from: u32, serial: u64): void {
  if (!on) return;
  mirrorTaken(engine, page, from);
  if (page.shelf != 0 && page.shelf <= serial) shelfDrop(page);
}

/** The page is about to go to another machine: what has to be there first goes first. */
export function mirrorBefore(page: Page, to: u32): void {
  if (!on) return;
  arrivals();
  if (mirrorNeeded(engine, page, to)) cut(page, to);
}

/** It is under way. */
export function mirrorBehind(page: Page, to: u32): void {
  if (on && !messagesOverflow(to)) mirrorSent(page, to, messagePosition(to));
}

function arrivals(): void {
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine != clusterSelf() && !isDead(machine))
      mirrorArrived(engine, machine, messagesArrived(machine));
  }
}

/** All that was written here since the last cut, as it is now, and what is still unsafe, but for `page` itself, which follows (0: none). */
function cut(page: Page, to: u32): void {
  const none = changetype<Page>(0);
  // First nobody can write to any of them, then they are looked at.
  for (let at = mirrorNext(engine, none, MIRROR_WRITTEN); changetype<usize>(at) != 0; ) {
    takeAway(at, WRITE_ONLY);
    at = mirrorNext(engine, at, MIRROR_WRITTEN);
  }
  for (let at = mirrorNext(engine, none, MIRROR_WRITTEN); changetype<usize>(at) != 0; ) {
    const next = mirrorNext(engine, at, MIRROR_WRITTEN);
    mirrorCut(engine, at);
    at = next;
  }
  let at = toSend(none, page, to);
  while (changetype<usize>(at) != 0) {
    const next = toSend(at, page, to);
    send(at, to, changetype<usize>(next) == 0 && changetype<usize>(page) == 0 ? LAST : 0);
    at = next;
  }
}

function toSend(after: Page, page: Page, to: u32): Page {
  let at = mirrorNext(engine, after, MIRROR_UNSAFE);
  while (changetype<usize>(at) != 0 && (at == page || <u32>at.mirrorTo == to)) {
    at = mirrorNext(engine, at, MIRROR_UNSAFE);
  }
  return at;
}

function send(page: Page, to: u32, flags: u32): void {
  stats().pagesMirrored++;
  const object = changetype<SharedObject>(page.holder);
  const bytes = 16 + 16 + 16 + 8 + 8 + PAGE_BYTES;
  const writer = messageTo(to, bytes, page.object, object.hash, COMMAND_MIRROR);
  store<u64>(itemPut(writer, ITEM_PAGE, flags, 8), page.index);
  store<u64>(itemPut(writer, ITEM_SERIAL, 0, 8), page.serial);
  itemPut(writer, ITEM_REQUESTER, object.home, 0);
  if (page.frame != 0 && !isZero(page.frame))
    memory.copy(itemPut(writer, ITEM_DATA, 0, PAGE_BYTES), page.frame, PAGE_BYTES);
  messageEnd();
  mirrorBehind(page, to);
}

// --- Where mirrors are ---

export function mirrorCame(from: u32, message: MessageHeader): void {
  const item = itemFind(message, ITEM_PAGE);
  const index = load<u64>(itemData(item));
  if (index >= 1 << 40) return;
  const home = itemFind(message, ITEM_REQUESTER).aux;
  let object = objectById(message.linkid);
  if (changetype<usize>(object) == 0 && home != clusterSelf() && home != 0 && home <= clusterMachines()) {
    object = objectMake(message.linkid, home);
    object.hash = message.msgid;
  }
  if (changetype<usize>(object) != 0 && object.dead == 0) shelve(object, index, from, message);
  if (item.aux & LAST) cutCame(from);
}

function shelve(object: SharedObject, index: u64, from: u32, message: MessageHeader): void {
  const page = pageFindOrMake(object, index);
  if (page.comingFrame == 0) {
    page.comingFrame = frameAllocate();
    if (page.comingFrame == 0) panic("out of memory for a mirror of a page");
    page.comingNext = comings;
    comings = changetype<usize>(page);
  }
  const data = itemFind(message, ITEM_DATA);
  if (changetype<usize>(data) != 0) memory.copy(page.comingFrame, itemData(data), PAGE_BYTES);
  else memory.fill(page.comingFrame, 0, PAGE_BYTES);
  shelfComing(page, from, load<u64>(itemData(itemFind(message, ITEM_SERIAL))));
}

/** The cut is whole: its mirrors count. */
function cutCame(from: u32): void {
  comingsEnd(from, true);
}

/**
 * A page message has come, and been acted upon: the page behind whose mirrors it is was written before some of what is in them,
 * so they do not count without it.
 */
export function pageFollowed(from: u32): void {
  if (on) cutCame(from);
}

function comingsEnd(from: u32, counts: bool): void {
  let before: usize = 0;
  let at = comings;
  while (at != 0) {
    const page = changetype<Page>(at);
    at = page.comingNext;
    if (<u32>page.comingFrom != from) {
      before = changetype<usize>(page);
      continue;
    }
    if (before != 0) changetype<Page>(before).comingNext = at;
    else comings = at;
    page.comingNext = 0;
    const frame = page.comingFrame;
    page.comingFrame = 0;
    if (counts && shelfCame(page)) {
      if (page.shelfFrame != 0) frameFree(page.shelfFrame);
      page.shelfFrame = frame;
    } else frameFree(frame);
    page.comingFrom = 0;
  }
}

function shelfDrop(page: Page): void {
  page.shelf = 0;
  if (page.shelfFrame != 0) frameFree(page.shelfFrame);
  page.shelfFrame = 0;
}

/** The page's record goes. */
export function mirrorsForget(page: Page): void {
  if (!on) return;
  mirrorForget(engine, page);
  if (page.comingFrame != 0) {
    frameFree(page.comingFrame);
    page.comingFrame = 0;
    let before: usize = 0;
    let at = comings;
    while (at != changetype<usize>(page)) {
      before = at;
      at = changetype<Page>(at).comingNext;
    }
    if (before != 0) changetype<Page>(before).comingNext = page.comingNext;
    else comings = page.comingNext;
  }
  shelfDrop(page);
}

// --- After a death ---

/** What a dead machine had begun to send counts for nothing. */
export function mirrorsMachineDied(machine: u32): void {
  if (on) comingsEnd(machine, false);
}

/** The serial number of the newest bytes of the page that are here; 0: there are none. */
export function mirrorBest(page: Page): u64 {
  return on ? shelfBest(page, page.had != 0) : 0;
}

/** The newest bytes that are here become the page's frame. */
export function shelfUse(page: Page): void {
  if (shelfTake(page, page.had != 0)) {
    if (page.frame == 0) {
      page.frame = page.shelfFrame;
      page.shelfFrame = 0;
    } else memory.copy(page.frame, page.shelfFrame, PAGE_BYTES);
    page.had = 1;
  }
  shelfDrop(page);
}

/** All is as it was: what has only one place left gets another. `members`: the machines that there are. */
export function mirrorsHeal(members: u64): void {
  if (!on) return;
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    let at = object.pages;
    while (at != 0) {
      const page = changetype<Page>(at);
      at = page.nextInObject;
      mirrorDied(engine, page, ~members, answersFor(page));
    }
    object = changetype<SharedObject>(object.next);
  }
  const others = members & ~((<u64>1) << (clusterSelf() - 1));
  if (others == 0 || changetype<usize>(mirrorNext(engine, changetype<Page>(0), MIRROR_UNSAFE)) == 0) return;
  const behind = others & ~(((<u64>1) << clusterSelf()) - 1);
  cut(changetype<Page>(0), <u32>ctz(behind != 0 ? behind : others) + 1);
}

/** Does this machine have the bytes that count? */
function answersFor(page: Page): bool {
  if (page.had == 0) return false;
  if (page.state == OWNED || page.state == EXCLUSIVE || page.state == MODIFIED) return true;
  if (page.home != <u8>clusterSelf()) return false;
  return page.directory == UNUSED || page.directory == CLEAN_SHARED;
}

/** This machine begins anew. */
export function mirrorsForsake(): void {
  writing = 0;
}
