// The pages of shared objects on this machine, and what the engine wants done with them: messages sent,
// page-table entries installed and taken away, threads answered. Core 0 only, in the critical sections of syslink/cluster.ts.
//
// Invariants: only this file puts a shared page into a page table, and only in the step in which the engine grants it. Every
// entry of a page is gone, or read-only, and shot down on every core, before the engine is told so (engineGone), and
// nothing that depends on it leaves the machine earlier. The frame of a page stays the same while the record lives; at
// the home it is the backing store.
import { ASYNCHRONOUS, portReply } from "../lwkt/port";
import { nanoseconds } from "../machine/time";
import { frameAllocate } from "../memory/frames";
import { mayTakeFrame } from "../memory/reserve";
import { allocate } from "../memory/slab";
import { bootNumber } from "../options";
import { stats } from "../stats";
import { clusterEpoch, clusterMachines, clusterSelf } from "../syslink/cluster";
import { budgetStart, recordsAreFew } from "./budget";
import { ASK_FAULT, ASK_HOLD, Client } from "./client";
import { writerAwaits } from "./commits";
import {
  contentionStart,
  isContended,
  operationDeclined,
  operationDone,
  operationPays,
  pageItselfWanted,
} from "./contention";
import { engineAsk, engineCreate, engineOperate } from "./engine";
import { rangesReady } from "./grants";
import { homesHeal } from "./homes";
import { keptEnd } from "./kept";
import {
  borrowDeclined,
  borrowOperation,
  borrowPays,
  isLentHere,
  isLentOut,
  loanNumber,
  loansRecall,
  loansStart,
  pageTouched,
} from "./loans";
import { failsForNobody, lossTold } from "./losses";
import { asksToWrite, spinDelay } from "./migratory";
import { mirrorsOn, mirrorsStart, pageCopied, pageTaken, writersWait } from "./mirror-pages";
import { isBorrowing } from "./operation";
import { dataTake } from "./page-data";
import { fail, grant } from "./page-grants";
import {
  pageFindOrMake,
  pageIndexStart,
  pageIsUsed,
  pageNextUsed,
  pageRemove,
  pagesAsked,
} from "./page-index";
import { isSuspended } from "./page-members";
import { send } from "./page-send";
import { SharedObject } from "./pager";
import { pinsOrder } from "./progress";
import { lossUntold, readAhead, streamMet } from "./read-ahead";
import {
  ACT_FAIL,
  ACT_GRANT,
  ACT_OPERATED,
  ACT_REVOKE,
  ACT_SEND,
  ACT_TAKE,
  ACT_WAKE,
  ACTION_BYTES,
  ACTIONS_MAX,
  Action,
  Engine,
  LOCAL_BYTES,
  OPERATION_DECLINED,
  OPERATION_DONE,
  Page,
  PageMessage,
  RIGHT_MODIFIED,
} from "./records";
import { passedHere, queuesOn, refusalsForget, refusalsLook, refusalsStart, refusesHere } from "./refusals";
import { frameAwaited } from "./relief";
import { EVERYTHING, revocable, revoke, revokeLater, takeAway, WRITE_ONLY } from "./revocations";
import { INVALID } from "./table";
import { pageStored } from "./wills";

const EIO: i64 = 5;
const MILLISECOND: u64 = 1_000_000;
const NEVER: u64 = ~(<u64>0);

export const engine = changetype<Engine>(memory.data(offsetof<Engine>(), 8));
/** The message that the engine is about to be told. */
export const incoming = changetype<PageMessage>(memory.data(offsetof<PageMessage>(), 8));

/** On core 0, after the cluster knows its number. */
export function pagesStart(): void {
  budgetStart();
  contentionStart();
  mirrorsStart();
  loansStart();
  refusalsStart();
  pageIndexStart();
  engineCreate(
    engine,
    clusterSelf(),
    clusterMachines(),
    allocate(ACTIONS_MAX * ACTION_BYTES),
    allocate(LOCAL_BYTES),
    <u32>(clusterEpoch() >> 1),
  );
  engine.guesses = u32(bootNumber("guess", 1) != 0 && queuesOn() && !mirrorsOn());
}

