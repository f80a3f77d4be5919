// Where objects have their homes (R8). The home of a named object is the member of the view that its name prefers (rendezvous hashing: Thaler
// and Ravishankar, 1998), so all machines agree on it without asking, and only the objects of a machine that goes, or that are nearer to one that
// comes, have to move. Nameless objects end with their home.
//
// A move goes by phases, each begun when all members of the view have ended the one before (members.ts): freeze, hand in (hand-in.ts), rebuild,
// thaw; takeover.ts has what they mean for a page. Threads that ask about an object that moves wait; what they had asked of its former home they
// ask again, and who slept on a futex is woken and looks again. Core 0 only.
import { allocate } from "../memory/slab";
import { bit, clusterMachines, clusterSelf, isDead, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_HOME_OBJECT, ITEM_NAME, ITEM_REQUESTER, ITEM_SIZE } from "../syslink/commands";
import { itemData, itemDataBytes, itemFind, itemPut, MessageHeader } from "../syslink/message";
import { rangesFrozen, rangesMoved, rangesReady } from "./grants";
import { pagesChoose, pagesChooseAlone, pagesHandedIn, pagesHandIn, pagesHandInHere } from "./hand-in";
import { Kept, keptFind, keptForget } from "./kept";
import { keptFreeze, keptRebuild, keptRebuilt, keptThaw } from "./kept-moves";
import { mirrorsFreeze } from "./left-mirrors";
import { LINK_BYTES, linkCame, linkHeard, linkPut } from "./links";
import { loanReturns } from "./loans";
import { mirrorsOn, mirrorsThaw, mirrorsWanted } from "./mirror-pages";
import {
  DOUBTS,
  FROM_HOME,
  FROZEN,
  HANDED_IN,
  moveDied,
  moveFreezes,
  moveFreezesPage,
  moveHears,
  moveIsFlushed,
  moveLoses,
  moveRebuilds,
  moveSays,
  moveThaws,
  NAMED,
  OURS,
} from "./moves";
import { objectHashed } from "./object-index";
import { objectById, objectMake, objectsFirst, objectUnnamed, perish } from "./object-list";
import { locksFreeze, locksHandIn, locksThaw } from "./object-locks";
import { pageFind, pageFindOrMake, pagesAsked } from "./page-index";
import {
  EMPTIES,
  pageChosen,
  pageChosenFlags,
  pageHandedIn,
  pageRebuildBegins,
  pageRebuilds,
  pageTells,
  RESTORES,
  TELL,
} from "./page-moves";
import { SharedObject } from "./pager";
import { drain, engine, wantedAgain } from "./pages";
import { questionsTake } from "./questions";
import { Page } from "./records";
import { refusalsForget } from "./refusals";
import {
  isReported,
  isRoomless,
  REPORTED_HAD,
  REPORTED_ROOMLESS,
  reportAt,
  reportsCount,
  reportsDrop,
} from "./reports";
import { releaseRevocation } from "./revocations";
import { futexesMove } from "./shared-futex";
import { shelfUse } from "./shelves";
import { engineAwaits, engineThaw, engineUnanswered } from "./takeover";
import { objectLoses, willDrop, willMake, willRead } from "./wills";
import { PAGE_BYTES } from "./wire";

/** ITEM_NAME's aux: what is said of the object, and above: `unhealed`. */
const UNHEALED_SHIFT: u32 = 8;

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
/** See homesHeal(). */
let heals: bool = false;
const UNKNOWN: u32 = 255;

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

/** What it had of objects that move, by ranges or from this machine, nobody has. `came`: in a view that nobody has frozen for. */
export function homesMachineDied(machine: u32, came: bool): void {
  for (let at = changetype<usize>(objectsFirst()); at != 0; at = changetype<SharedObject>(at).next) {
    moveDied(changetype<SharedObject>(at), machine, mirrorsOn());
  }
  deaths++;
  doubts = true;
  if (!came && unhealed < UNKNOWN) unhealed++; // a life that has had nothing takes no mirror with it
}

