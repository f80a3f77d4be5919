// What machines hand in of an object's pages to its new home (homes.ts has when), how it comes there, and what the new home tells whom it
// chose. Neighbours of which the same is to be told are one message; who has more to say than a link takes goes on later. Core 0 only.
import { frameAllocate } from "../memory/frames";
import { mayTakeFrame } from "../memory/reserve";
import { clusterMachines, clusterSelf, messageEnd, messageTo } from "../syslink/cluster";
import {
  COMMAND_HOME_OWNER,
  COMMAND_HOME_PAGE,
  ITEM_DATA,
  ITEM_OFFERED,
  ITEM_PAGE,
  ITEM_PAGES,
  ITEM_SERIAL,
  ITEM_SERVED,
} from "../syslink/commands";
import { itemData, itemFind, itemPut, MessageHeader, MessageItem, MessageWriter } from "../syslink/message";
import { linkIsFull } from "../syslink/outbox";
import { pageStow } from "./frozen";
import { homesLeaving } from "./homes";
import { Kept } from "./kept";
import { keptAdopt, keptHandIn, keptReport } from "./kept-moves";
import { mirrorFetched, mirrorGive } from "./left-mirrors";
import { mirrorsGave, mirrorsOn, pageTaken } from "./mirror-pages";
import { isZero } from "./page-data";
import { pageFind, pageFindOrMake } from "./page-index";
import { ALONE, FETCH, mayGive, pageGives, pageReports, RESTORE, TELL } from "./page-moves";
import { SharedObject } from "./pager";
import { engine } from "./pages";
import { PAGE_LAST } from "./ranges";
import { Page } from "./records";
import { reportsPut } from "./reports";
import { EVERYTHING, takeAway } from "./revocations";
import { NO_SERIAL, serialEnded } from "./serials";
import { mirrorBest, shelfUse } from "./shelves";
import {
  engineAdopt,
  engineAsked,
  engineBest,
  engineClaimed,
  engineGiven,
  engineHasOffered,
  engineOfferedFor,
  engineOfferedTo,
  engineOfferGiven,
  engineReport,
  engineReported,
  engineRestored,
  isAbsent,
  REPORT_AWAY,
  REPORT_COPY_GIVEN,
  REPORT_GIVEN,
  REPORT_HAD,
  REPORT_MIRROR,
  REPORT_NOTHING,
  REPORT_OFFERED,
  REPORT_ROOMLESS,
  UNTOLD,
} from "./takeover";
import { PAGE_BYTES } from "./wire";

/** So many pages one message is about at the most. */
const RUN_MAX: u64 = 65536;

// --- By who hands in ---

/** At the new home: what it has itself. */
export function pagesHandInHere(object: SharedObject): void {
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    engineReported(page, clusterSelf(), engineReport(engine, page));
    if (engineAsked(page) != 0) engineClaimed(engine, page, clusterSelf(), engineAsked(page));
    const to = engineOfferedTo(page);
    if (to != 0) engineHasOffered(engine, page, clusterSelf(), to, engineOfferedFor(page));
    engineBest(page, clusterSelf(), mirrorBest(page), homesLeaving());
  }
  keptHandIn(engine, object);
}

/**
 * Goes on behind what was told before (Page.told). `leaving`: this machine leaves, and the pages go along; `doubts`: whoever else has a copy
 * may have died. False: not all of it, the link is full.
 */
export function pagesHandIn(object: SharedObject, leaving: bool, doubts: bool): bool {
  if (!keptGoOut(object, leaving, doubts)) return false;
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.told != 0) continue;
    if (linkIsFull(object.home)) return false;
    page.told = 1;
    pageHandIn(object, page, leaving, doubts);
  }
  return true;
}

function pageHandIn(object: SharedObject, page: Page, leaving: bool, doubts: bool): void {
  const report = pageReports(engine, page, page.had != 0 || page.shelf != 0);
  if (report == REPORT_NOTHING) return;
  if (leaving && mayGive(report)) {
    giveAway(object, page, doubts);
    return;
  }
  const writer = messageTo(object.home, 16 + 16 + 16 + 8 + 16, object.id, 0, COMMAND_HOME_PAGE);
  store<u64>(itemPut(writer, ITEM_PAGE, report, 8), page.index);
  claimPut(writer, engineAsked(page), engineOfferedTo(page), engineOfferedFor(page));
  if (mirrorsOn()) store<u64>(itemPut(writer, ITEM_SERIAL, 0, 8), mirrorBest(page));
  messageEnd();
}

/** What decides whose a page is that was offered to a writer. */
function claimPut(writer: MessageWriter, asked: u32, offeredTo: u32, offeredFor: u32): void {
  if (asked != 0) itemPut(writer, ITEM_SERVED, asked, 0);
  if (offeredTo != 0) store<u64>(itemPut(writer, ITEM_OFFERED, offeredTo, 8), offeredFor);
}