/** The object ends: nobody maps it or waits for its pages. */
export function objectPagesDrop(object: SharedObject): void {
  pagesAsked(object);
  while (object.pages != 0) {
    const page = changetype<Page>(object.pages);
    if (page.revoking != 0) {
      // Some thread still has it pinned, in vain: nothing maps it any more.
      revoke(page);
      drain(page);
    }
    assert(page.waiters == 0 && page.holds == 0 && page.revoking == 0, "a page is dropped that is in use");
    object.pages = page.nextInObject;
    refusalsForget(page);
    pageRemove(page);
  }
  keptEnd(object);
}

// --- What threads ask ---

/** ASK_FAULT, ASK_HOLD. */
export function pageAsked(client: Client): i64 {
  const object = changetype<SharedObject>(client.object);
  if (object.dead != 0) return -EIO;
  if (object.home == clusterSelf() && client.beyond == 0 && client.index * 4096 >= object.size) return -EIO;
  if (lossUntold(object)) return -EIO;
  const index = client.index;
  const reads = client.write == 0;
  const page = pageFindOrMake(object, index);
  if (!reads && writersWait(page)) return writerAwaits(client);
  if (page.frame == 0) {
    if (!mayTakeFrame()) return frameAwaited(client);
    page.frame = frameAllocate();
  }
  if (client.command == ASK_FAULT && page.state == INVALID && mayWait(client)) {
    client.delay = spinDelay(page, client.rip);
    if (client.delay != 0) return 0; // and asks again then
  }
  client.delay = 0;
  streamMet(client, page);
  const counters = stats();
  counters.pageFaultsCoherence++;
  if (client.command == ASK_HOLD) client.touches = 0; // of an earlier fault's instruction
  if (isLentHere(page, client.touches)) return 0; // the instruction is tried again
  if (lossTold(page)) return -EIO;
  if (client.command == ASK_HOLD || client.unseen == 0) pageTouched(page, client.touches);
  client.page = changetype<usize>(page);
  client.nextWaiter = 0;
  if (page.waiters == 0) page.waiters = changetype<usize>(client);
  else {
    let last = changetype<Client>(page.waiters);
    while (last.nextWaiter != 0) last = changetype<Client>(last.nextWaiter);
    last.nextWaiter = changetype<usize>(client);
  }
  const now = nanoseconds();
  pinsOrder(client, page, now + 1000 * MILLISECOND);
  ask(page, !reads, now);
  drain(page);
  if (reads) readAhead(client, object, index);
  return ASYNCHRONOUS;
}

/** It reads, has not waited yet, and nobody waits for what it holds meanwhile. */
function mayWait(client: Client): bool {
  return client.write == 0 && client.delay == 0 && client.pinCount == 0;
}

/** Asks for the page, or sends the first client's operation when all that wait have one. */
export function ask(page: Page, write: bool, now: u64): void {
  // homes.ts asks when it has a home again.
  if (page.frozen != 0 || changetype<SharedObject>(page.holder).moving != 0 || homesHeal()) return;
  if (refusesHere(page, write)) return;
  const first = changetype<Client>(page.waiters);
  const few = recordsAreFew();
  if (!few && borrowPays(page, first, now)) {
    page.operator = changetype<usize>(first);
    engineOperate(engine, page, borrowOperation(), first.touches, loanNumber(page));
    return;
  }
  const operations = allOperations(first);
  if (!operations) pageItselfWanted(page);
  const moves = few || mirrorsOn() || !operations;
  if (page.state != INVALID || moves || !operationPays(page, now)) {
    const object = changetype<SharedObject>(page.holder);
    const takes = object.names != 0 ? write : asksToWrite(page, write, page.state != INVALID);
    page.contended = u8(isContended(page, now));
    rangesReady(object);
    engineAsk(engine, page, takes);
    passedHere(page);
    return;
  }
  page.operator = changetype<usize>(first);
  engineOperate(engine, page, first.operation, first.operand, first.comparand);
}

function allOperations(first: Client): bool {
  let at = changetype<usize>(first);
  while (at != 0) {
    const client = changetype<Client>(at);
    if (client.command != ASK_FAULT || client.operation == 0) return false;
    at = client.nextWaiter;
  }
  return true;
}

