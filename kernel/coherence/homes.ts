// Where objects have their homes (R8). The home of a named object is the member of the view that its name prefers (rendezvous
// hashing: Thaler and Ravishankar, 1998), so all machines agree on it without asking, and only the objects of a machine
// that goes, or that are nearer to one that comes, have to move. Nameless objects die with their home.
//
// A move goes by phases, each begun when all members of the view have ended the one before (members.ts): freeze, hand in,
// rebuild, thaw; takeover.ts has what they mean for a page. Threads that ask about an object that moves wait; what they had
// asked of its former home they ask again, and who slept on a futex is woken and looks again.
import { frameAllocate } from "../memory/frames";
import { mayTakeFrame } from "../memory/reserve";
import { allocate } from "../memory/slab";
import { bit, clusterMachines, clusterSelf, isDead, messageEnd, messageTo } from "../syslink/cluster";
import {
  COMMAND_HOME_OBJECT,
  COMMAND_HOME_OWNER,
  COMMAND_HOME_PAGE,
  ITEM_DATA,
  ITEM_NAME,
  ITEM_PAGE,
  ITEM_PAGES,
  ITEM_REQUESTER,
  ITEM_SERIAL,
  ITEM_SIZE,
} from "../syslink/commands";
import {
  itemData,
  itemDataBytes,
  itemFind,
  itemPut,
  MessageHeader,
  MessageItem,
  MessageWriter,
} from "../syslink/message";
import { linkIsFull } from "../syslink/outbox";
import {
  keptAdopt,
  keptFreeze,
  keptHandIn,
  keptRebuild,
  keptRebuilt,
  keptReport,
  keptThaw,
  pageStow,
} from "./frozen";
import { rangesFrozen, rangesOf, rangesReady } from "./grants";
import { Kept } from "./kept";
import { loanReturns } from "./loans";
import { mirrorsOn, mirrorsThaw, mirrorsWanted, pageTaken } from "./mirror-pages";
import { objectById, objectMake, objectsFirst, objectUnnamed, perish } from "./object-list";
import { locksFreeze, locksHandIn, locksThaw } from "./object-locks";
import { isZero } from "./page-data";
import { pageFind, pageFindOrMake, pagesAsked } from "./page-index";
import { SharedObject } from "./pager";
import { drain, engine, wantedAgain } from "./pages";
import { questionsTake } from "./questions";
import { PAGE_LAST, rangesCarve, rangesHolders, rangesLost } from "./ranges";
import { Page } from "./records";
import { refusalsForget } from "./refusals";
import {
  isReported,
  REPORTED_HAD,
  REPORTED_ROOMLESS,
  reportAt,
  reportsCount,
  reportsDrop,
  reportsPut,
} from "./reports";
import { EVERYTHING, releaseRevocation, takeAway } from "./revocations";
import { hasReverted, NO_SERIAL, serialEnded, serialReverted } from "./serials";
import { futexesMove } from "./shared-futex";
import { mirrorBest, shelfUse } from "./shelves";
import { LOST, RECOVERING, UNUSED } from "./table";
import {
  engineAdopt,
  engineAwaits,
  engineBest,
  engineFreeze,
  engineGive,
  engineGiven,
  engineRebuild,
  engineReport,
  engineReported,
  engineRestore,
  engineRestored,
  engineSettle,
  engineThaw,
  engineUnanswered,
  REPORT_AWAY,
  REPORT_COPY_GIVEN,
  REPORT_GIVEN,
  REPORT_HAD,
  REPORT_NOTHING,
  REPORT_PARTLY,
  REPORT_ROOMLESS,
} from "./takeover";
import { objectLoses, willDrop, willMake, willRead } from "./wills";
import { PAGE_BYTES } from "./wire";

/** SharedObject.moving */
const FROZEN: u32 = 1;
const HANDED_IN: u32 = 2;