/** Pages without a record, neighbours of which the same is to be told in one message. False: not all of them, the link is full. */
function keptGoOut(object: SharedObject, leaving: bool, doubts: bool): bool {
  let first: u64 = 0;
  let last: u64 = 0;
  let told: u32 = REPORT_NOTHING;
  for (let at = object.keptFirst; at != 0; ) {
    const kept = changetype<Kept>(at);
    at = kept.previousInObject;
    if (kept.told != 0) continue;
    const full = linkIsFull(object.home);
    const report = full ? REPORT_NOTHING : keptReport(engine, object, kept);
    const index = kept.index;
    const isNext = report == told && (index + 1 == first || index == last + 1) && last - first < RUN_MAX - 1;
    if (!isNext && told != REPORT_NOTHING) runHandIn(object, first, last, told);
    if (full) return false;
    kept.told = 1;
    if (leaving && report != REPORT_NOTHING && report != REPORT_AWAY) {
      told = REPORT_NOTHING;
      const page = pageFindOrMake(object, index);
      giveAway(object, page, doubts);
      pageStow(object, page);
      continue;
    }
    first = isNext ? min<u64>(first, index) : index;
    last = isNext ? max<u64>(last, index) : index;
    told = report;
  }
  if (told != REPORT_NOTHING) runHandIn(object, first, last, told);
  return true;
}

function runHandIn(object: SharedObject, first: u64, last: u64, report: u32): void {
  const writer = messageTo(object.home, 16 + 16 + 24, object.id, 0, COMMAND_HOME_PAGE);
  store<u64>(itemPut(writer, ITEM_PAGE, report, 8), first);
  runPut(writer, first, last);
  messageEnd();
}

/** The message is about all these pages. */
function runPut(writer: MessageWriter, first: u64, last: u64): void {
  if (first == last) return;
  const data = itemPut(writer, ITEM_PAGES, 0, 16);
  store<u64>(data, first);
  store<u64>(data, last, 8);
}

/** By who leaves: the new home has the page then; or, mirrored, is told of the newest bytes here, which it may ask for. */
function giveAway(object: SharedObject, page: Page, doubts: bool): void {
  const offeredTo = engineOfferedTo(page);
  const offeredFor = engineOfferedFor(page);
  const written = takeAway(page, EVERYTHING); // while its state says whether it may be
  const report = pageGives(object, page, doubts);
  const has = (report & ~UNTOLD) != REPORT_HAD;
  const data = has && page.frame != 0;
  serialEnded(page, written);
  mirrorsGave(page);
  const writer = messageTo(
    object.home,
    16 + 16 + 16 + 8 + 16 + 8 + PAGE_BYTES,
    object.id,
    0,
    COMMAND_HOME_PAGE,
  );
  store<u64>(itemPut(writer, ITEM_PAGE, report, 8), page.index);
  claimPut(writer, engineAsked(page), offeredTo, offeredFor);
  if (data) store<u64>(itemPut(writer, ITEM_SERIAL, 0, 8), page.serial);
  else if (mirrorsOn() && !has) store<u64>(itemPut(writer, ITEM_SERIAL, 0, 8), mirrorBest(page));
  if (data && !isZero(page.frame))
    memory.copy(itemPut(writer, ITEM_DATA, 0, PAGE_BYTES), page.frame, PAGE_BYTES);
  messageEnd();
}

// --- At the new home, and from it ---

/** HOME_PAGE, HOME_OWNER, of an object that moves. */
export function pagesHandedIn(object: SharedObject, from: u32, message: MessageHeader, command: u32): void {
  const item = itemFind(message, ITEM_PAGE);
  const first = load<u64>(itemData(item));
  const run = itemFind(message, ITEM_PAGES);
  const last = changetype<usize>(run) != 0 ? load<u64>(itemData(run), 8) : first;
  if (last < first || last > PAGE_LAST || last - first >= RUN_MAX) return;
  if (command == COMMAND_HOME_OWNER) {
    pagesChosen(object, first, last, item.aux);
    return;
  }
  const report = item.aux & ~UNTOLD;
  pageAsked(object, first, from, message);
  if (isGiven(report, message)) pageGiven(object, first, from, message, report);
  else if (report == REPORT_MIRROR) mirrorFetched(object, first, message);
  else {
    pageOffered(object, first, from, message);
    pagesReported(object, first, last, from, report, itemFind(message, ITEM_SERIAL));
  }
  if (item.aux & UNTOLD) pageFindOrMake(object, first).broken = 1;
}

/** The page comes along. */
function isGiven(report: u32, message: MessageHeader): bool {
  if (report == REPORT_OFFERED) return changetype<usize>(itemFind(message, ITEM_SERIAL)) != 0;
  return report == REPORT_GIVEN || report == REPORT_COPY_GIVEN;
}

