// The ranges of shared objects (ranges.ts) in the kernel: their room, and taking them back. When the home needs an object's
// pages one by one, to cut the object or to forget about it, it recalls the ranges that machines hold: each names the
// pages that it has touched, which get records at the home, and has nothing of the others any more. A machine that is to have pages to itself
// which nobody has used yet (a directory that it has made, fs/names.ts) has the home recall these. Core 0 only.
//
// Invariant: while a recall is under way no range is granted, so that an answer speaks of every range that its sender has. Who gives up ranges of
// its own accord has asked for no page of the object, so that none is on its way; and what it says then answers no recall.
import { ASYNCHRONOUS, portReply } from "../lwkt/port";
import { bit, clusterSelf, isDead, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_RECALL, ITEM_HELD, ITEM_PAGES } from "../syslink/commands";
import { itemData, itemDataBytes, itemFind, itemPut, MessageHeader, RESPONSE } from "../syslink/message";
import { recordsAreFew } from "./budget";
import { Client } from "./client";
import { directoryKeep, directoryStands } from "./directory";
import { pageIsHere } from "./engine";
import { keptAway } from "./frozen";
import { Kept } from "./kept";
import { objectById } from "./object-list";
import { pageFind, pagesAsked } from "./page-index";
import { SharedObject } from "./pager";
import { engine } from "./pages";
import { setCreate, setDrop, setReady } from "./range-sets";
import {
  PAGE_LAST,
  Range,
  RangeSet,
  rangeOf,
  rangesCreate,
  rangesForgetSharer,
  rangesHolders,
  rangesKeep,
  rangesLost,
  rangesPutState,
  rangesReleased,
  STORED,
} from "./ranges";
import { Page } from "./records";
import { serialAnew, serialReverted } from "./serials";
import { EXCLUSIVE, HELD, INVALID, LOST, UNUSED } from "./table";

const EIO: i64 = 5;
/** Pages that one answer names. */
const HELD_MAX: u32 = 256;
/** ITEM_PAGES: no more pages of this range follow. */
const FINAL: u32 = 1;
/** RECALL's msgid, and its answer's; 0: a claim, or what a machine gives up unasked. */
const RECALLED: u32 = 1;

export function rangesOf(object: SharedObject): RangeSet {
  return changetype<RangeSet>(object.ranges);
}

export function objectRangesCreate(object: SharedObject): void {
  object.ranges = setCreate();
}

export function objectRangesDrop(object: SharedObject): void {
  setDrop(object.ranges);
  object.ranges = 0;
}

/** Before every event of the engine: room for what it makes, and where the object ends now. */
export function rangesReady(object: SharedObject): void {
  const set = rangesOf(object);
  set.limit = (object.size + 4095) / 4096;
  set.narrow = u32(recordsAreFew());
  setReady(set);
}

// --- At the home ---

/** ASK_RECALL: no other machine holds client.index or a page behind it by a range any more. */
export function rangesRecall(client: Client): i64 {
  const object = changetype<SharedObject>(client.object);
  client.nextWaiter = object.recalls;
  object.recalls = changetype<usize>(client);
  recallGoOn(object);
  return ASYNCHRONOUS;
}

/** The machines that are asked for what they were granted by ranges with pages from `index` on; 0 = none has any. */
function recallAsk(object: SharedObject, index: u64): u64 {
  const set = rangesOf(object);
  const holders = rangesHolders(set, index) & ~bit(clusterSelf());
  let rest = holders;
  while (rest != 0) {
    const machine = <u32>ctz(rest) + 1;
    rest &= rest - 1;
    if (isDead(machine)) continue; // its ranges are lost as soon as the engine hears of it
    set.recalling |= bit(machine);
    const writer = messageTo(machine, 16 + 24, object.id, RECALLED, COMMAND_RECALL);
    const data = itemPut(writer, ITEM_PAGES, 0, 16);
    store<u64>(data, index);
    store<u64>(data, PAGE_LAST, 8);
    messageEnd();
  }
  return holders;
}

/** Without anybody who waits for it. */
export function rangesTakeBack(object: SharedObject): void {
  if (rangesOf(object).recalling == 0) recallAsk(object, 0);
}

/** What this machine, the home, holds by ranges between these, but for pages that have records: it uses them. */
export function rangesDropOwn(object: SharedObject, first: u64, last: u64): void {
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.index < first || page.index > last || !pageIsHere(page)) continue;
    rangesReady(object);
    directoryKeep(page, clusterSelf());
  }
  rangesReady(object);
  rangesReleased(rangesOf(object), <u8>clusterSelf(), first, last, UNUSED);
}

/** Answers those whose recall is done, and begins the next one. */
function recallGoOn(object: SharedObject): void {
  const set = rangesOf(object);
  while (set.recalling == 0 && object.recalls != 0) {
    const client = changetype<Client>(object.recalls);
    if (recallAsk(object, client.index) == 0) {
      object.recalls = client.nextWaiter;
      client.nextWaiter = 0;
      portReply(client, 0);
      continue;
    }
    if (set.recalling == 0) return;
  }
}

