// Runs the table of the page protocol for one machine. Pure: no clock, no device, no page table, no memory of its own.
// What happens to a page comes in by the exported functions; what is to be done about it goes out as a list of Action
// records, in order, which the caller carries out before he calls again. pages.ts does so in the kernel, the simulator in
// test/kernel does so for whole clusters in Node.
//
// Invariants: `transaction` is the one open request of this machine for the page, 0 when there is none; an answer to
// any other is late and dropped. `cause` is what made the machine let go of the page, `later` what the home ordered
// behind the machine's own request; each at most once. The home's owner is the machine that the page is with, or on
// its way to, or queued for.
import { cacheAct } from "./cache";
import { directoryDeath, directoryEvent, directoryMessage } from "./directory";
import {
  earlyCame,
  earlyForget,
  earlyTellsNobody,
  guessCame,
  offerEnds,
  offerOvertaken,
  orderCame,
  successorSeen,
  tenureBegins,
  wasGivenEarly,
  wasOffered,
  wasOvertaken,
} from "./early";
import { RangeSet, rangeOf, rangesPutState } from "./ranges";
import {
  bitOf,
  DATA_DIRTY,
  Engine,
  HAS_COPY,
  LOCAL_MAX,
  ONCE,
  PAGE_MESSAGE_BYTES,
  PARTLY,
  Page,
  PageMessage,
  peerAt,
  RIGHT,
  RIGHT_EXCLUSIVE,
  RIGHT_MODIFIED,
  SAY_ACKNOWLEDGED,
  SAY_CLEAN,
  SAY_EARLY,
  SAY_EXECUTE,
  SAY_FAILURE,
  SAY_FORWARD_READ,
  SAY_FORWARD_WRITE,
  SAY_GET_OPERATE,
  SAY_GET_READ,
  SAY_GET_WRITE,
  SAY_GRANT,
  SAY_GUESS,
  SAY_INVALIDATE,
  SAY_LOSS,
  SAY_LOSS_KNOWN,
  SAY_OPERATED,
  SAY_ORDERED,
  SAY_PURGE,
  SAY_REJECTED,
  SAY_SURRENDER,
  SAY_UNTAKEN,
  TAKE_IT,
  WITH_DATA,
} from "./records";
import { serialEnded, serialTaken } from "./serials";
import {
  ACKNOWLEDGED,
  COLLECTING,
  COPIED,
  END,
  EVENTS,
  EXCLUSIVE,
  EXECUTE,
  FAILED,
  FAILURE,
  FAILURE_KNOWN,
  FORWARD_READ,
  FORWARD_WRITE,
  GONE_CLEAN,
  GONE_DIRTY,
  GOT_COLLECT,
  GOT_EXCLUSIVE,
  GOT_MODIFIED,
  GOT_SHARED,
  HELD,
  HOME_DIED,
  INVALID,
  INVALID_OPERATE,
  INVALID_READ,
  INVALID_WRITE,
  INVALIDATE,
  INVALIDATE_NOTHING,
  LAST_ACKNOWLEDGED,
  LEAVING,
  LOWERING,
  MISSED,
  MODIFIED,
  NONE,
  OFFERED,
  OFFERED_WRITE,
  OFFERING,
  OPERATE,
  OPERATED,
  OWNED,
  OWNED_WRITE,
  PURGE,
  READ,
  REJECTED,
  ROW_BYTES,
  ROWS,
  SHARED,
  SHARED_WRITE,
  STATES,
  UNTAKEN,
  UNTOUCHED_READ,
  UNTOUCHED_WRITE,
  UNUSED,
  WRITE,
} from "./table";
import { engineFrozen } from "./takeover";

const INDEX_BYTES: u32 = 4096;
const INDEX: usize = memory.data(4096, 8); // STATES * EVENTS of u16: row number + 1
let indexed: bool = false;

