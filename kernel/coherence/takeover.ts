// An object's home moves to another machine (R8), page by page: what the engine of each machine does. Pure, as engine.ts.
//
//   freeze    the orders of the former home count no more. What was under way on this machine becomes a state that stands by
//             itself: the page is here alone (M), here and perhaps elsewhere (O, S), or not here (I). What others wait for
//             from here they will ask for again.
//   frozen    pages that are on their way to this machine are taken; nothing else is done.
//   report    when nothing is under way any more, each machine tells the new home what it has, and the former home of which
//             pages somebody else had the bytes.
//   rebuild   the new home makes the directory of that. Of copies without an owner one becomes the owner; a page that
//             nobody has, but that the former home may have had, or somebody who died meanwhile, is lost and reported once.
//   thaw      requests are made anew, of the new home.
//
// Of a page that was offered to a writer before the home's word (early.ts) who offered it does not know whether the writer has it: home and
// writer may freeze later. It reports the offer, and every machine its open request to write with what it reports: if that is the request that the
// page was offered to, nobody has written since, and the page is where it was. If not, the offer is nothing: what nobody has is lost.
//
// Invariant throughout: at most one machine can write; while it can, no other has a copy; copies are equal. Freezing
// does not change who can do what: it needs no shoot-down but that of revocations that had begun, and those leave the page here.
import { answerOperations } from "./cache";
import { isAtHome, lossFrozen } from "./directory";
import {
  earlyBegins,
  earlyForget,
  OFFER_DEAD,
  offerDoubted,
  offerEnds,
  offerTaken,
  orderMatches,
  tenureForget,
} from "./early";
import { cacheEvent } from "./engine";
import { lossIsPassedOn, lossReports } from "./losses";
import {
  ACT_FAIL,
  ACT_TAKE,
  bitOf,
  Engine,
  ONCE,
  PARTLY,
  Page,
  PageMessage,
  PEER_BYTES,
  peerAt,
  RIGHT,
  RIGHT_SHARED,
  SAY_EARLY,
  SAY_EXECUTE,
  SAY_FAILURE,
  SAY_FORWARD_READ,
  SAY_FORWARD_WRITE,
  SAY_GET_OPERATE,
  SAY_GRANT,
  SAY_LOSS,
  SAY_LOSS_KNOWN,
  SAY_OPERATED,
  SAY_ORDERED,
  SAY_PURGE,
  SAY_REJECTED,
  SAY_SURRENDER,
  SAY_UNTAKEN,
  WITH_DATA,
} from "./records";
import { put, sayOperation } from "./say";
import { serialTaken } from "./serials";
import {
  CLEAN_SHARED,
  COLLECTING,
  EXCLUSIVE,
  FAILED_LEAVING,
  FAILED_SHARED,
  FAILURE,
  HELD,
  INVALID,
  INVALID_OPERATE,
  INVALID_WRITE,
  LEAVING,
  LOST,
  LOWERING,
  MODIFIED,
  OFFERED,
  OFFERED_WRITE,
  OFFERING,
  OPERATED,
  OWNED,
  OWNED_LEAVING,
  OWNED_WRITE,
  OWNED_WRITE_LEAVING,
  REJECTED,
  SHARED,
  SHARED_LEAVING,
  SHARED_WRITE,
  SHARED_WRITE_LEAVING,
  UNUSED,
} from "./table";

/** What a machine reports of a page. */
export const REPORT_NOTHING: u32 = 0;
export const REPORT_COPY: u32 = 1;
export const REPORT_OWNED: u32 = 2;
export const REPORT_ALONE: u32 = 3;
/** It had the page once and has it no more: what nobody else has is lost. */
export const REPORT_HAD: u32 = 4;
/** Its sender was the home, and the page somebody else's. */
export const REPORT_AWAY: u32 = 7;
/** Page.away: so. */
const AWAY_REPORTED: u8 = 255;
/** Its sender leaves, and owned the page, which comes along. */
export const REPORT_GIVEN: u32 = 5;
/** Its sender leaves; what comes along was a copy, perhaps the only one. */
export const REPORT_COPY_GIVEN: u32 = 8;
/** Its sender leaves, and was asked for the newest bytes that are left of the page, which come along. */
export const REPORT_MIRROR: u32 = 10;
/** Its sender has offered the page to a writer: whether he has it nobody knows here. */
export const REPORT_OFFERED: u32 = 11;
/** Added to any of these: of what the page was, some or all is lost, and nobody was told; its sender tells nobody any more (Page.broken). */
export const UNTOLD: u32 = 256;
/** Not sent: at the new home, which had no room for what came along. */
export const REPORT_ROOMLESS: u32 = 9;