/** A machine names pages that it has touched, and at last the range that it has nothing else of. */
function released(object: SharedObject, from: u32, message: MessageHeader): void {
  const set = rangesOf(object);
  const held = itemFind(message, ITEM_HELD);
  const count = changetype<usize>(held) != 0 ? itemDataBytes(held) >> 3 : 0;
  for (let i: u32 = 0; i < count; i++) {
    const index = load<u64>(itemData(held) + (i << 3));
    if (index > PAGE_LAST) continue;
    rangesReady(object);
    const page = pageFind(object, index);
    if (changetype<usize>(page) != 0) directoryKeep(page, from);
    else rangesKeep(set, index, <u8>from);
  }
  const range = itemFind(message, ITEM_PAGES);
  if (range.aux != FINAL) return;
  rangesReady(object);
  const last = min<u64>(load<u64>(itemData(range), 8), PAGE_LAST);
  if (load<u64>(itemData(range)) <= last) {
    rangesReleased(set, <u8>from, load<u64>(itemData(range)), last, UNUSED);
  }
  if (message.msgid == 0) return;
  set.recalling &= ~bit(from);
  recallGoOn(object);
}

/**
 * A machine is to have the pages [first, last] to itself: the others are asked for what they hold of them by ranges and have not touched, and the
 * home gives that up as well. Then who touches one of them first is granted all, as of a new object (promise 72).
 */
function claimed(object: SharedObject, from: u32, first: u64, last: u64): void {
  const set = rangesOf(object);
  if (set.recalling != 0) return; // pages are granted one by one
  if (from != clusterSelf()) ownGiveUp(object, first, last);
  for (let at = first; at <= last; ) {
    const range = rangeOf(set, at);
    at = range.last + 1;
    const machine = <u32>range.owner;
    if (range.directory != HELD || (range.flags & STORED) != 0 || machine == from) continue;
    if (machine == clusterSelf() || isDead(machine) || (set.recalling & bit(machine)) != 0) continue;
    set.recalling |= bit(machine);
    const writer = messageTo(machine, 16 + 24, object.id, RECALLED, COMMAND_RECALL);
    const data = itemPut(writer, ITEM_PAGES, 0, 16);
    store<u64>(data, first);
    store<u64>(data, last, 8);
    messageEnd();
  }
}

/** What this machine, the home, holds by a range between these and has not touched. */
function ownGiveUp(object: SharedObject, first: u64, last: u64): void {
  pagesAsked(object);
  const set = rangesOf(object);
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    if (kept.index < first || kept.index > last || kept.former != 0) continue;
    rangesReady(object);
    rangesKeep(set, kept.index, <u8>clusterSelf());
  }
  rangesDropOwn(object, first, last);
}

/** ASK_CLAIM */
export function rangesClaim(client: Client): i64 {
  const object = changetype<SharedObject>(client.object);
  if (object.dead != 0) return -EIO;
  if (object.moving != 0 || isOurs(object, client.index, client.bound)) return 0;
  if (object.home == clusterSelf()) {
    claimed(object, clusterSelf(), client.index, client.bound);
    return 0;
  }
  const writer = messageTo(object.home, 16 + 24, object.id, 0, COMMAND_RECALL);
  const data = itemPut(writer, ITEM_PAGES, 0, 16);
  store<u64>(data, client.index);
  store<u64>(data, client.bound, 8);
  messageEnd();
  return 0;
}

/** This machine holds all of these pages already, by ranges. */
function isOurs(object: SharedObject, first: u64, last: u64): bool {
  const set = rangesOf(object);
  for (let at = first; at <= last; ) {
    const range = rangeOf(set, at);
    if (range.state != EXCLUSIVE) return false;
    at = range.last + 1;
  }
  return true;
}

// --- Where they are held ---

function recalled(object: SharedObject, message: MessageHeader): void {
  const range = itemFind(message, ITEM_PAGES);
  const first = load<u64>(itemData(range));
  const last = min<u64>(load<u64>(itemData(range), 8), PAGE_LAST);
  if (first <= last) answerRecall(object, first, last, message.msgid);
}

/** Of its own accord: as if the home had recalled all. False: not now, since more may be on its way. */
export function rangesGiveUp(object: SharedObject): bool {
  pagesAsked(object);
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject)
    if (changetype<Page>(at).transaction != 0) return false;
  answerRecall(object, 0, PAGE_LAST, 0);
  return true;
}

