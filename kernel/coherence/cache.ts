// The actions of a page's cache state (table.ts), one function each.

import { earlyBegins, earlyForget, giveEarly, guessOf, sayGuess, successorSeen } from "./early";
import {
  ACT_FAIL,
  ACT_GRANT,
  ACT_OPERATED,
  ACT_REVOKE,
  ACT_TAKE,
  ACT_WAKE,
  bitOf,
  DATA_DIRTY,
  Engine,
  HAS_COPY,
  OPERATION_DECLINED,
  OPERATION_DONE,
  OPERATION_FAILED,
  PARTLY,
  Page,
  PageMessage,
  peerAt,
  RIGHT_MODIFIED,
  RIGHT_SHARED,
  SAY_ACKNOWLEDGED,
  SAY_CLEAN,
  SAY_EXECUTE,
  SAY_FAILURE,
  SAY_GET_OPERATE,
  SAY_GET_READ,
  SAY_GET_WRITE,
  SAY_LOSS,
  SAY_OPERATED,
  SAY_ORDERED,
  SAY_REJECTED,
  SAY_SURRENDER,
  UNHEARD,
  WITH_DATA,
} from "./records";
import { put, say, sayOperation, sayPage } from "./say";
import {
  ACKNOWLEDGE,
  ANSWER,
  ASK_OPERATE,
  ASK_READ,
  ASK_WRITE,
  COMPLETE,
  DECLINE,
  EXCLUSIVE,
  FAIL_OPERATION,
  FORWARD_WRITE,
  GIVE_READERS,
  GIVE_ZEROS,
  GRANT,
  INVALIDATE,
  LOSE,
  MODIFIED,
  OFFERED_WRITE,
  OPERATE,
  OWNED_WRITE,
  PERFORM,
  PURGE,
  REFUSE,
  REJECT,
  REVOKE,
  REVOKE_WRITE,
  SHARED_WRITE,
  SURRENDER,
  TAKE,
  TELL_CLEAN,
  TELL_LOSS,
  UNTOUCHED_READ,
  WAKE,
} from "./table";

// --- Actions of a cache ---

export function cacheAct(engine: Engine, page: Page, event: u8, action: u8, message: PageMessage): void {
  switch (action) {
    case ASK_READ:
      ask(engine, page, SAY_GET_READ);
      break;
    case ASK_WRITE:
      ask(engine, page, SAY_GET_WRITE);
      break;
    case TAKE:
      assert((message.flags & WITH_DATA) != 0, "a machine without a copy was granted the right alone");
      // What the home's word is about came before it.
      if (<u32>message.from != engine.self && message.kind != SAY_ORDERED) put(engine, page, ACT_TAKE, 0);
      page.left = 0;
      break;
    case GRANT:
      put(
        engine,
        page,
        ACT_GRANT,
        page.state == EXCLUSIVE || page.state == MODIFIED ? RIGHT_MODIFIED : RIGHT_SHARED,
      );
      break;
    case REVOKE:
      if (event == INVALIDATE || event == FORWARD_WRITE) causeFromLater(page);
      put(engine, page, ACT_REVOKE, 0);
      break;
    case REVOKE_WRITE:
      put(engine, page, ACT_REVOKE, 1);
      break;
    case GIVE_READERS:
      giveReaders(engine, page);
      break;
    case ANSWER:
      answer(engine, page);
      break;
    case TELL_CLEAN:
      say(engine, page, page.home, SAY_CLEAN, 0, 0, 0, 0);
      break;
    case WAKE:
      put(engine, page, ACT_WAKE, 0);
      break;
    case LOSE:
      page.transaction = 0;
      if (page.causeKind == 0) page.dirty = 0;
      put(engine, page, ACT_FAIL, 0);
      refuse(engine, page, unheard(page) != 0);
      break;
    case TELL_LOSS:
      say(engine, page, page.home, SAY_LOSS, 0, page.partly | unheard(page), 0, 0);
      // What is told once hears the first who was ordered behind this machine, and comes yet.
      if (unheard(page) == 0) page.partly &= PARTLY;
      break;
    case REFUSE:
      refuse(engine, page, true);
      break;
    case ASK_OPERATE:
      askOperate(engine, page, event);
      break;
    case COMPLETE:
      put(engine, page, ACT_OPERATED, OPERATION_DONE);
      break;
    case DECLINE:
      put(engine, page, ACT_OPERATED, OPERATION_DECLINED);
      break;
    case FAIL_OPERATION:
      page.transaction = 0;
      put(engine, page, ACT_OPERATED, OPERATION_FAILED);
      break;
    case PERFORM:
      answerOperations(engine, page, SAY_OPERATED);
      // The frame at the home is the backing store.
      if (engine.self != page.home) page.dirty = 1;
      page.changed = 1;
      break;
    case REJECT:
      answerOperations(engine, page, SAY_REJECTED);
      break;
    case GIVE_ZEROS: {
      const right = event == UNTOUCHED_READ ? RIGHT_SHARED : RIGHT_MODIFIED;
      const flags: u8 = message.flags & HAS_COPY ? right : right | WITH_DATA;
      const dead = (engine.dead & bitOf(message.requester)) != 0;
      // The next writer died: what he was to have is here when the home asks for it.
      if (dead) page.left = u8(event != UNTOUCHED_READ);
      else sayPage(engine, page, message.requester, flags, message.transaction, message.acks, message.serial);
      break;
    }
    case ACKNOWLEDGE:
      if (!(engine.dead & bitOf(message.requester)))
        say(engine, page, message.requester, SAY_ACKNOWLEDGED, 0, 0, message.transaction, 0);
      break;
    case SURRENDER:
      earlyForget(page);
      clearCause(page);
      surrender(engine, page, page.left != 0);
      page.left = 0;
      break;
    default:
      assert(false, "an action that no cache takes");
  }
}