/**
 * No core may be about to lose the page: a revocation that had begun is over, without engineGone(). `stored`: this machine was
 * the home, and its frame is the backing store, or the page was lost and somebody is to be told.
 */
export function engineFreeze(engine: Engine, page: Page, stored: bool): void {
  engine.actionCount = 0;
  answerOperations(engine, page, SAY_REJECTED);
  if (page.frozen == 0) {
    page.away = page.directory == HELD && page.ranged == 0 ? page.owner : 0; // of ranges homes.ts knows the holders
    const alone = stored && isAtHome(page);
    page.sole = u8((stored && page.directory == CLEAN_SHARED) || page.purge != 0 || isDoubtful(page.state));
    const offered = isOfferOpen(page);
    page.beneath = INVALID;
    page.asked = engine.guesses != 0 && page.state == INVALID_WRITE ? page.transaction : 0;
    page.state = standing(page);
    if (offered) putHas(page, OFFERED);
    const has = hasOf(page);
    if (alone || page.left != 0) {
      if (has == INVALID || has == SHARED) putHas(page, OWNED);
    } else if (stored && page.directory == CLEAN_SHARED) {
      // Who gave the home what it has may still be the owner: of two, each would take the other's order for its own.
      if (has == INVALID) putHas(page, SHARED);
    }
  }
  page.unanswered = u8(page.state == INVALID_OPERATE);
  page.frozen = 1;
  page.readers = 0;
  page.laterKind = 0;
  page.laterMachine = 0;
  page.causeKind = 0;
  page.causeMachine = 0;
  page.purge = 0;
  page.left = 0;
  page.guess = 0;
  page.successor = 0;
  page.overtaken = 0;
  if (hasOf(page) != OFFERED) tenureForget(page);
  page.claimed = 0;
  page.directory = UNUSED;
  page.ranged = 0;
  page.owner = 0;
  page.sharers = 0;
  page.awaited = 0;
  page.found = 0;
  page.best = 0;
  page.bestFrom = 0;
  page.fetching = 0;
}

/** The state that a machine is in when nobody owes it anything. */
function standing(page: Page): u8 {
  switch (page.state) {
    case INVALID_OPERATE:
      return INVALID_OPERATE;
    case OFFERED:
    case OFFERED_WRITE:
    case OWNED:
    case OWNED_WRITE:
    case OWNED_LEAVING:
    case OWNED_WRITE_LEAVING:
      return OWNED;
    case COLLECTING: // nothing was written yet: others, the former owner as well, may still have equal copies
    case SHARED:
    case SHARED_WRITE:
    case SHARED_LEAVING:
    case SHARED_WRITE_LEAVING:
    case FAILED_SHARED:
    case FAILED_LEAVING:
      return SHARED;
    case EXCLUSIVE:
    case MODIFIED:
    case LOWERING:
    case OFFERING:
    case LEAVING:
      return MODIFIED;
    default:
      return INVALID;
  }
}

/** Nobody here knows whether the writer to whom the page was offered has it. Also not who has heard that he was next: he may have not. */
function isOfferOpen(page: Page): bool {
  if (page.offered == 0 || page.offered == OFFER_DEAD) return false;
  const stands = standing(page);
  const nothing = stands == INVALID || stands == INVALID_OPERATE;
  return nothing || page.state == OFFERED || page.state == OFFERED_WRITE;
}

/** Of a frozen page: the state that this machine is in, but for an operation of its own that is open. */
function hasOf(page: Page): u8 {
  return page.state == INVALID_OPERATE ? page.beneath : page.state;
}

function putHas(page: Page, state: u8): void {
  if (page.state == INVALID_OPERATE) page.beneath = state;
  else page.state = state;
}

/** This machine's operation is over. */
function operationEnds(engine: Engine, page: Page, event: u8, message: PageMessage): void {
  cacheEvent(engine, page, event, message);
  if (page.beneath == INVALID) return;
  page.state = page.beneath;
  page.beneath = INVALID;
}