/** What became of the operation that was sent. Who is not served by it wants the page now. */
function operated(page: Page, outcome: u8): void {
  const client = changetype<Client>(page.operator);
  page.operator = 0;
  if (changetype<usize>(client) == 0) return; // it was told before that the cluster is out of reach
  assert(changetype<usize>(client) == page.waiters, "operations are sent in order");
  if (isBorrowing(page.operation)) {
    borrowed(page, client, outcome);
    return;
  }
  if (outcome == OPERATION_DECLINED) {
    operationDeclined(page);
    client.operation = 0;
    return;
  }
  page.waiters = client.nextWaiter;
  client.nextWaiter = 0;
  if (outcome == OPERATION_DONE) {
    stats().operationsShipped++;
    operationDone(page);
    if (page.advice != 0) page.toTake = 1;
    client.operated = 1;
    client.operand = page.operand;
  }
  portReply(client, outcome == OPERATION_DONE ? 0 : -EIO);
}

/** What became of the request for chunks. Who cannot have them wants the page now. */
function borrowed(page: Page, client: Client, outcome: u8): void {
  if (outcome != OPERATION_DONE) {
    borrowDeclined(page);
    client.touches = 0;
    return;
  }
  page.waiters = client.nextWaiter;
  client.nextWaiter = 0;
  portReply(client, 0); // the instruction is tried again
}

export function pageUnhold(client: Client): i64 {
  const page = changetype<Page>(client.page);
  assert(page.holds > 0, "a page is let go that nobody holds");
  page.holds--;
  if (client.write != 0) pageCopied();
  return 0; // a revocation that waits for it is looked at before the service ends
}

/** So many are looked for one by one. */
const FEW_PAGES: u64 = 512;

/** ASK_NEXT_PAGE, at the home: client.index becomes that of the next page from there on; -EIO = there is none. */
export function pageNext(client: Client): i64 {
  const object = changetype<SharedObject>(client.object);
  if (client.bound != 0 && client.bound - client.index < FEW_PAGES) {
    while (client.index < client.bound && !pageIsUsed(object, client.index)) client.index++;
    return client.index < client.bound ? 0 : -EIO;
  }
  const least = pageNextUsed(object, client.index);
  if (least == NEVER || (client.bound != 0 && least >= client.bound)) return -EIO;
  client.index = least;
  return 0;
}

/** ASK_UNMAP, of a page that is held: the right stays, the address spaces lose it. */
export function pageUnmap(client: Client): i64 {
  const page = changetype<Page>(client.page);
  takeAway(page, EVERYTHING);
  return 0;
}

// --- What the engine wants ---

/** Carries out the engine's actions for this page until it wants nothing more. */
export function drain(page: Page): void {
  refusalsLook(page);
  while (true) {
    const again = perform(page);
    if (page.revoking != 0 && revocable(page, 0)) {
      revoke(page);
      continue;
    }
    if (!again || page.waiters == 0) return;
    ask(page, writerWaits(page), nanoseconds());
  }
}

export function writerWaits(page: Page): bool {
  let at = page.waiters;
  while (at != 0) {
    if (changetype<Client>(at).write != 0) return true;
    at = changetype<Client>(at).nextWaiter;
  }
  return false;
}

/** True: threads that wait should ask again. */
function perform(page: Page): bool {
  let again = false;
  if (failsForNobody(engine, page, changetype<SharedObject>(page.holder).home)) page.broken = 1;
  const count = engine.actionCount;
  engine.actionCount = 0;
  for (let i: u32 = 0; i < count; i++) {
    const action = changetype<Action>(engine.actions + i * ACTION_BYTES);
    switch (action.kind) {
      case ACT_SEND:
        send(page, action);
        break;
      case ACT_TAKE:
        dataTake(page, incoming);
        pageTaken(page, incoming.from, incoming.serial);
        pageStored(page);
        break;
      case ACT_GRANT:
        // While the home is out of reach the right that it gave may not be used: pagesResume() asks again.
        if (isSuspended()) break;
        if (isLentOut(page)) {
          loansRecall(page);
          break;
        }
        if (lossTold(page)) {
          fail(page);
          break;
        }
        grant(page, action.flags == RIGHT_MODIFIED);
        again = true;
        break;
      case ACT_REVOKE:
        revokeLater(page, action.flags == 1 ? WRITE_ONLY : EVERYTHING);
        break;
      case ACT_WAKE:
        again = true;
        break;
      case ACT_OPERATED:
        operated(page, action.flags);
        break;
      case ACT_FAIL:
        fail(page);
        break;
    }
  }
  // What could go back as a difference is on its way.
  if (page.twinEnds != 0) page.twinOf = 0;
  page.twinEnds = 0;
  return again;
}

export function wantedAgain(page: Page): void {
  ask(page, writerWaits(page), nanoseconds());
  drain(page);
}