/** Numbers the rows by state and event. Again after a test has changed them. */
export function tableIndex(): void {
  assert((STATES * EVENTS) << 1 <= INDEX_BYTES, "the index of the page protocol is too small");
  memory.fill(INDEX, 0, <usize>((STATES * EVENTS) << 1));
  for (let row: u32 = 0; load<u8>(ROWS + row * ROW_BYTES) != END; row++) {
    const at = ROWS + row * ROW_BYTES;
    const slot = INDEX + ((<u32>load<u8>(at) * EVENTS + load<u8>(at, 1)) << 1);
    assert(load<u16>(slot) == 0, "two rows for one state and event");
    store<u16>(slot, <u16>(row + 1));
  }
  indexed = true;
}
/**
 * `actions`: room for ACTIONS_MAX; `local`: LOCAL_BYTES of room. `firstTransaction`: another one in every life of the
 * machine, so that answers to an earlier life are known for late ones.
 */
export function engineCreate(
  engine: Engine,
  self: u32,
  machines: u32,
  actions: usize,
  local: usize,
  firstTransaction: u32,
): void {
  assert(self >= 1 && self <= machines && machines <= 64, "machines count from 1 to at most 64");
  if (!indexed) tableIndex();
  engine.self = self;
  engine.machines = machines;
  engine.actions = actions;
  engine.local = local;
  engine.lastTransaction = firstTransaction;
}

/**
 * A page's record, all zero but for object and index. `peers`: room for engine.machines slots; `ranges`: the object's
 * RangeSet, which says what the page is, 0 = without.
 */
export function pageCreate(page: Page, home: u32, peers: usize, ranges: usize): void {
  page.home = <u8>home;
  page.peers = peers;
  page.directory = UNUSED;
  page.ranges = ranges;
  if (ranges == 0) return;
  page.state = rangeOf(changetype<RangeSet>(ranges), page.index).state;
  page.ranged = 1;
}

/** Has this machine something of the page, or is it to have it by right of its own request? */
export function pageIsHere(page: Page): bool {
  switch (page.state) {
    case INVALID:
    case INVALID_READ:
    case INVALID_WRITE:
    case INVALID_OPERATE:
    case FAILED:
      return false;
    default:
      return true;
  }
}

/** May page tables have shown until now that the page was written here? Who collects acknowledgements has not been granted it. */
export function mayHaveWritten(state: u8): bool {
  switch (state) {
    case EXCLUSIVE:
    case MODIFIED:
    case LOWERING:
    case LEAVING:
    case OFFERING:
      return true;
    default:
      return false;
  }
}
// --- Events ---

/** A thread here needs the page. */
export function engineAsk(engine: Engine, page: Page, write: bool): void {
  engine.actionCount = 0;
  cacheEvent(engine, page, write ? WRITE : READ, changetype<PageMessage>(0));
  settle(engine, page);
}

/** A thread here has an operation (operation.ts) that another machine may do for it. The page's state is INVALID. */
export function engineOperate(
  engine: Engine,
  page: Page,
  operation: u32,
  operand: u64,
  comparand: u64,
): void {
  engine.actionCount = 0;
  page.operation = operation;
  page.operand = operand;
  page.comparand = comparand;
  cacheEvent(engine, page, OPERATE, changetype<PageMessage>(0));
  settle(engine, page);
}

export function engineMessage(engine: Engine, page: Page, message: PageMessage): void {
  if (page.frozen != 0) {
    engineFrozen(engine, page, message);
    return;
  }
  engine.actionCount = 0;
  receive(engine, page, message);
  settle(engine, page);
}

/** A revocation is over: no core of this machine can reach the page (or write it) any more. `dirty`: a page-table entry said so. */
export function engineGone(engine: Engine, page: Page, dirty: bool): void {
  engine.actionCount = 0;
  // The frame at the home is the backing store.
  page.dirty = engine.self == page.home ? 0 : page.dirty | <u8>dirty;
  serialEnded(page, dirty);
  cacheEvent(engine, page, page.dirty ? GONE_DIRTY : GONE_CLEAN, changetype<PageMessage>(0));
  settle(engine, page);
}