/** All have ended the move. */
export function homesSettled(): void {
  doubts = false;
}

/** Everything has all its mirrors: whoever waited for pages asks. */
export function homesHealed(): void {
  unhealed = 0;
  if (!heals) return;
  heals = false;
  for (let at = changetype<usize>(objectsFirst()); at != 0; at = changetype<SharedObject>(at).next)
    waitersAsk(changetype<SharedObject>(at));
}

/**
 * Nobody here asks for a page yet. With more than one mirror what a dead machine had written comes back from as few as one that has it, and what it
 * had written before that from another one: when more may die already, nobody may have seen either of them until all has all its mirrors.
 */
export function homesHeal(): bool {
  return heals;
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
  heals = mirrorsOn() && mirrorsWanted() > 1;
  mirrorsFreeze();
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
  keptFreeze(engine, object, stored); // while this machine knows that it is the home
  if (home != clusterSelf() || object.willOf != object.home) willDrop(object);
  object.heirs = 0;
  if (isRoomless(object)) object.lossy = 1; // nobody was told yet, and the next home has not heard of it
  reportsDrop(object);
  moveFreezes(engine, object, home, hasPage.index);
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
    moveFreezesPage(engine, object, page, stored, page.frame != 0 || page.broken != 0);
    page.twinOf = 0;
    page.told = 0;
    page.roomless = 0;
    drain(page);
  }
}

/** Then its own report says who else had it. */
function hasPage(object: SharedObject, index: u64): bool {
  if (changetype<usize>(pageFind(object, index)) != 0) return true;
  return changetype<usize>(keptFind(object, index)) != 0;
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
      moveIsFlushed(object);
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
  pagesHandInHere(object);
}

/** False: not all of it, the link is full. */
function handIn(object: SharedObject): bool {
  if (object.handing == 0) objectHandIn(object);
  object.handing = 1;
  if (!pagesHandIn(object, (leavers & bit(clusterSelf())) != 0, doubts)) return false;
  locksHandIn(object);
  return true;
}

function objectHandIn(object: SharedObject): void {
  const aux = moveSays(object, doubts) | (object.name != 0 ? NAMED : 0) | (unhealed << UNHEALED_SHIFT);
  const writer = messageTo(
    object.home,
    16 + 8 + 256 + 16 + 8 + LINK_BYTES,
    object.id,
    object.hash,
    COMMAND_HOME_OBJECT,
  );
  memory.copy(itemPut(writer, ITEM_NAME, aux, max<u32>(object.nameBytes, 1)), object.name, object.nameBytes);
  store<u64>(itemPut(writer, ITEM_SIZE, 0, 8), object.size);
  itemPut(writer, ITEM_REQUESTER, object.references, 0);
  linkPut(writer, object);
  messageEnd();
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
      objectHashed(object, message.msgid);
      object.moving = HANDED_IN;
      object.frozen = 1;
      rangesMoved(object);
    }
    if (object.moving != 0) objectCame(object, from, message);
    return;
  }
  if (changetype<usize>(object) == 0 || object.moving == 0) return; // handed in before: nothing has changed since
  pagesHandedIn(object, from, message, command);
}

function objectCame(object: SharedObject, from: u32, message: MessageHeader): void {
  const name = itemFind(message, ITEM_NAME);
  const size = load<u64>(itemData(itemFind(message, ITEM_SIZE)));
  opened(object, from, itemFind(message, ITEM_REQUESTER).aux);
  if (object.complete == 0) object.size = max<u64>(object.size, size);
  moveHears(object, name.aux);
  if (name.aux & DOUBTS) doubts = true;
  unhealed = min<u32>(unhealed, (name.aux >> UNHEALED_SHIFT) & UNKNOWN); // whoever knows of fewer is right
  if (name.aux & FROM_HOME) {
    object.size = size;
    linkCame(object, message);
    if (!(name.aux & NAMED)) objectUnnamed(object);
  } else if (object.complete == 0 && object.will == 0) linkHeard(object, message);
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

function buryReported(object: SharedObject, flag: u8): void {
  for (let number: u32 = 0; number < reportsCount(object); number++) {
    const range = reportAt(object, number);
    if (range.state & flag && !isReported(range)) objectLoses(object, range.first, range.last);
  }
}

/** Nobody has what there was no room for. */
function buryRoomless(object: SharedObject): void {
  buryReported(object, REPORTED_ROOMLESS);
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.roomless != 0 && page.owner == 0 && page.sharers == 0)
      objectLoses(object, page.index, page.index);
  }
}