/** Others that had the page were told to let go of it, or the home is told that it is lost: this copy may be the last. */
function isDoubtful(state: u8): bool {
  return state == COLLECTING || state == FAILED_SHARED || state == FAILED_LEAVING;
}

/** In place of engineMessage() while the page is frozen. */
export function engineFrozen(engine: Engine, page: Page, message: PageMessage): void {
  engine.actionCount = 0;
  const mine = page.transaction != 0 && message.transaction == page.transaction;
  switch (message.kind) {
    case SAY_GRANT:
      if (mine) granted(engine, page, message);
      break;
    case SAY_FAILURE:
      if (mine) failed(engine, page, message);
      break;
    case SAY_OPERATED:
      if (!mine || page.state != INVALID_OPERATE) break;
      page.transaction = 0;
      page.operand = message.operand;
      operationEnds(engine, page, OPERATED, message);
      break;
    case SAY_REJECTED:
      if (mine) rejected(engine, page, message);
      break;
    case SAY_EXECUTE:
      // The owner by a range sent it to the home, which knew no other owner.
      if (<u32>message.requester != engine.self) reject(engine, page, message.requester, message.transaction);
      else if (mine) rejected(engine, page, message);
      break;
    case SAY_GET_OPERATE:
      reject(engine, page, message.from, message.transaction);
      break;
    case SAY_LOSS:
      lossFrozen(page, message);
      break;
    case SAY_FORWARD_READ:
    case SAY_FORWARD_WRITE:
      // The home counts on it that who was ordered behind this machine hears from it what is told once.
      lossIsPassedOn(page);
      break;
    case SAY_LOSS_KNOWN:
      page.partly &= PARTLY; // the home tells whoever is next
      break;
    case SAY_EARLY:
      assert(false, "bytes come early to a machine that has frozen");
      break;
    case SAY_ORDERED:
      if (page.asked != 0 && message.transaction == page.asked && orderMatches(page, message)) isHere(page);
      break;
    case SAY_UNTAKEN:
      if (hasOf(page) != OFFERED || !offerEnds(page, message)) break;
      putHas(page, OWNED);
      earlyForget(page);
      break;
    case SAY_PURGE:
      page.sole = 1; // whoever owned the page has died
      break;
    case SAY_SURRENDER:
      // It was handed in to the former home, which this was.
      if (!(message.flags & WITH_DATA) || hasOf(page) != INVALID) break;
      serialTaken(page, message);
      put(engine, page, ACT_TAKE, 0);
      putHas(page, OWNED);
      break;
  }
}

function granted(engine: Engine, page: Page, message: PageMessage): void {
  page.transaction = 0;
  if (hasOf(page) == OFFERED && !(message.flags & WITH_DATA)) offerReturns(page);
  offerForget(page);
  serialTaken(page, message);
  if (message.flags & WITH_DATA) put(engine, page, ACT_TAKE, 0);
  if ((message.flags & RIGHT) == RIGHT_SHARED) {
    if (page.state == INVALID) page.state = SHARED;
    return;
  }
  assert(
    (message.flags & WITH_DATA) != 0 || page.state != INVALID,
    "the right came alone to a machine without a copy",
  );
  // Some sharer may not have heard of it, or the former owner: a copy, which becomes the owner if there is none.
  page.sole = 1;
  if (page.state == INVALID) page.state = SHARED;
}

/** What was offered to this machine is here, and it has heard that it is next: it has the page, whatever others have heard. */
function isHere(page: Page): void {
  page.transaction = 0;
  page.asked = 0;
  page.sole = 1;
  putHas(page, SHARED);
}

/** What its sender tells nobody else. Of any other loss the home does not know yet that somebody was told: whoever asks it anew is. */
function failed(engine: Engine, page: Page, message: PageMessage): void {
  page.transaction = 0;
  if (page.state == INVALID_OPERATE) operationEnds(engine, page, FAILURE, message);
  else if (message.flags & (ONCE | PARTLY)) put(engine, page, ACT_FAIL, 0);
}

function rejected(engine: Engine, page: Page, message: PageMessage): void {
  if (page.state != INVALID_OPERATE) return;
  page.transaction = 0;
  operationEnds(engine, page, REJECTED, message);
}

