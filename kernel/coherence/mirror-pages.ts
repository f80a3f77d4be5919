// Mirrored mode in the kernel (mirrors.ts has what it means): the right to write is taken for a cut, mirrors go out (shelves.ts has
// where they come to), links tell what has arrived. Core 0 only.
//
// A kernel's copy into a page is never cut in two: a page that was written here does not leave while one is under way.

import { criticalEnter, criticalExit } from "../lwkt/critical";
import { bootNumber } from "../options";
import { stats } from "../stats";
import { bit, clusterMachines, clusterSelf, isDead, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_MIRROR, ITEM_DATA, ITEM_PAGE, ITEM_REQUESTER, ITEM_SERIAL } from "../syslink/commands";
import { itemPut } from "../syslink/message";
import { messagePosition, messagesArrived, messagesOverflow } from "../syslink/outbox";
import { homesLeaving, homesMove } from "./homes";
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
  mirrorLacks,
  mirrorNeeded,
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
  if (!on) return;
  mirrorsLook();
  if (!mirrorNeeded(page)) return;
  cut();
  send(page, to, 0);
}

/** It is under way. */
export function mirrorBehind(page: Page, to: u32): void {
  if (!on) return;
  mirrorSent(page, to);
  close(to);
}

/** Whether a revoked page may leave now; with more than one mirror it has to be safe before. */
export function mirrorReady(page: Page): bool {
  if (wanted < 2 || page.mirror == MIRROR_SAFE) return true;
  if (homesMove()) return false; // who is to keep a page knows what it is a page of
  mirrorsLook();
  if (page.mirror != MIRROR_SAFE) mirrorAll();
  return <u8>page.mirror == MIRROR_SAFE;
}

/** It waits for machines that are to acknowledge its mirrors. */
export function mirrorAwaited(page: Page): bool {
  return wanted > 1 && page.mirror == MIRROR_UNSAFE;
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

/** Everything that was written here goes to as many machines as are to have it. Those machines. */
export function mirrorAll(): u64 {
  let others = othersNow();
  let targets: u64 = 0;
  for (let left = wanted; left != 0 && others != 0; left--) {
    const behind = others & ~(bit(clusterSelf()) - 1);
    const machine = <u32>ctz(behind != 0 ? behind : others) + 1;
    others &= ~bit(machine);
    targets |= bit(machine);
  }
  if (targets == 0) return 0;
  cut();
  for (let rest = targets; rest != 0; rest &= rest - 1) {
    const to = <u32>ctz(rest) + 1;
    send(changetype<Page>(0), to, CUT_ENDS | PROMPT);
    close(to);
  }
  return targets;
}

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
  mirrorSet(engine, wanted, others);
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

/** What is unsafe and not there, but for `page` itself, which follows (0: none). */
function send(page: Page, to: u32, flags: u32): void {
  let at = toSend(changetype<Page>(0), page, to);
  while (changetype<usize>(at) != 0) {
    const next = toSend(at, page, to);
    sendPage(at, to, changetype<usize>(next) == 0 ? flags : 0);
    at = next;
  }
}

function toSend(after: Page, page: Page, to: u32): Page {
  let at = mirrorNext(engine, after, MIRROR_UNSAFE);
  while (changetype<usize>(at) != 0 && (at == page || !mirrorLacks(at, to))) {
    at = mirrorNext(engine, at, MIRROR_UNSAFE);
  }
  return at;
}

function sendPage(page: Page, to: u32, flags: u32): void {
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
  mirrorSent(page, to);
}

// --- After a death ---

/** What it had counts no more. */
export function mirrorsMachineDied(machine: u32): void {
  if (!on) return;
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
}
