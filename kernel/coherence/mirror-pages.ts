// Mirrored mode in the kernel (mirrors.ts has what it means): the right to write is taken for a cut, mirrors go out (shelves.ts has
// where they come to), links tell what has arrived. Core 0 only.
//
// A kernel's copy into a page is never cut in two: a page that was written here does not leave while one is under way.

import { print } from "../console";
import { criticalEnter, criticalExit } from "../lwkt/critical";
import { nanoseconds } from "../machine/time";
import { framesFree } from "../memory/frames";
import { bootNumber } from "../options";
import { stats } from "../stats";
import { bit, clusterMachines, clusterSelf, isDead, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_MIRROR, ITEM_DATA, ITEM_PAGE, ITEM_REQUESTER, ITEM_SERIAL } from "../syslink/commands";
import { membersUnheard } from "../syslink/members";
import { itemPut, MessageHeader } from "../syslink/message";
import { messagePosition, messagesArrived, messagesOverflow } from "../syslink/outbox";
import { homesLeaving, homesMove } from "./homes";
import { isFull, roomAt, roomForget, roomHeard, roomUsed } from "./mirror-room";
import {
  MIRROR_SAFE,
  MIRROR_UNSAFE,
  MIRROR_WRITTEN,
  mirrorArrived,
  mirrorClosed,
  mirrorCut,
  mirrorDied,
  mirrorEnded,
  mirrorForget,
  mirrorFresh,
  mirrorLacks,
  mirrorNext,
  mirrorSent,
  mirrorSet,
  mirrorTaken,
  mirrorThawed,
  mirrorWritten,
} from "./mirrors";
import { objectsFirst } from "./object-list";
import { isZero } from "./page-data";
import { SharedObject } from "./pager";
import { engine } from "./pages";
import { Page } from "./records";
import { takeAway, WRITE_ONLY } from "./revocations";
import { CUT_ENDS, PROMPT, shelfDrop, shelfEnd, shelvesMachineDied } from "./shelves";
import { CLEAN_SHARED, MODIFIED, OWNED, UNUSED } from "./table";
import { PAGE_BYTES } from "./wire";

let on: bool = false;
/** `mirror=` */
let wanted: u32 = 0;
/** Kernel copies into pages that are under way. */
let writing: u32 = 0;
/** A cut has gone in part: the rest goes before there is another. */
let partly: bool = false;
/** Of mirrorAll(). */
export const LATER: u64 = ~(<u64>0);
/** So long everybody has had no room before something is done without. */
const PATIENCE: u64 = 1_000_000_000;
const NEVER: u64 = ~(<u64>0);

export function mirrorsStart(): void {
  wanted = <u32>bootNumber("mirror", 0);
  on = wanted != 0 && clusterMachines() > 1;
}

/** So many machines may die at once and nothing is lost that anybody saw. */
export function mirrorsWanted(): u32 {
  return wanted;
}

export function mirrorsOn(): bool {
  return on;
}

// --- Where pages are written ---

/** A thread is granted the page to write to it; `copies`: it is one of the kernel that does. */
export function pageWritten(page: Page, copies: bool): void {
  if (!on) return;
  if (copies) writing++;
  // Nameless objects end with their home, mirrored or not.
  if (changetype<SharedObject>(page.holder).hash != 0) mirrorWritten(engine, page);
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
  if (!on || isDead(to)) return; // whom nobody speaks to any more gets nothing
  mirrorsLook();
  if (!mirrorFresh(page)) return; // nothing that is not safe was written before it
  cut();
  if (!fits(freshFor(page, to), to)) {
    roomlessTell();
    return;
  }
  let at = toSend(changetype<Page>(0), page, to, true);
  while (changetype<usize>(at) != 0) {
    sendPage(at, to, 0);
    at = toSend(at, page, to, true);
  }
}

/** It is under way. */
export function mirrorBehind(page: Page, to: u32): void {
  if (!on) return;
  mirrorSent(page, to);
  close(to);
}

/** Whether a revoked page may leave now; with more than one mirror, or where not all have room for it, it has to be safe before. */
export function mirrorReady(page: Page): bool {
  if (!on || page.mirror == MIRROR_SAFE || !safeFirst()) return true;
  if (homesMove()) return false; // who is to keep a page knows what it is a page of
  mirrorsLook();
  if (page.mirror != MIRROR_SAFE) mirrorAll();
  return <u8>page.mirror == MIRROR_SAFE || isRoomless(nanoseconds());
}

/** It waits for machines that are to acknowledge its mirrors, or to have room for them. */
export function mirrorAwaited(page: Page): bool {
  return on && page.mirror != MIRROR_SAFE && safeFirst();
}

/** Whoever asks for a page is not sure to have room for what goes in front of it. */
function safeFirst(): bool {
  if (wanted > 1) return true;
  for (let rest = othersNow(); rest != 0; rest &= rest - 1) {
    if (!fits(engine.mirrorsFresh, <u32>ctz(rest) + 1)) return true;
  }
  return false;
}

/** That machine has room for so many at once, and so has this one for messages that wait for their link: two frames each. */
function fits(count: u32, to: u32): bool {
  return count <= roomAt(to) && count <= roomHere();
}