/** ITEM_NAME's aux: the sender was the home, so that nothing is lost; the object still has its name. */
const FROM_HOME: u32 = 1;
const NAMED: u32 = 2;
/** Somebody has died, as far as the sender knows, since all had ended a move. */
const DOUBTS: u32 = 4;
/** The home had lost something, and told nobody yet. */
const LOSSY: u32 = 8;
/** Bytes of pages that nobody has now may be elsewhere by the numbers that those pages would begin with (SharedObject.renumbered). */
const RENUMBERED: u32 = 16;
/** SharedObject.complete: this machine was the home; the one that was has handed in, in this view. */
const OURS: u32 = 1;
const TOLD: u32 = 2;
/** And above: `unhealed`. */
const UNHEALED_SHIFT: u32 = 8;
/** HOME_OWNER's aux: what is left of the page there becomes it; nobody else has a copy of it. */
const RESTORE: u32 = 1;
const ALONE: u32 = 2;
/** So many pages are handed in by one message at the most. */
const RUN_MAX: u64 = 65536;

let members: u64 = 0;
/** Members that are leaving: the home of nothing, and what they have they hand in with its bytes. */
let leavers: u64 = 0;
/** How far the move is, but for the objects of homes that have rebuilt theirs. */
let stage: u32 = 0;
let thawed: u64 = 0;
/** Machines that died since objects had homes. */
let deaths: u32 = 0;
/** Since all had ended a move somebody has died: what former homes knew of pages that had moved on may not be so any more. */
let doubts: bool = false;
/** Mirrored: machines that died since everything is known to have had all its mirrors; a new machine does not know. */
let unhealed: u32 = 0;
const UNKNOWN: u32 = 255;

/** FNV-1a, never 0. */
export function nameHash(name: usize, bytes: u32): u32 {
  let hash: u32 = 0x811c_9dc5;
  for (let i: usize = 0; i < bytes; i++) hash = (hash ^ <u32>load<u8>(name + i)) * 0x0100_0193;
  return max<u32>(hash, 1);
}

/** The member that the name prefers. */
export function homeOf(hash: u32): u32 {
  return preferred(hash, members);
}

/** Those that it would prefer without this machine, one after the other: as many as may die with it, one unless mirrored. */
export function heirsOf(hash: u32): u64 {
  let others = members & ~bit(clusterSelf());
  let heirs: u64 = 0;
  for (let left = mirrorsOn() ? mirrorsWanted() : 1; left != 0 && others != 0; left--) {
    heirs |= bit(preferred(hash, others));
    others &= ~heirs;
  }
  return heirs;
}

function preferred(hash: u32, machines: u64): u32 {
  let best: u32 = 0;
  let home = clusterSelf();
  for (let rest = machines; rest != 0; rest &= rest - 1) {
    const machine = <u32>ctz(rest) + 1;
    let mixed = (hash ^ (machine * 0x9e37_79b1)) * 0x85eb_ca6b;
    mixed = (mixed ^ (mixed >> 13)) * 0xc2b2_ae35;
    mixed ^= mixed >> 16;
    if (mixed < best) continue;
    best = mixed;
    home = machine;
  }
  return home;
}

/** Objects at home at `machine` move. */
export function homeDied(object: SharedObject, machine: u32): void {
  object.moving = max<u32>(object.moving, FROZEN);
  object.died = machine;
}

/** What it had of objects that move, by ranges, nobody has. */
export function homesMachineDied(machine: u32): void {
  for (let at = changetype<usize>(objectsFirst()); at != 0; at = changetype<SharedObject>(at).next) {
    const object = changetype<SharedObject>(at);
    // It may have made its directories already, and served others, or have died with what was given to it: what the one before knew is old.
    if ((object.handedTo & bit(machine)) != 0) object.complete = 0;
    if (!mirrorsOn() && object.moving != 0 && (object.holders & bit(machine)) != 0) object.lossy = 1;
  }
  deaths++;
  doubts = true;
  if (unhealed < UNKNOWN) unhealed++;
}

/** All have ended the move. */
export function homesSettled(): void {
  doubts = false;
}

/** Everything has all its mirrors. */
export function homesHealed(): void {
  unhealed = 0;
}