/** For every page, after engineDead(). */
export function enginePeerDied(engine: Engine, page: Page, peer: u32): void {
  engine.actionCount = 0;
  forgetPeer(engine, page, peer);
  const operating = page.state == INVALID_OPERATE && <u32>page.target == peer;
  if (peer == page.home) {
    page.transaction = 0;
    cacheEvent(engine, page, HOME_DIED, changetype<PageMessage>(0));
  } else {
    if (page.state == COLLECTING && collected(engine, page)) granted(engine, page, LAST_ACKNOWLEDGED);
    if (operating) cacheEvent(engine, page, FAILURE, changetype<PageMessage>(0));
    if (engine.self == page.home) directoryDeath(engine, page, peer);
  }
  settle(engine, page);
}

/** Nothing that is still owed to the dead machine may reach a new one with its number, whose transactions begin anew. */
export function forgetPeer(engine: Engine, page: Page, peer: u32): void {
  page.readers &= ~bitOf(peer);
  page.operations &= ~bitOf(peer);
  if (<u32>page.guess == peer) page.guess = 0;
  if (<u32>page.successor == peer) page.successor = 0;
  earlyTellsNobody(engine, page, peer);
  if (<u32>page.home == peer) page.overtaken = 0;
  peerAt(page, peer).reader = 0;
  peerAt(page, peer).guessed = 0;
  if (<u32>page.causeMachine == peer && page.causeKind != PURGE) page.causeMachine = 0;
  if (<u32>page.laterMachine == peer) page.laterMachine = 0;
}

export function engineDead(engine: Engine, peer: u32): void {
  engine.dead |= bitOf(peer);
}

/** A new machine has taken the number of a dead one. */
export function engineAlive(engine: Engine, peer: u32): void {
  engine.dead &= ~bitOf(peer);
}

/** What the machine says to itself, and what it put off until its state was stable. */
function settle(engine: Engine, page: Page): void {
  do {
    while (engine.localCount != 0) {
      const message = changetype<PageMessage>(engine.local + engine.localFirst * PAGE_MESSAGE_BYTES);
      engine.localFirst = (engine.localFirst + 1) % LOCAL_MAX;
      engine.localCount--;
      receive(engine, page, message);
    }
  } while (replay(engine, page) || engine.localCount != 0);
}

function replay(engine: Engine, page: Page): bool {
  const none = changetype<PageMessage>(0);
  const state = page.state;
  if (state == SHARED || state == OWNED || state == EXCLUSIVE || state == MODIFIED) {
    // Operations first: they were ordered before the writer, or it is all the same.
    if (page.operations != 0) {
      cacheEvent(engine, page, EXECUTE, none);
      return true;
    }
    // The writer first: the readers before him are served by the same revocation.
    if (page.laterKind != 0) {
      cacheEvent(engine, page, page.laterKind, none);
      return true;
    }
    if (page.readers != 0) {
      cacheEvent(engine, page, FORWARD_READ, none);
      return true;
    }
  }
  if (page.purge == 0 || !purgeable(page)) return false;
  page.purge = 0;
  page.causeKind = PURGE;
  page.causeMachine = page.home;
  cacheEvent(engine, page, PURGE, none);
  return true;
}

/** Nothing is open here that the home ordered before it began to recover the page. */
function purgeable(page: Page): bool {
  switch (page.state) {
    case INVALID:
    case INVALID_OPERATE:
    case SHARED:
    case OWNED:
    case EXCLUSIVE:
    case MODIFIED:
    case OFFERED:
      return true;
    case INVALID_READ:
    case INVALID_WRITE:
    case SHARED_WRITE:
    case OWNED_WRITE:
    case OFFERED_WRITE:
      return page.transaction != page.purgeTransaction;
    default:
      return false;
  }
}