/** UNHEARD, unless somebody is told, now or as he comes for it (read-ahead.ts), when this machine does not get the page. */
function unheard(page: Page): u8 {
  return page.waiters != 0 || page.ahead != 0 ? 0 : UNHEARD;
}

function ask(engine: Engine, page: Page, kind: u8): void {
  engine.lastTransaction++;
  if (engine.lastTransaction == 0) engine.lastTransaction = 1;
  page.transaction = engine.lastTransaction;
  page.partly = 0;
  earlyBegins(page);
  page.acksExpected = 0;
  page.acksReceived = 0;
  const guess = guessOf(engine, page);
  say(
    engine,
    page,
    page.home,
    kind,
    guess,
    page.ranges != 0 && hasCopy(page) ? HAS_COPY : 0,
    page.transaction,
    0,
  );
  sayGuess(engine, page, guess);
}

/** Of this machine's request to write. */
function hasCopy(page: Page): bool {
  return page.state == SHARED_WRITE || page.state == OWNED_WRITE || page.state == OFFERED_WRITE;
}

/** To the machine that is believed to own the page; once that was wrong, by way of the home. */
function askOperate(engine: Engine, page: Page, event: u8): void {
  engine.lastTransaction++;
  if (engine.lastTransaction == 0) engine.lastTransaction = 1;
  page.transaction = engine.lastTransaction;
  page.unanswered = 0;
  const direct = event == OPERATE && page.guess != 0 && page.guess != page.home;
  page.target = direct ? page.guess : page.home;
  sayOperation(
    engine,
    page,
    page.target,
    direct ? SAY_EXECUTE : SAY_GET_OPERATE,
    0,
    page.transaction,
    engine.self,
    page.operation,
    page.operand,
    page.comparand,
  );
}

/** OPERATED: whoever sends it does the operation first, in this order. */
export function answerOperations(engine: Engine, page: Page, kind: u8): void {
  let operations = page.operations;
  page.operations = 0;
  while (operations != 0) {
    const machine = <u32>ctz(operations) + 1;
    operations &= operations - 1;
    const peer = peerAt(page, machine);
    const transaction = peer.operationTransaction;
    sayOperation(
      engine,
      page,
      machine,
      kind,
      0,
      transaction,
      0,
      peer.operation,
      peer.operand,
      peer.comparand,
    );
  }
}