function reject(engine: Engine, page: Page, machine: u32, transaction: u32): void {
  if (engine.dead & bitOf(machine)) return;
  sayOperation(engine, page, machine, SAY_REJECTED, 0, transaction, 0, 0, 0, 0);
}

/**
 * An answer is to come that decides what a frozen page is: this machine has it, and asked another before that to do an operation on
 * it. Who has frozen answers at once, so it comes, unless a machine has died.
 */
export function engineAwaits(engine: Engine, page: Page): bool {
  if (page.state != INVALID_OPERATE || page.beneath == INVALID) return false;
  return page.transaction != 0 && (engine.dead & bitOf(page.target)) == 0;
}

/**
 * Who answered for the page may have it, or have died with it. Where somebody was told that he did not get it who waited before him: if he lives
 * and has nothing, it is that loss.
 */
function isAway(engine: Engine, page: Page): bool {
  if (page.away == 0 || page.away == AWAY_REPORTED) return page.away != 0;
  return page.reverts == 0 || (engine.dead & bitOf(page.away)) != 0;
}

/** All that was under way when the page was frozen has come. */
export function engineReport(engine: Engine, page: Page): u32 {
  lossReports(engine, page);
  switch (hasOf(page)) {
    case MODIFIED:
      return REPORT_ALONE;
    case OWNED:
      return REPORT_OWNED;
    case SHARED:
      return REPORT_COPY;
    case OFFERED:
      return REPORT_OFFERED;
    default:
      return isAway(engine, page) ? REPORT_AWAY : REPORT_NOTHING;
  }
}

/**
 * By who leaves, of a page that is or was here: what it reports; what it gives is here no more, and its bytes come along. `doubts`: whoever
 * else has a copy may have died.
 */
export function engineGive(page: Page, doubts: bool): u32 {
  const state = hasOf(page);
  if (state == OFFERED) {
    offerForget(page);
    return REPORT_OFFERED;
  }
  if (state == MODIFIED || state == OWNED || state == SHARED) putHas(page, INVALID);
  else return REPORT_HAD;
  if (state != SHARED) return REPORT_GIVEN;
  return page.sole != 0 || doubts ? REPORT_COPY_GIVEN : REPORT_HAD;
}

/** Its sender had the page, or knows who did, and what is of it there does not count. */
export function isAbsent(report: u32): bool {
  if (report == REPORT_OFFERED) return true;
  return report == REPORT_HAD || report == REPORT_AWAY || report == REPORT_ROOMLESS;
}

/** The home has ordered this machine's own request, before the one that the page was offered for: what is here is the page still. */
function offerReturns(page: Page): void {
  putHas(page, SHARED);
  earlyForget(page);
}

/** What was offered here has come to nothing, or other bytes take its place. */
function offerForget(page: Page): void {
  if (hasOf(page) != OFFERED) return;
  putHas(page, INVALID);
  earlyForget(page);
}

/** Of a frozen page: the machine to which it was offered, 0 = none; and for which request of that one's. */
export function engineOfferedTo(page: Page): u32 {
  return hasOf(page) == OFFERED ? page.earlyTo : 0;
}
export function engineOfferedFor(page: Page): u32 {
  return page.earlyTransaction;
}

/** This machine's own request to write that was open when it froze, 0 = none. */
export function engineAsked(page: Page): u32 {
  return page.asked;
}

/** At the new home: `from` (this machine as well) had that request open. */
export function engineClaimed(engine: Engine, page: Page, from: u32, asked: u32): void {
  claimsBegin(engine, page);
  peerAt(page, from).served = asked;
}

/** It has offered the page to machine `to`, for that request. */
export function engineHasOffered(engine: Engine, page: Page, from: u32, to: u32, request: u32): void {
  claimsBegin(engine, page);
  peerAt(page, from).server = <u8>to;
  peerAt(page, from).keptTransaction = request;
}

/**
 * At the new home, `self`: a machine that leaves has handed over what it has offered, bytes with that serial number: as if this one had offered it.
 * False: there is something newer here.
 */
export function engineOfferGiven(
  engine: Engine,
  page: Page,
  self: u32,
  serial: u64,
  to: u32,
  request: u32,
): bool {
  const has = hasOf(page);
  if (has != INVALID && (has != OFFERED || page.serial >= serial)) return false;
  earlyForget(page);
  putHas(page, OFFERED);
  offerTaken(page, to, request);
  engineHasOffered(engine, page, self, to, request);
  return true;
}