function receive(engine: Engine, page: Page, message: PageMessage): void {
  switch (message.kind) {
    case SAY_GET_READ:
    case SAY_GET_WRITE:
    case SAY_CLEAN:
    case SAY_LOSS:
    case SAY_SURRENDER:
    case SAY_GET_OPERATE:
      directoryMessage(engine, page, message);
      break;
    case SAY_EXECUTE:
      execute(engine, page, message);
      break;
    case SAY_GRANT:
    case SAY_OPERATED:
    case SAY_REJECTED:
    case SAY_ACKNOWLEDGED:
    case SAY_FAILURE:
    case SAY_ORDERED:
      // An answer to a transaction that is closed is late: it failed meanwhile, or it is a repetition.
      if (page.transaction != 0 && message.transaction == page.transaction) answered(engine, page, message);
      break;
    case SAY_FORWARD_READ:
      if (engine.dead & bitOf(message.requester)) break; // the home will know as well
      if (page.overtaken != 0 || wasGivenEarly(page, message)) break;
      if (isUntouched(page, message)) {
        cacheEvent(engine, page, UNTOUCHED_READ, message);
        break;
      }
      page.readers |= bitOf(message.requester);
      peerAt(page, message.requester).reader = message.transaction;
      peerAt(page, message.requester).serial = message.serial;
      peerAt(page, message.requester).guessed = 0;
      cacheEvent(engine, page, FORWARD_READ, message);
      break;
    case SAY_GUESS:
      guessCame(engine, page, message);
      break;
    case SAY_EARLY:
      earlyCame(engine, page, message);
      break;
    case SAY_UNTAKEN:
      if (offerEnds(page, message)) cacheEvent(engine, page, UNTAKEN, message);
      break;
    case SAY_INVALIDATE:
      if (isUntouched(page, message)) cacheEvent(engine, page, INVALIDATE_NOTHING, message);
      else putLater(engine, page, INVALIDATE, message);
      break;
    case SAY_FORWARD_WRITE:
      if (wasOvertaken(page) || wasOffered(engine, page, message)) break;
      if (isUntouched(page, message)) cacheEvent(engine, page, UNTOUCHED_WRITE, message);
      else putLater(engine, page, FORWARD_WRITE, message);
      break;
    case SAY_LOSS_KNOWN:
      page.partly &= PARTLY;
      cacheEvent(engine, page, FAILURE_KNOWN, message);
      break;
    case SAY_PURGE:
      page.purge = 1;
      page.purgeTransaction = message.transaction;
      break; // settle() does it when it can be done
    default:
      assert(false, "a page message of no kind");
  }
}

/** A forward or invalidation that is not meant for the page that an open request of this machine's will bring. */
function isUntouched(page: Page, message: PageMessage): bool {
  if (page.ranges == 0) return false;
  switch (page.state) {
    case INVALID:
    case INVALID_OPERATE:
      return true;
    case INVALID_READ:
    case INVALID_WRITE:
      return page.transaction != message.served;
    default:
      return false;
  }
}

/** Kept in the requester's slot until a row says what becomes of it. */
function execute(engine: Engine, page: Page, message: PageMessage): void {
  if (engine.dead & bitOf(message.requester)) return;
  const peer = peerAt(page, message.requester);
  page.operations |= bitOf(message.requester);
  peer.operation = message.operation;
  peer.operationTransaction = message.transaction;
  peer.operand = message.operand;
  peer.comparand = message.comparand;
  cacheEvent(engine, page, EXECUTE, message);
}

function putLater(engine: Engine, page: Page, event: u8, message: PageMessage): void {
  assert(page.laterKind == 0, "the home ordered two writers behind one request");
  page.laterKind = event;
  page.laterMachine = engine.dead & bitOf(message.requester) ? 0 : message.requester;
  page.laterFlags = message.flags & HAS_COPY;
  page.laterTransaction = message.transaction;
  page.laterAcks = message.acks;
  page.laterSerial = message.serial;
  cacheEvent(engine, page, event, message);
}