/** Machines that leave: what they have counts no more. */
export function homesLeaving(): u64 {
  return leavers;
}

/** Before anything is opened. */
export function homesStart(machines: u64): void {
  members = machines;
  unhealed = UNKNOWN;
}

// --- Freeze ---

/**
 * The view has these members now: every object whose home is another one stops; when somebody leaves every object, so
 * that he can hand in what he has of it. `interrupted`: some member had frozen for a view before, of which another knows
 * nothing: every object as well, since its home may have gone and come back. Clients that have to ask again, linked.
 */
export function homesFreeze(machines: u64, leaving: u64, interrupted: bool): usize {
  // Mirrored, the home of every page has to be told what there is of it.
  const all = leaving != 0 || interrupted || mirrorsOn();
  leavers = leaving;
  stage = FROZEN;
  thawed = 0;
  members = machines & ~leaving;
  if (members == 0) members = machines; // nobody stays
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    if (object.hash != 0 && object.dead == 0) {
      const home = homeOf(object.hash);
      if (all || home != object.home || object.moving != 0) freeze(object, home);
    }
    object = changetype<SharedObject>(object.next);
  }
  return questionsTake();
}

function freeze(object: SharedObject, home: u32): void {
  const stored = object.home == clusterSelf() && object.moving == 0;
  pagesAsked(object);
  keptFreeze(object, stored); // while this machine knows that it is the home
  // What another machine has handed in does not count any more: it may have died since, or hands in again.
  object.complete = stored ? OURS : object.complete & OURS;
  if (home != clusterSelf() || object.willOf != object.home) willDrop(object);
  object.heirs = 0;
  object.moving = FROZEN;
  object.frozen = 1;
  object.handing = 0;
  reportsDrop(object);
  object.home = home;
  if (stored && rangesLost(rangesOf(object))) object.lossy = 1;
  if (stored) object.handedTo = 0;
  if (stored) object.holders = rangesHolders(rangesOf(object), 0) & ~bit(clusterSelf());
  rangesFrozen(object, stored);
  locksFreeze(object);
  futexesMove(object);
  let at = object.pages;
  while (at != 0) {
    const page = changetype<Page>(at);
    at = page.nextInObject;
    loanReturns(page);
    refusalsForget(page);
    releaseRevocation(page);
    if (stored && (page.directory == LOST || page.directory == RECOVERING)) object.lossy = 1;
    if (stored && hasReverted(page)) object.renumbered = 1;
    engineFreeze(engine, page, stored && (page.frame != 0 || page.broken != 0));
    page.twinOf = 0;
    page.told = 0;
    drain(page);
  }
}

// --- Hand in ---

/** What this machine has to hand in is certain: no answer is to come to an operation on a page that is here. */
export function homesAnswered(): bool {
  if (doubts) return true;
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    let at = object.moving == FROZEN ? object.pages : 0;
    while (at != 0) {
      const page = changetype<Page>(at);
      if (engineAwaits(engine, page)) return false;
      at = page.nextInObject;
    }
    object = changetype<SharedObject>(object.next);
  }
  return true;
}

/** Nothing of the time before is under way to this machine any more. False: links are full, and there is more to hand in. */
export function homesHandIn(): bool {
  stage = HANDED_IN;
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    if (object.moving == FROZEN) {
      if (object.home == clusterSelf()) handInHere(object);
      else if (!handIn(object)) return false;
      object.moving = HANDED_IN;
    }
    object = changetype<SharedObject>(object.next);
  }
  return true;
}

function handInHere(object: SharedObject): void {
  locksHandIn(object);
  opened(object, clusterSelf(), object.references);
  let at = object.pages;
  while (at != 0) {
    const page = changetype<Page>(at);
    at = page.nextInObject;
    engineReported(page, clusterSelf(), engineReport(page));
    engineBest(page, clusterSelf(), mirrorBest(page));
  }
  keptHandIn(object);
}