function claimsBegin(engine: Engine, page: Page): void {
  if (page.claimed != 0) return;
  page.claimed = 1;
  for (let machine: u32 = 1; machine <= engine.machines; machine++) {
    const peer = peerAt(page, machine);
    peer.server = 0;
    peer.served = 0;
    peer.keptTransaction = 0;
  }
}

/**
 * At the new home, when all have reported, before engineThaw(): of a page that nobody has, the machine that offered it in vain, which answers
 * for it now and is to be told so; 0 = none, or this one. If the writer may have had it, it counts as somebody's who died.
 */
export function engineOffers(engine: Engine, page: Page): u32 {
  if (page.claimed == 0 || page.owner != 0 || page.sharers != 0) return 0;
  for (let machine: u32 = 1; machine <= engine.machines; machine++) {
    const peer = peerAt(page, machine);
    if (peer.server == 0) continue;
    page.away = AWAY_REPORTED;
    if (peerAt(page, peer.server).served != peer.keptTransaction) continue;
    page.owner = <u8>machine;
    if (machine != engine.self) return machine;
    putHas(page, OWNED);
    earlyForget(page);
    return 0;
  }
  return 0;
}

/** At the new home: `from` (this machine as well) has that. */
export function engineReported(page: Page, from: u32, report: u32): void {
  if (report == REPORT_AWAY) page.away = AWAY_REPORTED;
  if (report == REPORT_NOTHING || isAbsent(report)) return;
  if (<u32>page.owner == from) return;
  const owns = report == REPORT_ALONE || (report == REPORT_OWNED && page.owner == 0);
  if (!owns) {
    page.sharers |= bitOf(from);
    return;
  }
  if (page.owner != 0) page.sharers |= bitOf(page.owner);
  page.owner = <u8>from;
}

/** At the new home, `self`: a machine that leaves has handed over the page, which it owned, or a `copy` of it. All copies are equal. */
export function engineGiven(page: Page, self: u32, copy: bool): void {
  page.sole = 1;
  offerForget(page);
  if (<u32>page.owner == self) return;
  const has = hasOf(page);
  if (copy && has != INVALID && has != SHARED) return; // and this machine will report that
  if (copy || page.owner != 0) {
    putHas(page, SHARED);
    page.sharers |= bitOf(self);
    return;
  }
  putHas(page, OWNED);
  page.owner = <u8>self;
  page.sharers &= ~bitOf(self);
}

/**
 * At the new home, when all have reported. `lost`: what nobody has may have been at the former home; `doubts`: what somebody
 * else had may have died with him. Returns the machine that is to be told that its copy is the one that counts now, or 0.
 */
export function engineRebuild(engine: Engine, page: Page, lost: bool, doubts: bool): u32 {
  if (isAway(engine, page) && doubts) lost = true;
  page.away = 0;
  page.reverts = 0;
  if (page.owner != 0) page.directory = HELD;
  else if (page.sharers & bitOf(engine.self)) page.directory = CLEAN_SHARED;
  else if (page.sharers != 0) {
    const owner = <u32>ctz(page.sharers) + 1;
    page.sharers &= ~bitOf(owner);
    page.owner = <u8>owner;
    page.directory = HELD;
    return owner;
  } else page.directory = lost ? LOST : UNUSED;
  return 0;
}

/**
 * At the new home after engineRebuild(), not mirrored: what it has alone it may write; what others have copies of is its backing store. Then
 * the page's record may merge. Does the page's owner have the only copy?
 */
export function engineSettle(engine: Engine, page: Page): bool {
  const alone = page.owner != 0 && page.sharers == 0;
  if (<u32>page.owner != engine.self || hasOf(page) != OWNED) return alone;
  if (alone) {
    putHas(page, MODIFIED);
    return true;
  }
  putHas(page, SHARED);
  page.sharers |= bitOf(engine.self);
  page.owner = 0;
  page.directory = CLEAN_SHARED;
  return false;
}

/**
 * At the new home: `from` has bytes of the page that may not be used, with that serial number (mirrored mode). Of those who have the newest
 * one of `leavers` counts if nobody else has them.
 */