function roomHere(): u32 {
  return <u32>(framesFree() >> 2);
}

/** Something was written that fewer machines have than should. */
export function mirrorsOwed(): bool {
  return on && engine.mirrors != 0;
}

/** So many pages are. */
export function mirrorsCount(): u64 {
  criticalEnter();
  let count: u64 = 0;
  for (let at = engine.mirrors; at != 0; at = changetype<Page>(at).mirrorNext) count++;
  criticalExit();
  return count;
}

/**
 * Everything that was written here goes to as many machines as are to have it. Those machines; or LATER: some of it waits for room, and this
 * is to be called again.
 */
export function mirrorAll(): u64 {
  const others = othersNow();
  if (<u32>popcnt(others) < wanted && (othersOfView() & ~others) != 0) return LATER; // they are fewer when a view says so
  if (others == 0) return 0;
  if (partly && !allSent(others)) return LATER;
  cut();
  return allSent(others) ? targets : LATER;
}

/** Whom allSent() has chosen. */
let targets: u64 = 0;

/** What is unsafe goes to those of `others` that are to have it, as far as there is room. False: not all of it has gone. */
function allSent(others: u64): bool {
  let left = min<u32>(wanted, <u32>popcnt(others));
  targets = choose(others, left, true);
  left -= <u32>popcnt(targets);
  // A cut for which nobody has room as a whole goes in parts: more have died than it counted on.
  if (left != 0) targets |= choose(others & ~targets, left, false);
  partly = <u32>popcnt(targets) < min<u32>(wanted, <u32>popcnt(others));
  let some = false;
  for (let rest = targets; rest != 0; rest &= rest - 1) {
    const to = <u32>ctz(rest) + 1;
    const before = roomAt(to);
    if (!portionSent(to)) partly = true;
    if (roomAt(to) != before) some = true;
    close(to);
  }
  if (!partly || some || !othersFull(others & ~targets)) roomlessSince = 0;
  else if (roomlessSince == 0) roomlessSince = nanoseconds();
  return !partly;
}

/** So many of those that come next behind this machine, who have room for all that was written, or for some of it. */
function choose(others: u64, count: u32, whole: bool): u64 {
  const none = changetype<Page>(0);
  const behind = others & ~(bit(clusterSelf()) - 1);
  let chosen: u64 = 0;
  for (let rest = others, later = behind; rest != 0 && <u32>popcnt(chosen) < count; ) {
    const machine = <u32>ctz(later != 0 ? later : rest) + 1;
    rest &= ~bit(machine);
    later &= rest;
    const fresh = freshFor(none, machine);
    const lacks = fresh != 0 || changetype<usize>(toSend(none, none, machine, false)) != 0;
    if (!lacks || (roomAt(machine) != 0 && (!whole || fits(fresh, machine)))) chosen |= bit(machine);
  }
  return chosen;
}

function othersFull(others: u64): bool {
  for (let rest = others; rest != 0; rest &= rest - 1) {
    if (!isFull(<u32>ctz(rest) + 1)) return false;
  }
  return true;
}

/** What was written since the last cut first, as one; then page by page what has thawed. False: there is more. */
function portionSent(to: u32): bool {
  const none = changetype<Page>(0);
  const whole = fits(freshFor(none, to), to);
  let fresh = true;
  let at = toSend(none, none, to, true);
  while (true) {
    if (changetype<usize>(at) == 0 && fresh) {
      fresh = false;
      at = toSend(none, none, to, false);
    }
    if (changetype<usize>(at) == 0) return true;
    const waits = (!whole || !fresh) && messagesOverflow(to);
    if (waits || roomAt(to) == 0) return false;
    const next = toSend(at, none, to, fresh);
    const ends = !whole || !fresh || changetype<usize>(next) == 0 ? CUT_ENDS : 0;
    sendPage(at, to, ends != 0 && (changetype<usize>(next) == 0 || roomAt(to) == 1) ? ends | PROMPT : ends);
    at = next;
  }
}

// --- Where there is no room ---

/** Its answer: it has so much room. */
export function mirrorAnswered(from: u32, message: MessageHeader): void {
  if (roomHeard(from, message)) roomlessSince = 0;
}

/** Since then every machine that could have a mirror has said that it has no room; 0: it is not so. */
let roomlessSince: u64 = 0;
let roomlessTold: bool = false;

/** For so long that nobody waits for it any more. */
export function isRoomless(now: u64): bool {
  return roomlessSince != 0 && now - roomlessSince >= PATIENCE;
}

/** When it will be. */
export function roomlessDue(now: u64): u64 {
  return roomlessSince == 0 || isRoomless(now) ? NEVER : roomlessSince + PATIENCE;
}

/** R3 does not hold from here on: who reads the console knows. */
export function roomlessTell(): void {
  if (roomlessTold) return;
  roomlessTold = true;
  print("cluster: no machine has room for mirrors; what others see of this one may be lost with it\n");
}