function causeFromLater(page: Page): void {
  page.causeKind = page.laterKind;
  page.causeMachine = page.laterMachine;
  page.causeFlags = page.laterFlags;
  page.causeTransaction = page.laterTransaction;
  page.causeAcks = page.laterAcks;
  page.causeSerial = page.laterSerial;
  clearLater(page);
}

function clearLater(page: Page): void {
  page.laterKind = 0;
  page.laterMachine = 0;
  page.laterFlags = 0;
  page.laterTransaction = 0;
  page.laterAcks = 0;
  page.laterSerial = 0;
}

function clearCause(page: Page): void {
  page.causeKind = 0;
  page.causeMachine = 0;
  page.causeFlags = 0;
  page.causeTransaction = 0;
  page.causeAcks = 0;
  page.causeSerial = 0;
}

function giveReaders(engine: Engine, page: Page): void {
  let readers = page.readers;
  page.readers = 0;
  const flags: u8 = RIGHT_SHARED | WITH_DATA;
  while (readers != 0) {
    const machine = <u32>ctz(readers) + 1;
    readers &= readers - 1;
    const peer = peerAt(page, machine);
    if (peer.guessed != 0) giveEarly(engine, page, machine);
    else sayPage(engine, page, machine, flags, peer.reader, 0, peer.serial);
    peer.reader = 0;
    peer.serial = 0;
  }
}

function answer(engine: Engine, page: Page): void {
  earlyForget(page);
  successorSeen(engine, page, page.causeMachine);
  if (page.causeMachine == 0) {
    // The next writer died: what he was to have is still here when the home asks for it.
    if (page.causeKind == FORWARD_WRITE) page.left = 1;
  } else if (page.causeKind == INVALIDATE) {
    say(engine, page, page.causeMachine, SAY_ACKNOWLEDGED, 0, 0, page.causeTransaction, 0);
  } else if (page.causeKind == FORWARD_WRITE) {
    let flags: u8 = RIGHT_MODIFIED;
    if (!(page.causeFlags & HAS_COPY)) flags |= WITH_DATA;
    if (page.dirty) flags |= DATA_DIRTY;
    sayPage(engine, page, page.causeMachine, flags, page.causeTransaction, page.causeAcks, page.causeSerial);
  } else if (page.causeKind == PURGE) {
    surrender(engine, page, true);
  }
  clearCause(page);
  page.dirty = 0;
}

/** Of a page of which bytes are lost, and nobody here was told, the home tells whoever asks next. */
function surrender(engine: Engine, page: Page, data: bool): void {
  const flags: u8 = data ? (page.broken != 0 ? WITH_DATA | PARTLY : WITH_DATA) : 0;
  if (data) page.broken = 0;
  say(engine, page, page.home, SAY_SURRENDER, 0, flags, 0, 0);
}

/**
 * Nobody whom the home ordered behind this machine's request will get the page from here. `passesOn`: what is told once, and was heard by nobody
 * here, the first of them is told in place of this machine.
 */
function refuse(engine: Engine, page: Page, passesOn: bool): void {
  answerOperations(engine, page, SAY_REJECTED);
  let readers = page.readers;
  page.readers = 0;
  while (readers != 0) {
    const machine = <u32>ctz(readers) + 1;
    readers &= readers - 1;
    const peer = peerAt(page, machine);
    if (peer.guessed == 0) sayRefused(engine, page, machine, peer.reader, passesOn);
    peer.guessed = 0;
    peer.reader = 0;
  }
  if (page.laterMachine == 0) {
    // Nobody, or somebody who died.
  } else if (page.laterKind == INVALIDATE) {
    say(engine, page, page.laterMachine, SAY_ACKNOWLEDGED, 0, 0, page.laterTransaction, 0);
  } else if (page.laterKind == FORWARD_WRITE) {
    sayRefused(engine, page, page.laterMachine, page.laterTransaction, passesOn);
  }
  clearLater(page);
}

function sayRefused(engine: Engine, page: Page, to: u32, transaction: u32, passesOn: bool): void {
  say(engine, page, to, SAY_FAILURE, 0, passesOn ? page.partly : page.partly & PARTLY, transaction, 0);
  if (passesOn) page.partly &= PARTLY;
}