export function engineBest(page: Page, from: u32, serial: u64, leavers: u64): void {
  if (serial == 0 || serial < page.best) return;
  if (serial == page.best && !(leavers & bitOf(page.bestFrom))) return;
  page.best = serial;
  page.bestFrom = from;
}

/**
 * At the new home, when all have reported: nobody has the page, and the newest bytes of it that are left are on one of `leavers`, which is to be
 * asked for them. 0 = not so. engineFetched() is to follow.
 */
export function engineFetches(engine: Engine, page: Page, leavers: u64): u32 {
  if (page.owner != 0 || page.sharers != 0 || page.best == 0) return 0;
  if (page.bestFrom == engine.self || !(leavers & bitOf(page.bestFrom))) return 0;
  page.fetching = 1;
  return page.bestFrom;
}

/** They are here. False: the move in which they were asked for is over. */
export function engineFetched(engine: Engine, page: Page): bool {
  if (page.fetching == 0) return false;
  page.fetching = 0;
  page.bestFrom = engine.self;
  return true;
}

/**
 * At the new home after engineRebuild(): nobody has the page, and the newest bytes of it that are left become it. Returns the
 * machine that is to be told so, 0 = they are here.
 */
export function engineRestore(engine: Engine, page: Page): u32 {
  if (page.bestFrom == engine.self) return 0;
  page.owner = <u8>page.bestFrom;
  page.directory = HELD;
  return page.bestFrom;
}

/** The newest bytes of the page are here, in its frame. */
export function engineRestored(page: Page): void {
  assert(hasOf(page) == INVALID, "a page is restored that was not lost");
  putHas(page, OWNED);
  page.dirty = 1;
}

/** Of copies without an owner this one was chosen; `alone`: it is the only one. */
export function engineAdopt(page: Page, alone: bool): void {
  const has = hasOf(page);
  assert(has == SHARED || has == OWNED || has == OFFERED, "a machine without a copy becomes its owner");
  earlyForget(page);
  putHas(page, alone ? MODIFIED : OWNED);
  page.dirty = 1;
}

/** All that was under way when the page was frozen has come: whoever was to do this machine's operation has died. */
export function engineUnanswered(engine: Engine, page: Page): void {
  engine.actionCount = 0;
  const open = page.unanswered != 0 && page.state == INVALID_OPERATE;
  page.unanswered = 0;
  if (!open) return;
  page.transaction = 0; // engineThaw() is to know
  if (page.frozen == 0) cacheEvent(engine, page, FAILURE, changetype<PageMessage>(0));
}

/** That machine has died, and the page is frozen, or was at home there. What it orders or answers comes no more. */
export function engineBereft(engine: Engine, page: Page, machine: u32): void {
  if (page.frozen == 0 && <u32>page.home == machine) offerDoubted(engine, page);
  // engineThaw() is to know, also when a new life has that number by then.
  if (page.state == INVALID_OPERATE && <u32>page.target == machine) page.transaction = 0;
}

/** Threads that wait ask again afterwards. */
export function engineThaw(engine: Engine, page: Page, home: u32): void {
  engine.actionCount = 0;
  page.frozen = 0;
  page.sole = 0;
  page.untold = 0;
  page.tellers = 0;
  page.passed = 0;
  page.asked = 0;
  page.claimed = 0;
  offerForget(page);
  assert((page.tenure | page.earlyTransaction) == 0, "a request that a former home ordered counts still");
  earlyBegins(page);
  if (home != engine.self) {
    page.away = 0;
    page.reverts = 0;
  }
  page.home = <u8>home;
  for (let machine: u32 = 1; machine <= engine.machines; machine++) {
    const mirrorAt = peerAt(page, machine).mirrorAt;
    memory.fill(changetype<usize>(peerAt(page, machine)), 0, PEER_BYTES);
    peerAt(page, machine).mirrorAt = mirrorAt;
  }
  if (page.state != INVALID_OPERATE) page.transaction = 0;
  else if (page.transaction == 0 || page.beneath != INVALID || engine.dead & bitOf(page.target)) {
    // Nobody knows whether it was done.
    page.transaction = 0;
    operationEnds(engine, page, FAILURE, changetype<PageMessage>(0));
  }
  // The new home's frame is the backing store, and no other knows what an owner has.
  page.dirty = u8(home != engine.self && (page.state == OWNED || page.state == MODIFIED));
}