/** False: not all of it, the link is full. */
function handIn(object: SharedObject): bool {
  if (object.handing == 0) objectHandIn(object);
  object.handing = 1;
  if (!keptGoOut(object)) return false;
  let at = object.pages;
  while (at != 0) {
    const page = changetype<Page>(at);
    at = page.nextInObject;
    if (page.told != 0) continue;
    if (linkIsFull(object.home)) return false;
    page.told = 1;
    pageHandIn(object, page);
  }
  locksHandIn(object);
  return true;
}

function objectHandIn(object: SharedObject): void {
  object.handedTo |= bit(object.home);
  let aux = (object.complete & OURS ? FROM_HOME : 0) | (object.name != 0 ? NAMED : 0);
  if (object.lossy != 0) aux |= LOSSY;
  if (doubts) aux |= DOUBTS;
  if (object.renumbered != 0) aux |= RENUMBERED;
  aux |= unhealed << UNHEALED_SHIFT;
  const writer = messageTo(object.home, 16 + 8 + 256 + 16 + 8, object.id, object.hash, COMMAND_HOME_OBJECT);
  memory.copy(itemPut(writer, ITEM_NAME, aux, max<u32>(object.nameBytes, 1)), object.name, object.nameBytes);
  store<u64>(itemPut(writer, ITEM_SIZE, 0, 8), object.size);
  itemPut(writer, ITEM_REQUESTER, object.references, 0);
  messageEnd();
}

function pageHandIn(object: SharedObject, page: Page): void {
  let report = engineReport(page);
  if (report == REPORT_NOTHING) {
    if (page.had == 0 && page.shelf == 0) return;
    report = REPORT_HAD;
  }
  if (givesAway(report)) {
    giveAway(object, page);
    return;
  }
  const writer = messageTo(object.home, 16 + 16 + 16, object.id, 0, COMMAND_HOME_PAGE);
  store<u64>(itemPut(writer, ITEM_PAGE, report, 8), page.index);
  if (mirrorsOn()) store<u64>(itemPut(writer, ITEM_SERIAL, 0, 8), mirrorBest(page));
  messageEnd();
}

function givesAway(report: u32): bool {
  return (leavers & bit(clusterSelf())) != 0 && report != REPORT_AWAY;
}