/** Programs may not write to another page now: it could not be mirrored. */
export function writersWait(page: Page): bool {
  if (!on || mirrorFresh(page) || changetype<SharedObject>(page.holder).hash == 0) return false;
  const others = othersNow();
  if (engine.mirrorsFresh >= roomHere() && others != 0) return true;
  let able: u32 = 0;
  let full: u32 = 0;
  for (let rest = others; rest != 0; rest &= rest - 1) {
    const machine = <u32>ctz(rest) + 1;
    if (engine.mirrorsFresh < roomAt(machine)) able++;
    if (isFull(machine)) full++;
  }
  const needed = min<u32>(wanted, <u32>popcnt(others));
  if (able >= needed) return false;
  const none = engine.mirrors == 0 && <u32>popcnt(others) - full < needed;
  if (none && roomlessSince == 0) roomlessSince = nanoseconds();
  return true;
}

/**
 * Members of the view, spoken to or not: whom this machine does not hear any more may go on without it, and without those that have what it
 * wrote.
 */
function othersOfView(): u64 {
  return othersNow() | (membersUnheard() & ~homesLeaving());
}

/** Whom this machine speaks to, and who stays. */
function othersNow(): u64 {
  let others: u64 = 0;
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine != clusterSelf() && !isDead(machine)) others |= bit(machine);
  }
  return others & ~homesLeaving();
}

/** What links have been acknowledged meanwhile. */
export function mirrorsLook(): void {
  const others = othersNow();
  mirrorSet(engine, wanted, othersOfView());
  if (engine.mirrors == 0) return;
  for (let rest = others; rest != 0; rest &= rest - 1) {
    const machine = <u32>ctz(rest) + 1;
    close(machine); // what had waited for room
    mirrorArrived(engine, machine, messagesArrived(machine));
  }
}

/** While messages wait for room nobody knows where they will be. */
function close(to: u32): void {
  if (!messagesOverflow(to)) mirrorClosed(engine, to, messagePosition(to));
}

/** All that was written here since the last cut, as it is now. */
function cut(): void {
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
}

/** What is unsafe and not there, but for `page` itself, which follows (0: none); what was written here, or what has thawed. */
function toSend(after: Page, page: Page, to: u32, fresh: bool): Page {
  let at = mirrorNext(engine, after, MIRROR_UNSAFE);
  while (changetype<usize>(at) != 0 && (at == page || !mirrorLacks(at, to) || mirrorFresh(at) != fresh)) {
    at = mirrorNext(engine, at, MIRROR_UNSAFE);
  }
  return at;
}

function freshFor(page: Page, to: u32): u32 {
  let count: u32 = 0;
  let at = toSend(changetype<Page>(0), page, to, true);
  while (changetype<usize>(at) != 0) {
    count++;
    at = toSend(at, page, to, true);
  }
  return count;
}

function sendPage(page: Page, to: u32, flags: u32): void {
  stats().pagesMirrored++;
  roomUsed(to, (flags & PROMPT) != 0);
  const object = changetype<SharedObject>(page.holder);
  const bytes = 16 + 16 + 16 + 8 + 8 + PAGE_BYTES;
  const writer = messageTo(to, bytes, page.object, object.hash, COMMAND_MIRROR);
  store<u64>(itemPut(writer, ITEM_PAGE, flags, 8), page.index);
  store<u64>(itemPut(writer, ITEM_SERIAL, 0, 8), page.serial);
  itemPut(writer, ITEM_REQUESTER, object.home, 0);
  if (page.frame != 0 && !isZero(page.frame))
    memory.copy(itemPut(writer, ITEM_DATA, 0, PAGE_BYTES), page.frame, PAGE_BYTES);
  messageEnd();
  mirrorSent(page, to);
}

// --- After a death ---

/** What it had counts no more. */
export function mirrorsMachineDied(machine: u32): void {
  if (!on) return;
  roomForget(machine);
  roomlessSince = 0;
  shelvesMachineDied(machine);
  for (let object = objectsFirst(); changetype<usize>(object) != 0; ) {
    for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
      mirrorDied(changetype<Page>(at), machine);
    }
    object = changetype<SharedObject>(object.next);
  }
}

/** The page went to its new home, since this machine leaves: it is for that one to say what is to be mirrored. */
export function mirrorsGave(page: Page): void {
  if (on) mirrorForget(engine, page);
}

/** The page's record goes. */
export function mirrorsForget(page: Page): void {
  if (!on) return;
  mirrorForget(engine, page);
  shelfEnd(page);
}

/** The object has a home again: what too few machines have of it is to be mirrored anew. */
export function mirrorsThaw(object: SharedObject): void {
  if (!on || object.hash == 0) return;
  mirrorsLook();
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    mirrorThawed(engine, page, answersFor(page));
  }
}

/** Does this machine have the bytes that count, when nothing is under way? */
function answersFor(page: Page): bool {
  if (page.had == 0) return false;
  if (page.state == OWNED || page.state == MODIFIED) return true;
  if (page.home != <u8>clusterSelf()) return false;
  return page.directory == UNUSED || page.directory == CLEAN_SHARED;
}

/** This machine begins anew. */
export function mirrorsForsake(): void {
  writing = 0;
  partly = false;
  roomlessSince = 0;
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) roomForget(machine);
}