function answered(engine: Engine, page: Page, message: PageMessage): void {
  offerOvertaken(engine, page, message);
  if (message.kind == SAY_FAILURE) {
    page.partly = message.flags & (PARTLY | ONCE);
    cacheEvent(engine, page, FAILURE, message);
    return;
  }
  if (message.kind == SAY_ACKNOWLEDGED) {
    // The home acknowledges for a machine that died.
    page.acksReceived |= bitOf(message.requester != 0 ? message.requester : message.from);
    const last = page.state == COLLECTING && collected(engine, page);
    if (last) granted(engine, page, LAST_ACKNOWLEDGED);
    else cacheEvent(engine, page, ACKNOWLEDGED, message);
    return;
  }
  if (message.kind == SAY_OPERATED || message.kind == SAY_REJECTED) {
    operated(engine, page, message);
    return;
  }
  if (message.kind == SAY_ORDERED) {
    orderCame(engine, page, message);
    return;
  }
  serialTaken(page, message);
  const dirty = u8((message.flags & DATA_DIRTY) != 0);
  page.dirty = message.flags & WITH_DATA ? dirty : page.dirty | dirty;
  if (message.end != 0 && page.ranges != 0) {
    rangesPutState(changetype<RangeSet>(page.ranges), message.first, message.end - 1, EXCLUSIVE);
  }
  const right = message.flags & RIGHT;
  if (right == RIGHT_MODIFIED) {
    page.acksExpected = message.acks;
    if (collected(engine, page)) {
      tenureBegins(engine, page);
      page.transaction = 0;
      cacheEvent(engine, page, GOT_MODIFIED, message);
    } else cacheEvent(engine, page, GOT_COLLECT, message);
    return;
  }
  if (right == RIGHT_EXCLUSIVE) tenureBegins(engine, page);
  else earlyForget(page);
  page.transaction = 0;
  cacheEvent(engine, page, right == RIGHT_EXCLUSIVE ? GOT_EXCLUSIVE : GOT_SHARED, message);
  if (engine.self == page.home && page.directory == HELD && page.sharers & bitOf(engine.self)) {
    directoryEvent(engine, page, COPIED, message);
  }
}

function operated(engine: Engine, page: Page, message: PageMessage): void {
  if (message.kind == SAY_OPERATED) {
    page.transaction = 0;
    page.guess = message.from;
    successorSeen(engine, page, message.from);
    page.advice = message.flags & TAKE_IT;
    page.operand = message.operand;
    cacheEvent(engine, page, OPERATED, message);
    return;
  }
  page.guess = 0;
  // By the home's word nobody else can do it; a guess was only a guess.
  const guessed = page.target != page.home;
  if (!guessed) page.transaction = 0;
  cacheEvent(engine, page, guessed ? MISSED : REJECTED, message);
}

export function collected(engine: Engine, page: Page): bool {
  return (page.acksExpected & ~(page.acksReceived | engine.dead)) == 0;
}

function granted(engine: Engine, page: Page, event: u8): void {
  tenureBegins(engine, page);
  page.transaction = 0;
  cacheEvent(engine, page, event, changetype<PageMessage>(0));
}
// --- Rows ---

/** 0: there is none. */
export function rowAt(state: u8, event: u8): usize {
  const row = <u32>load<u16>(INDEX + ((<u32>state * EVENTS + event) << 1));
  return row == 0 ? 0 : ROWS + (row - 1) * ROW_BYTES;
}

export function rowOf(engine: Engine, state: u8, event: u8): usize {
  const at = rowAt(state, event);
  if (at == 0) {
    engine.illegalState = state;
    engine.illegalEvent = event;
    assert(false, "the page protocol has no row for this state and event");
  }
  store<u8>(at, 1, ROW_BYTES - 1); // used: the tests ask which rows never were
  return at;
}

export function cacheEvent(engine: Engine, page: Page, event: u8, message: PageMessage): void {
  const row = rowOf(engine, page.state, event);
  page.state = load<u8>(row, 2);
  for (let i: usize = 3; i < 7; i++) {
    const action = load<u8>(row + i);
    if (action == NONE) break;
    cacheAct(engine, page, event, action, message);
  }
}