/** Pages without a record, neighbours of which the same is to be told in one message. False: not all of them, the link is full. */
function keptGoOut(object: SharedObject): bool {
  let first: u64 = 0;
  let last: u64 = 0;
  let told: u32 = REPORT_NOTHING;
  for (let at = object.keptFirst; at != 0; ) {
    const kept = changetype<Kept>(at);
    at = kept.previousInObject;
    if (kept.told != 0) continue;
    const full = linkIsFull(object.home);
    const report = full ? REPORT_NOTHING : keptReport(object, kept);
    const index = kept.index;
    const isNext = report == told && (index + 1 == first || index == last + 1) && last - first < RUN_MAX - 1;
    if (!isNext && told != REPORT_NOTHING) runHandIn(object, first, last, told);
    if (full) return false;
    kept.told = 1;
    if (report != REPORT_NOTHING && givesAway(report)) {
      told = REPORT_NOTHING;
      const page = pageFindOrMake(object, index);
      giveAway(object, page);
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

/** By who leaves: the new home has the page then. */
function giveAway(object: SharedObject, page: Page): void {
  let report = engineGive(page, doubts);
  if (report != REPORT_HAD && page.broken != 0) report = REPORT_PARTLY;
  const data = report != REPORT_HAD && page.frame != 0;
  serialEnded(page, takeAway(page, EVERYTHING));
  const writer = messageTo(object.home, 16 + 16 + 16 + 8 + PAGE_BYTES, object.id, 0, COMMAND_HOME_PAGE);
  store<u64>(itemPut(writer, ITEM_PAGE, report, 8), page.index);
  if (data) store<u64>(itemPut(writer, ITEM_SERIAL, 0, 8), page.serial);
  if (data && !isZero(page.frame))
    memory.copy(itemPut(writer, ITEM_DATA, 0, PAGE_BYTES), page.frame, PAGE_BYTES);
  messageEnd();
}

/** At the new home: what a machine that leaves had is here now. */
function given(page: Page, message: MessageHeader, report: u32): void {
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
  engineGiven(page, clusterSelf(), report == REPORT_COPY_GIVEN);
  if (report == REPORT_PARTLY) page.broken = 1; // as loans.ts has it of a borrower's death
}

function opened(object: SharedObject, machine: u32, references: u32): void {
  if (object.opens == 0) object.opens = allocate(clusterMachines() << 2);
  store<u32>(object.opens + ((machine - 1) << 2), references);
}

/** HOME_OBJECT, HOME_PAGE: at the new home. HOME_OWNER: from it. */
export function homeHandedIn(from: u32, message: MessageHeader, command: u32): void {
  let object = objectById(message.linkid);
  if (command == COMMAND_HOME_OBJECT) {
    if (changetype<usize>(object) == 0) {
      object = objectMake(message.linkid, clusterSelf());
      object.hash = message.msgid;
      object.moving = HANDED_IN;
      object.frozen = 1;
    }
    if (object.moving != 0) objectCame(object, from, message);
    return;
  }
  if (changetype<usize>(object) == 0 || object.moving == 0) return; // handed in before: nothing has changed since
  const item = itemFind(message, ITEM_PAGE);
  const first = load<u64>(itemData(item));
  const run = itemFind(message, ITEM_PAGES);
  const last = changetype<usize>(run) != 0 ? load<u64>(itemData(run), 8) : first;
  if (last < first || last > PAGE_LAST || last - first >= RUN_MAX) return;
  if (command == COMMAND_HOME_OWNER) pagesChosen(object, first, last, item.aux);
  else if (item.aux == REPORT_GIVEN || item.aux == REPORT_PARTLY || item.aux == REPORT_COPY_GIVEN)
    pageGiven(object, first, from, message, item.aux);
  else pagesReported(object, first, last, from, item.aux, itemFind(message, ITEM_SERIAL));
}

function pagesChosen(object: SharedObject, first: u64, last: u64, flags: u32): void {
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
  keptAdopt(object, first, last, (flags & ALONE) != 0);
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

/** Mirrored, `serial` comes along, and every page has a record. */
function pagesReported(
  object: SharedObject,
  first: u64,
  last: u64,
  from: u32,
  report: u32,
  serial: MessageItem,
): void {
  const had = report == REPORT_HAD || report == REPORT_AWAY || report == REPORT_ROOMLESS;
  if (mirrorsOn()) pageFindOrMake(object, first);
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.index < first || page.index > last) continue;
    if (had) page.had = 1;
    if (report == REPORT_ROOMLESS) page.roomless = 1;
    engineReported(page, from, report);
    if (changetype<usize>(serial) != 0) engineBest(page, from, load<u64>(itemData(serial)));
  }
  if (!mirrorsOn()) reportsPut(object, first, last, from, report);
}

function objectCame(object: SharedObject, from: u32, message: MessageHeader): void {
  const name = itemFind(message, ITEM_NAME);
  const size = load<u64>(itemData(itemFind(message, ITEM_SIZE)));
  opened(object, from, itemFind(message, ITEM_REQUESTER).aux);
  if (object.complete == 0) object.size = max<u64>(object.size, size);
  if (name.aux & LOSSY) object.lossy = 1;
  if (name.aux & DOUBTS) doubts = true;
  if (name.aux & RENUMBERED) object.renumbered = 1;
  unhealed = min<u32>(unhealed, (name.aux >> UNHEALED_SHIFT) & UNKNOWN); // whoever knows of fewer is right
  if (name.aux & FROM_HOME) {
    object.complete |= TOLD;
    object.size = size;
    if (!(name.aux & NAMED)) objectUnnamed(object);
  }
  if (!(name.aux & NAMED) || object.name != 0 || object.unlinked != 0) return;
  object.nameBytes = itemDataBytes(name);
  object.name = allocate(object.nameBytes);
  memory.copy(object.name, itemData(name), object.nameBytes);
}

// --- Rebuild ---

/** Operations whose answers would have come by now fail, if somebody died. */
function unanswered(): void {
  for (let at = changetype<usize>(objectsFirst()); at != 0; at = changetype<SharedObject>(at).next) {
    for (let next = changetype<SharedObject>(at).pages; next != 0; ) {
      const page = changetype<Page>(next);
      next = page.nextInObject;
      if (page.unanswered == 0) continue;
      engineUnanswered(engine, page);
      drain(page);
    }
  }
}

/** At the new home, when all have handed in. */
export function homesRebuild(): void {
  if (doubts) unanswered();
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    const next = object.next;
    if (object.home == clusterSelf() && object.dead == 0) {
      if (object.moving == HANDED_IN) rebuild(object);
      else if (object.moving == 0) willMake(object);
    }
    object = changetype<SharedObject>(next);
  }
  deaths = 0;
}

/** What was at a home that died, and nowhere else: as its will says, else whatever it may have had. */
function bury(object: SharedObject): void {
  const end = (object.size + 4095) >> 12;
  const willed = object.lossy == 0 && deaths == 1 && willRead(object, object.died);
  if (!willed && end != 0) objectLoses(object, 0, end - 1);
  if (willed) buryHad(object);
}

function buryHad(object: SharedObject): void {
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.had != 0) objectLoses(object, page.index, page.index);
  }
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    if (kept.had != 0 && kept.former == 0) objectLoses(object, kept.index, kept.index);
  }
  buryReported(object, REPORTED_HAD);
}