/** The sender had asked for the page. */
function pageAsked(object: SharedObject, index: u64, from: u32, message: MessageHeader): void {
  const asked = itemFind(message, ITEM_SERVED);
  if (changetype<usize>(asked) != 0) engineClaimed(engine, pageFindOrMake(object, index), from, asked.aux);
}

/** The page is offered to another machine, as far as the sender knows. */
function pageOffered(object: SharedObject, index: u64, from: u32, message: MessageHeader): void {
  const offered = itemFind(message, ITEM_OFFERED);
  if (changetype<usize>(offered) == 0 || offered.aux == 0 || offered.aux > clusterMachines()) return;
  const request = load<u32>(itemData(offered));
  engineHasOffered(engine, pageFindOrMake(object, index), from, offered.aux, request);
}

/** What a machine that leaves had comes along. */
function pageGiven(object: SharedObject, index: u64, from: u32, message: MessageHeader, report: u32): void {
  const found = pageFind(object, index);
  if (!mayTakeFrame() && (changetype<usize>(found) == 0 || found.frame == 0)) {
    // There is no room for it anywhere: whoever comes to it is told that it is lost.
    pagesReported(object, index, index, from, REPORT_ROOMLESS, changetype<MessageItem>(0));
    return;
  }
  const page = pageFindOrMake(object, index);
  given(page, message, report);
  pageStow(object, page);
}

/** What a machine that leaves has offered to a writer is this one's to offer now. */
function isOfferTaken(page: Page, message: MessageHeader): bool {
  const offered = itemFind(message, ITEM_OFFERED);
  if (changetype<usize>(offered) == 0 || offered.aux == 0 || offered.aux > clusterMachines()) return false;
  const serial = load<u64>(itemData(itemFind(message, ITEM_SERIAL)));
  const request = load<u32>(itemData(offered));
  return engineOfferGiven(engine, page, clusterSelf(), serial, offered.aux, request);
}

/** At the new home: what a machine that leaves had is here now. */
function given(page: Page, message: MessageHeader, report: u32): void {
  if (report == REPORT_OFFERED && !isOfferTaken(page, message)) return;
  if (page.frame == 0) page.frame = frameAllocate();
  const data = itemFind(message, ITEM_DATA);
  if (changetype<usize>(data) != 0) memory.copy(page.frame, itemData(data), PAGE_BYTES);
  else memory.fill(page.frame, 0, PAGE_BYTES);
  page.had = 1;
  page.former = 0;
  const serial = itemFind(message, ITEM_SERIAL);
  page.serial = changetype<usize>(serial) != 0 ? load<u64>(itemData(serial)) : NO_SERIAL;
  page.changed = 0;
  pageTaken(page, clusterSelf(), page.serial);
  if (report != REPORT_OFFERED) engineGiven(page, clusterSelf(), report == REPORT_COPY_GIVEN);
}

/** Mirrored, `serial` comes along, and every page has a record. */
function pagesReported(
  object: SharedObject,
  first: u64,
  last: u64,
  from: u32,
  report: u32,
  serial: MessageItem,
): void {
  if (mirrorsOn()) pageFindOrMake(object, first);
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.index < first || page.index > last) continue;
    if (isAbsent(report)) page.had = 1;
    if (report == REPORT_ROOMLESS) page.roomless = 1;
    engineReported(page, from, report);
    if (changetype<usize>(serial) != 0) engineBest(page, from, load<u64>(itemData(serial)), homesLeaving());
  }
  if (!mirrorsOn()) reportsPut(object, first, last, from, report);
}

function pagesChosen(object: SharedObject, first: u64, last: u64, flags: u32): void {
  if (flags & TELL) {
    pageFindOrMake(object, first).broken = 1;
    return;
  }
  if (flags & FETCH) {
    mirrorGive(object, first);
    return;
  }
  if (flags & RESTORE) {
    const page = pageFindOrMake(object, first);
    shelfUse(page);
    engineRestored(page);
    return;
  }
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.index >= first && page.index <= last) engineAdopt(page, (flags & ALONE) != 0);
  }
  keptAdopt(engine, object, first, last, (flags & ALONE) != 0);
}

export function pagesChoose(object: SharedObject, first: u64, last: u64, machine: u32, flags: u32): void {
  const writer = messageTo(machine, 16 + 16 + 24, object.id, 0, COMMAND_HOME_OWNER);
  store<u64>(itemPut(writer, ITEM_PAGE, flags, 8), first);
  runPut(writer, first, last);
  messageEnd();
}

/** Of keptRebuild(), which has chosen the only one that has copies of these pages. */
export function pagesChooseAlone(object: SharedObject, first: u64, last: u64, machine: u32): void {
  for (let from = first; from <= last; from += RUN_MAX)
    pagesChoose(object, from, min<u64>(last, from + RUN_MAX - 1), machine, ALONE);
}