function rebuild(object: SharedObject): void {
  // What so many dead machines had that others saw, somebody has as well.
  const manyDied = mirrorsOn() && deaths != 0 && unhealed > mirrorsWanted();
  const mirrored = mirrorsOn() && !manyDied && object.lossy == 0;
  const ours = (object.complete & OURS) != 0;
  const loses = moveLoses(object, mirrored, manyDied);
  if (loses) bury(object);
  const roomless = isRoomless(object);
  if (roomless) buryRoomless(object);
  // Mirrored, what nobody has was not lost. But a machine that was left out may have written to it, unseen, and come back.
  moveRebuilds(object, loses || mirrored || roomless);
  willDrop(object);
  object.died = 0;
  opened(object, clusterSelf(), object.references);
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine != clusterSelf() && isDead(machine)) opened(object, machine, 0);
  }
  keptRebuild(engine, object, doubts && !mirrored, recordMade.index, pagesChooseAlone.index);
  keptRebuilt(engine, object, !ours, keptForget.index, keptEmptied.index);
  let at = object.pages;
  while (at != 0) {
    const page = changetype<Page>(at);
    at = page.nextInObject;
    const offers = pageRebuildBegins(engine, page);
    drain(page); // nobody is asked yet: object.moving
    rangesReady(object);
    const doubtful = doubts && !mirrored;
    const wants = pageRebuilds(engine, object, page, offers, false, doubtful, mirrorsOn(), mirrored, ours);
    if (wants & RESTORES) {
      shelfUse(page);
      continue;
    }
    if (wants & EMPTIES && page.frame != 0) memory.fill(page.frame, 0, PAGE_BYTES);
    if (pageChosen() != 0) pagesChoose(object, page.index, page.index, pageChosen(), pageChosenFlags());
    const teller = pageTells(engine, page);
    if (teller != 0) pagesChoose(object, page.index, page.index, teller, TELL);
  }
  reportsDrop(object);
  object.frozen = 0;
  object.moving = 0; // until now nobody asks here: those who would have to answer do not listen yet
  willMake(object);
  locksThaw(object);
  perish(object);
}

function recordMade(object: SharedObject, index: u64): void {
  pageFindOrMake(object, index);
}

function keptEmptied(_object: SharedObject, kept: Kept): void {
  memory.fill(kept.frame, 0, PAGE_BYTES);
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
      keptThaw(object, recordMade.index);
      moveThaws(object);
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
    if (object.home != clusterSelf()) pageHandedIn(engine, page);
    engineThaw(engine, page, object.home);
    drain(page);
  }
  mirrorsThaw(object);
  waitersAsk(object);
}

function waitersAsk(object: SharedObject): void {
  let at = object.pages;
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
  rangesMoved(object);
}

/**
 * An object that this machine has just opened by its name. While its home is frozen it does not listen, and hears all again afterwards from those
 * who froze: so a record that is new here, or that came with a will (wills.ts), freezes as well. The home counts that it is open.
 */
export function homeOpened(object: SharedObject): void {
  if (stage == 0 || (thawed & bit(object.home)) != 0) return;
  if (object.moving != 0 || object.references > 1 || object.pages != 0 || object.kept != 0) return;
  object.moving = stage;
  object.frozen = 1;
}

/** This machine begins anew. */
export function homesForsake(): void {
  stage = 0;
  heals = false;
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