function buryReported(object: SharedObject, flag: u8): bool {
  let some = false;
  for (let number: u32 = 0; number < reportsCount(object); number++) {
    const range = reportAt(object, number);
    if (!(range.state & flag) || isReported(range)) continue;
    objectLoses(object, range.first, range.last);
    some = true;
  }
  return some;
}

/** Nobody has what there was no room for. Whether there is any. */
function buryRoomless(object: SharedObject): bool {
  let some = buryReported(object, REPORTED_ROOMLESS);
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.roomless == 0 || page.owner != 0 || page.sharers != 0) continue;
    objectLoses(object, page.index, page.index);
    some = true;
  }
  return some;
}

function rebuild(object: SharedObject): void {
  // What so many dead machines had that others saw, somebody has as well.
  const manyDied = mirrorsOn() && deaths != 0 && unhealed > mirrorsWanted();
  const mirrored = mirrorsOn() && !manyDied && object.lossy == 0;
  const buries = !mirrored && (object.complete == 0 || object.lossy != 0 || manyDied);
  const ours = (object.complete & OURS) != 0;
  if (buries) {
    bury(object);
    object.renumbered = 1;
  }
  const roomless = buryRoomless(object);
  // Mirrored, what nobody has was not lost. But a machine that was left out may have written to it, unseen, and come back.
  if (mirrored || roomless) object.renumbered = 1;
  object.lossy = 0;
  object.holders = 0;
  object.handedTo = 0;
  willDrop(object);
  object.died = 0;
  object.complete = 0;
  opened(object, clusterSelf(), object.references);
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine != clusterSelf() && isDead(machine)) opened(object, machine, 0);
  }
  keptRebuild(object, doubts && !mirrored, chosen.index);
  keptRebuilt(object, !ours, buries);
  let at = object.pages;
  while (at != 0) {
    const page = changetype<Page>(at);
    at = page.nextInObject;
    page.ranged = 0;
    engineThaw(engine, page, clusterSelf());
    drain(page); // nobody is asked yet: object.moving
    let adopts = engineRebuild(engine, page, false, doubts && !mirrored);
    let flags = !mirrorsOn() && engineSettle(engine, page) ? ALONE : 0;
    rangesReady(object);
    if (mirrored && page.directory == UNUSED && page.best != 0) {
      adopts = engineRestore(engine, page);
      flags = RESTORE;
      if (adopts == 0) {
        shelfUse(page);
        rangesCarve(rangesOf(object), page.index);
        continue;
      }
    }
    // A stale copy is no backing store: others may have been told already that its bytes are lost.
    const nobodys = (buries || page.roomless != 0) && page.directory == UNUSED;
    const stale = !ours && (page.directory == LOST || nobodys);
    page.roomless = 0;
    if (stale && page.frame != 0) memory.fill(page.frame, 0, PAGE_BYTES);
    if (page.directory == UNUSED) {
      page.ranged = 1; // nobody has it: as its range says
      if (object.renumbered != 0) serialReverted(engine, page);
      // What remains of a former life here (remains.ts) is not what others would read.
      if (page.former != 0) memory.fill(page.frame, 0, PAGE_BYTES);
      page.former = 0;
    } else rangesCarve(rangesOf(object), page.index);
    if (adopts != 0) sayChosen(object, page.index, page.index, adopts, flags);
  }
  reportsDrop(object);
  object.frozen = 0;
  object.moving = 0; // until now nobody asks here: those who would have to answer do not listen yet
  willMake(object);
  locksThaw(object);
  perish(object);
}

