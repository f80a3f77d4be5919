// Short steps of the engine, for runs of pages (runs.ts): what the table's rows do to a page with which nothing else is under way, in
// one go. They save time and are nothing else: the table is the protocol. Pure, as engine.ts.
//
// Invariants: a step is taken only while each row that it stands for says what the step does; it leaves the page, its peers' slots and its
// range as the rows leave them, and says the same. test/kernel/coherence-steps.test.ts takes both ways wherever the
// search of all orders of events comes.
import { passes, refresh } from "./directory";
import { earlyBegins, earlyForget } from "./early";
import { rowAt } from "./engine";
import { RangeSet, rangeOf, rangesCarve, rangesMerge } from "./ranges";
import {
  bitOf,
  Engine,
  Page,
  PageMessage,
  peerAt,
  RIGHT_SHARED,
  SAY_GET_READ,
  SAY_GRANT,
  WITH_DATA,
} from "./records";
import { say, sayPage } from "./say";
import { serialEnded, serialTaken } from "./serials";
import {
  ASK_READ,
  CLEAN,
  CLEAN_SHARED,
  EXCLUSIVE,
  FORWARD_READ,
  GET_READ,
  GIVE_READERS,
  GONE_CLEAN,
  GOT_SHARED,
  GRANT,
  GRANT_SHARED,
  HELD,
  INVALID,
  INVALID_READ,
  LOWERING,
  MODIFIED,
  NONE,
  OWNED,
  PASS_READ,
  READ,
  RELEASE_OWNER,
  REVOKE_WRITE,
  SHARED,
  TAKE,
  TELL_CLEAN,
  WAKE,
} from "./table";

/** Which steps the table allows, a bit each; looked up once. */
const ASKS: u32 = 1;
const TAKES: u32 = 2;
const GIVES: u32 = 4;
const COPIES: u32 = 8;
const KNOWN: u32 = 16;
let allowed: u32 = 0;

/** Does the row say: this state next, and these actions? */
function says(state: u8, event: u8, next: u8, first: u8, second: u8, third: u8): bool {
  const row = rowAt(state, event);
  if (row == 0 || load<u8>(row, 2) != next || load<u8>(row, 3) != first) return false;
  if (second == NONE) return first == NONE || load<u8>(row, 4) == NONE;
  if (load<u8>(row, 4) != second || load<u8>(row, 5) != third) return false;
  return third == NONE || load<u8>(row, 6) == NONE;
}

function stepsLook(): void {
  allowed = KNOWN;
  if (says(INVALID, READ, INVALID_READ, ASK_READ, NONE, NONE)) allowed |= ASKS;
  if (says(INVALID_READ, GOT_SHARED, SHARED, TAKE, GRANT, NONE)) allowed |= TAKES;
  if (says(CLEAN_SHARED, GET_READ, CLEAN_SHARED, GRANT_SHARED, NONE, NONE)) allowed |= COPIES;
  const gives =
    says(HELD, GET_READ, HELD, PASS_READ, NONE, NONE) &&
    says(EXCLUSIVE, FORWARD_READ, LOWERING, REVOKE_WRITE, NONE, NONE) &&
    says(MODIFIED, FORWARD_READ, LOWERING, REVOKE_WRITE, NONE, NONE) &&
    says(LOWERING, GONE_CLEAN, OWNED, GIVE_READERS, TELL_CLEAN, WAKE) &&
    says(HELD, CLEAN, CLEAN_SHARED, RELEASE_OWNER, NONE, NONE);
  if (gives) allowed |= GIVES;
}

function may(steps: u32): bool {
  if (allowed == 0) stepsLook();
  return (allowed & steps) != 0;
}

/** Nothing is put off, and nobody waits for anything of the page. */
function isQuiet(page: Page): bool {
  const put = <u32>page.laterKind | <u32>page.causeKind | <u32>page.purge | <u32>page.frozen | <u32>page.left;
  return put == 0 && (page.readers | page.operations) == 0;
}

/**
 * INVALID, READ: the page is asked for, of another machine. As engineAsk(), but that sayAsked() is to follow, or a run says it. False:
 * nothing has happened.
 */
export function stepAsk(engine: Engine, page: Page): bool {
  if (page.state != INVALID || <u32>page.home == engine.self || !isQuiet(page) || !may(ASKS)) return false;
  engine.actionCount = 0;
  engine.lastTransaction++;
  if (engine.lastTransaction == 0) engine.lastTransaction = 1;
  stepAsked(page, engine.lastTransaction);
  return true;
}

function stepAsked(page: Page, transaction: u32): void {
  page.state = INVALID_READ;
  page.transaction = transaction;
  earlyBegins(page);
  page.acksExpected = 0;
  page.acksReceived = 0;
}

/** As stepAsk() of so many pages that have no record, of an object whose home is another machine: the first transaction. 0: not now. */
export function stepAskMany(engine: Engine, pages: u32): u32 {
  const before = engine.lastTransaction;
  if (!may(ASKS) || before + pages < before) return 0;
  engine.actionCount = 0;
  engine.lastTransaction = before + pages;
  return before + 1;
}

/** One of them gets its record, new and INVALID. */
export function stepAskedBefore(page: Page, transaction: u32): void {
  assert(page.state == INVALID && page.transaction == 0, "a page was asked for that is here");
  stepAsked(page, transaction);
}

/** What is said then. */
export function sayAsked(engine: Engine, page: Page): void {
  say(engine, page, page.home, SAY_GET_READ, 0, 0, page.transaction, 0);
}

