// The ranges of shared objects (ranges.ts) in the kernel: their room, and what machines tell each other of what they hold by them (holdings.ts).
// When the home needs an object's pages one by one, to cut the object or to forget about it, it recalls the ranges that machines hold: each names the
// pages that it has touched, which get records at the home, and has nothing of the others any more. A machine that is to have pages to itself
// which nobody has used yet (a directory that it has made, fs/names.ts) has the home recall these. Core 0 only.
import { ASYNCHRONOUS, portReply } from "../lwkt/port";
import { clusterSelf, deadMachines, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_RECALL, ITEM_HELD, ITEM_PAGES } from "../syslink/commands";
import { itemData, itemDataBytes, itemFind, itemPut, MessageHeader, RESPONSE } from "../syslink/message";
import { recordsAreFew } from "./budget";
import { Client } from "./client";
import { directoryStands } from "./directory";
import { keptAway } from "./frozen";
import {
  claimBegins,
  giveUp,
  holderDied,
  holderGives,
  holderKeeps,
  holdersFrom,
  holdsAll,
  mayGiveUp,
  rangesForsaken,
  rangesMoved,
  rangesOf,
  recallBegins,
  recallEnds,
} from "./holdings";
import { objectById } from "./object-list";
import { pageFind, pagesAsked } from "./page-index";
import { SharedObject } from "./pager";
import { engine } from "./pages";
import { setCreate, setDrop, setReady } from "./range-sets";
import { PAGE_LAST, rangesPutState } from "./ranges";
import { Page } from "./records";
import { INVALID } from "./table";

export { rangesForsaken, rangesMoved, rangesOf } from "./holdings";

const EIO: i64 = 5;
/** Pages that one answer names. */
const HELD_MAX: u32 = 256;
/** ITEM_PAGES: no more pages of this range follow. */
const FINAL: u32 = 1;
/** RECALL's msgid, and its answer's; 0: a claim, or what a machine gives up unasked. */
const RECALLED: u32 = 1;

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

/** Others are asked for what they were granted by ranges with pages from `index` on; 0 = none has any. */
function recallAsk(object: SharedObject, index: u64): u64 {
  const holders = holdersFrom(engine, object, index);
  recallSay(object, recallBegins(object, holders, deadMachines()), index, PAGE_LAST);
  return holders;
}

function recallSay(object: SharedObject, machines: u64, first: u64, last: u64): void {
  for (let rest = machines; rest != 0; rest &= rest - 1) {
    const writer = messageTo(<u32>ctz(rest) + 1, 16 + 24, object.id, RECALLED, COMMAND_RECALL);
    const data = itemPut(writer, ITEM_PAGES, 0, 16);
    store<u64>(data, first);
    store<u64>(data, last, 8);
    messageEnd();
  }
}

/** Without anybody who waits for it. False: others are asked already, or there is nobody to be asked. */
export function rangesTakeBack(object: SharedObject): bool {
  const set = rangesOf(object);
  return set.recalling == 0 && recallAsk(object, 0) != 0 && set.recalling != 0;
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
  const held = itemFind(message, ITEM_HELD);
  const count = changetype<usize>(held) != 0 ? itemDataBytes(held) >> 3 : 0;
  for (let i: u32 = 0; i < count; i++) {
    const index = load<u64>(itemData(held) + (i << 3));
    if (index <= PAGE_LAST) holderKeeps(object, from, pageFind(object, index), index);
  }
  const range = itemFind(message, ITEM_PAGES);
  if (range.aux != FINAL) return;
  const last = min<u64>(load<u64>(itemData(range), 8), PAGE_LAST);
  const recalled = message.msgid != 0;
  holderGives(object, from, load<u64>(itemData(range)), last, recalled);
  if (recalled) recallGoOn(object);
}

function claimed(object: SharedObject, from: u32, first: u64, last: u64): void {
  if (from != clusterSelf()) pagesAsked(object);
  recallSay(object, claimBegins(engine, object, from, first, last, deadMachines()), first, last);
}

/** ASK_CLAIM */
export function rangesClaim(client: Client): i64 {
  const object = changetype<SharedObject>(client.object);
  if (object.dead != 0) return -EIO;
  if (object.moving != 0 || holdsAll(object, client.index, client.bound)) return 0;
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
  if (!mayGiveUp(object)) return false;
  answerRecall(object, 0, PAGE_LAST, 0);
  return true;
}

function answerRecall(object: SharedObject, first: u64, last: u64, msgid: u32): void {
  pagesAsked(object);
  answerBegin(object, first, last, msgid);
  giveUp(object, first, last, answerPage.index);
  answerSay(FINAL);
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

/** What a dead machine held by ranges is lost; what its home gave ends with it. */
export function rangesMachineDied(object: SharedObject, machine: u32): void {
  // Of an object that moves homes.ts knows what stays.
  if (object.home == machine && object.dead != 0) {
    keptAway(object);
    rangesReady(object);
    rangesPutState(rangesOf(object), 0, PAGE_LAST, INVALID);
  }
  if (object.home != clusterSelf()) return;
  holderDied(engine, object, machine);
  recallGoOn(object);
}

/** It need not answer any more. */
export function recallsMachineDied(object: SharedObject, machine: u32): void {
  recallEnds(object, machine);
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