function sayChosen(object: SharedObject, first: u64, last: u64, machine: u32, flags: u32): void {
  const writer = messageTo(machine, 16 + 16 + 24, object.id, 0, COMMAND_HOME_OWNER);
  store<u64>(itemPut(writer, ITEM_PAGE, flags, 8), first);
  runPut(writer, first, last);
  messageEnd();
}

/** Of keptRebuild(), which has chosen the only one that has copies of these pages. */
function chosen(object: SharedObject, first: u64, last: u64, machine: u32): void {
  for (let from = first; from <= last; from += RUN_MAX)
    sayChosen(object, from, min<u64>(last, from + RUN_MAX - 1), machine, ALONE);
}

// --- Thaw ---

/**
 * `home` has rebuilt what was handed in to it. At the home itself pages thaw now as well, not before: who asks then may have to
 * ask others, who would not listen yet.
 */
export function homesThaw(home: u32): void {
  thawed |= bit(home);
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    const next = object.next;
    const moved = object.home == home && object.moving == HANDED_IN && home != clusterSelf();
    if (moved) {
      keptThaw(object);
      object.frozen = 0;
      object.moving = 0;
      object.complete = 0;
      object.lossy = 0;
      object.holders = 0;
      object.handedTo = 0;
    }
    if (object.home == home && object.moving == 0) thaw(object);
    if (moved) locksThaw(object);
    object = changetype<SharedObject>(next);
  }
}

/** And the threads that waited for the object's pages meanwhile ask. */
function thaw(object: SharedObject): void {
  let at = object.pages;
  while (at != 0) {
    const page = changetype<Page>(at);
    at = page.nextInObject;
    if (page.frozen == 0) continue;
    engineThaw(engine, page, object.home);
    drain(page);
  }
  mirrorsThaw(object);
  at = object.pages;
  while (at != 0) {
    const page = changetype<Page>(at);
    at = page.nextInObject;
    if (page.waiters != 0) wantedAgain(page);
  }
}

/**
 * An object that this machine hears of by a mirror, from one that believes `home` to be its home: it moves as if it had been here. A
 * machine that has frozen nothing yet is new, and may still be taken for what had its number before.
 */
export function homeFound(object: SharedObject, home: u32): void {
  object.home = stage == 0 ? home : homeOf(object.hash);
  object.moving = stage == 0 ? FROZEN : thawed & bit(object.home) ? 0 : stage;
  object.frozen = u32(object.moving != 0);
}

/** This machine begins anew. */
export function homesForsake(): void {
  stage = 0;
  thawed = 0;
}

/** Some object has no home for the moment, or may be one that this machine has not heard of. */
export function homesMove(): bool {
  if (stage != 0 && (members & ~thawed) != 0) return true;
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    if (object.moving != 0) return true;
    object = changetype<SharedObject>(object.next);
  }
  return false;
}