function answerRecall(object: SharedObject, first: u64, last: u64, msgid: u32): void {
  pagesAsked(object);
  answerBegin(object, first, last, msgid);
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.index >= first && page.index <= last && pageIsHere(page)) answerPage(page.index);
  }
  const set = rangesOf(object);
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    kept.standing = kept.former == 0 ? rangeOf(set, kept.index).state : INVALID;
    if (kept.index >= first && kept.index <= last && kept.standing != INVALID) answerPage(kept.index);
  }
  answerSay(FINAL);
  rangesReady(object);
  rangesPutState(set, first, last, INVALID);
  // What was touched stays.
  for (let at = object.keptFirst; at != 0; at = changetype<Kept>(at).previousInObject) {
    const kept = changetype<Kept>(at);
    if (kept.index < first || kept.index > last || kept.standing == INVALID) continue;
    rangesReady(object);
    rangesPutState(set, kept.index, kept.index, kept.standing);
  }
}

let answered = changetype<SharedObject>(0);
let answeredFirst: u64 = 0;
let answeredLast: u64 = 0;
let answeredId: u32 = 0;
let heldCount: u32 = 0;
const heldPages: usize = memory.data(2048, 8);

function answerBegin(object: SharedObject, first: u64, last: u64, msgid: u32): void {
  answered = object;
  answeredFirst = first;
  answeredLast = last;
  answeredId = msgid;
  heldCount = 0;
}

function answerPage(index: u64): void {
  store<u64>(heldPages + (heldCount << 3), index);
  heldCount++;
  if (heldCount == HELD_MAX) answerSay(0);
}

function answerSay(aux: u32): void {
  const bytes = heldCount << 3;
  const writer = messageTo(
    answered.home,
    16 + 24 + 8 + bytes,
    answered.id,
    answeredId,
    COMMAND_RECALL | RESPONSE,
  );
  const data = itemPut(writer, ITEM_PAGES, aux, 16);
  store<u64>(data, answeredFirst);
  store<u64>(data, answeredLast, 8);
  if (bytes != 0) memory.copy(itemPut(writer, ITEM_HELD, 0, bytes), heldPages, bytes);
  messageEnd();
  heldCount = 0;
}

export function rangeMessage(from: u32, message: MessageHeader): void {
  const object = objectById(message.linkid);
  if (changetype<usize>(object) == 0 || object.dead != 0) return;
  if (object.moving != 0) return; // ranges of the time before are nobody's
  if (message.command & RESPONSE) {
    if (object.home == clusterSelf()) released(object, from, message);
  } else if (from == object.home) recalled(object, message);
  else if (object.home == clusterSelf()) {
    const range = itemFind(message, ITEM_PAGES);
    const first = load<u64>(itemData(range));
    const last = min<u64>(load<u64>(itemData(range), 8), PAGE_LAST);
    if (first <= last) claimed(object, from, first, last);
  }
}

/** What a dead machine held by ranges is lost, page by page; what its home gave ends with it. */
export function rangesMachineDied(object: SharedObject, machine: u32): void {
  const set = rangesOf(object);
  rangesReady(object);
  // Of an object that moves homes.ts knows what stays.
  if (object.home == machine && object.dead != 0) {
    keptAway(object);
    rangesPutState(set, 0, PAGE_LAST, INVALID);
  }
  if (object.home != clusterSelf()) return;
  rangesForgetSharer(set, machine);
  rangesReleased(set, <u8>machine, 0, PAGE_LAST, LOST);
  if (rangesLost(set)) renumberLost(object);
  recallsMachineDied(object, machine);
}

/** Who comes back may have bytes by the numbers that lost pages would begin with, or go on from. */
function renumberLost(object: SharedObject): void {
  object.renumbered = 1;
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.ranged != 0 && rangeOf(rangesOf(object), page.index).directory == LOST)
      serialReverted(engine, page);
  }
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    if (kept.former == 0 && rangeOf(rangesOf(object), kept.index).directory == LOST)
      kept.serial = serialAnew(engine, kept.serial);
  }
}

/** Who waits for what it would have given back waits no more. */
export function recallsMachineDied(object: SharedObject, machine: u32): void {
  rangesOf(object).recalling &= ~bit(machine);
  if (object.home == clusterSelf()) recallGoOn(object);
}

/**
 * The home moves: what was held by ranges and never touched is held no more. Who was asked for ranges need not answer. `stored`: this
 * machine was the home.
 */
export function rangesFrozen(object: SharedObject, stored: bool): void {
  if (stored)
    for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject)
      directoryStands(changetype<Page>(at));
  rangesForsaken(object);
  rangesMoved(object);
  recallGoOn(object);
}

/** A new home does not know what was stored at the old one, or was written and then lost, and grants page by page. */
export function rangesMoved(object: SharedObject): void {
  changetype<Range>(rangesOf(object).at).flags = STORED;
}

/** This machine has no part in the object any more. */
export function rangesForsaken(object: SharedObject): void {
  const set = rangesOf(object);
  set.recalling = 0;
  rangesCreate(set, set.at, set.capacity);
}