/**
 * INVALID_READ, GOT_SHARED: a copy has come. As engineMessage(); the caller does as ACT_TAKE and ACT_GRANT say. False: nothing has
 * happened.
 */
export function stepTake(engine: Engine, page: Page, message: PageMessage): bool {
  if (message.kind != SAY_GRANT || message.flags != (RIGHT_SHARED | WITH_DATA) || message.end != 0)
    return false;
  if (page.state != INVALID_READ || page.transaction != message.transaction) return false;
  if (<u32>page.home == engine.self || !isQuiet(page) || !may(TAKES)) return false;
  engine.actionCount = 0;
  serialTaken(page, message);
  page.dirty = 0;
  earlyForget(page);
  page.transaction = 0;
  page.state = SHARED;
  return true;
}

/** Would stepTake() take a copy of a page that was asked for, with which nothing else is under way? */
export function stepMayTake(message: PageMessage): bool {
  return message.kind == SAY_GRANT && message.flags == (RIGHT_SHARED | WITH_DATA) && stepMayTakeCopies();
}

export function stepMayTakeCopies(): bool {
  return may(TAKES);
}

/** At the home, another machine's GET_READ: may stepGive() or stepCopy() answer it? */
function isPlainRequest(engine: Engine, page: Page, message: PageMessage): bool {
  if (message.kind != SAY_GET_READ || <u32>page.home != engine.self) return false;
  return <u32>message.from != engine.self && (engine.dead & bitOf(message.from)) == 0 && isQuiet(page);
}

/**
 * CLEAN_SHARED, GET_READ: the home sends a copy. As engineMessage(), but that sayGiven() is to follow, or a run says it. False: nothing
 * has happened.
 */
export function stepCopy(engine: Engine, page: Page, message: PageMessage): bool {
  if (!isPlainRequest(engine, page, message) || !may(COPIES)) return false;
  refresh(page);
  if (page.directory != CLEAN_SHARED) return false;
  engine.actionCount = 0;
  leaveRange(page);
  served(engine, page, message, 0);
  page.sharers |= bitOf(message.from);
  return true;
}

/** May stepGive() follow, after the right to write has left this machine's page tables? */
export function stepMayGive(engine: Engine, page: Page, message: PageMessage): bool {
  if (page.state != MODIFIED && page.state != EXCLUSIVE) return false;
  if (!isPlainRequest(engine, page, message) || page.transaction != 0 || !may(GIVES)) return false;
  refresh(page);
  return page.directory == HELD && <u32>page.owner == engine.self;
}

/**
 * The home has the page alone: HELD, GET_READ; then FORWARD_READ to itself; the right to write has ended, `dirty` or not: GONE_CLEAN, since
 * its frame is the backing store; CLEAN. As engineMessage() and engineGone(), but that sayGiven() is to follow, or a run says it, and but for
 * ACT_WAKE.
 */
export function stepGive(engine: Engine, page: Page, message: PageMessage, dirty: bool): void {
  engine.actionCount = 0;
  leaveRange(page);
  served(engine, page, message, engine.self);
  page.dirty = 0;
  serialEnded(page, dirty);
  page.state = OWNED;
  page.directory = CLEAN_SHARED;
  page.sharers |= bitOf(message.from) | bitOf(engine.self);
  page.owner = 0;
}

/** The answer of stepCopy() and stepGive(). */
export function sayGiven(engine: Engine, page: Page, message: PageMessage): void {
  sayPage(engine, page, message.from, RIGHT_SHARED | WITH_DATA, message.transaction, 0, message.serial);
}

/**
 * At the home, another machine asks for pages from `first` on, `most` at the most, that have no records: of so many their range alone can say
 * what becomes of them. 0: of none. As their records would be made, stepGive() or stepCopy() taken, and merged again (merge.ts) at once.
 */
export function stepMayGiveRange(engine: Engine, set: RangeSet, first: u64, most: u64, to: u32): u64 {
  if (to == engine.self || (engine.dead & bitOf(to)) != 0) return 0;
  const range = rangeOf(set, first);
  const ours = range.directory == HELD && <u32>range.owner == engine.self && range.state == EXCLUSIVE;
  if (ours ? !may(GIVES) : range.directory != CLEAN_SHARED || !may(COPIES)) return 0;
  return min<u64>(most, range.last - first + 1);
}

/** Is the right to write to these pages, which stepMayGiveRange() has found, to leave this machine's page tables before? */
export function stepLowers(set: RangeSet, first: u64): bool {
  return rangeOf(set, first).directory == HELD;
}

/** They are given. The caller says so, and numbers their bytes. */
export function stepGiveRange(engine: Engine, set: RangeSet, first: u64, last: u64, to: u32): void {
  const range = rangeOf(set, first);
  const ours = range.directory == HELD;
  const sharers = ours ? bitOf(engine.self) : range.sharers;
  rangesMerge(set, first, last, ours ? SHARED : range.state, CLEAN_SHARED, 0, sharers | bitOf(to));
}

function leaveRange(page: Page): void {
  if (page.ranges != 0 && page.ranged != 0) rangesCarve(changetype<RangeSet>(page.ranges), page.index);
  page.ranged = page.ranges != 0 ? 0 : page.ranged;
}

function served(engine: Engine, page: Page, message: PageMessage, server: u32): void {
  const peer = peerAt(page, message.from);
  peer.acks = 0;
  peer.served = message.transaction;
  peer.operating = 0;
  peer.server = <u8>server;
  passes(engine, page, message.from, server);
}
