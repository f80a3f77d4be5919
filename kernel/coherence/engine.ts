// Runs the table of the page protocol for one machine. Pure: no clock, no device, no page table, no memory of its own.
// What happens to a page comes in by the exported functions; what is to be done about it goes out as a list of Action
// records, in order, which the caller carries out before he calls again. pager.ts does so in the kernel, the simulator in
// test/kernel does so for whole clusters in Node.
//
// Invariants: `transaction` is the one open request of this machine for the page, 0 when there is none; an answer to
// any other is late and dropped. `cause` is what made the machine let go of the page, `later` what the home ordered
// behind the machine's own request; each at most once. The home's owner is the machine that the page is with, or on
// its way to, or queued for.
import {
  ACKNOWLEDGED,
  ANSWER,
  ASK_READ,
  ASK_WRITE,
  CLEAN,
  CLEAN_LATE,
  CLEAN_SHARED,
  COLLECTING,
  CONFIRM_LOSS,
  COPIED,
  DROP_SENDER,
  END,
  EVENTS,
  EXCLUSIVE,
  FAIL_ONCE,
  FAILURE,
  FAILURE_KNOWN,
  FORWARD_READ,
  FORWARD_WRITE,
  GET_READ,
  GET_WRITE,
  GET_WRITE_OWNER,
  GET_WRITE_SHARER,
  GIVE_READERS,
  GONE_CLEAN,
  GONE_DIRTY,
  GOT_COLLECT,
  GOT_EXCLUSIVE,
  GOT_MODIFIED,
  GOT_SHARED,
  GRANT,
  GRANT_EXCLUSIVE,
  GRANT_MODIFIED,
  GRANT_SHARED,
  HELD,
  HOME_DIED,
  INVALID,
  INVALID_READ,
  INVALID_WRITE,
  INVALIDATE,
  INVALIDATE_SHARERS,
  KEEP,
  LAST_ACKNOWLEDGED,
  LOSE,
  MODIFIED,
  NONE,
  OTHER_FAILED,
  OWNED,
  OWNED_WRITE,
  OWNER_DIED,
  OWNER_FAILED,
  PASS_READ,
  PASS_WRITE,
  PURGE,
  PURGE_ALL,
  READ,
  RECOVERED,
  RECOVERING,
  REFUSE,
  RELEASE_OWNER,
  RESUME,
  REVOKE,
  REVOKE_WRITE,
  ROW_BYTES,
  ROWS,
  SHARED,
  SHARED_WRITE,
  SHARER_DIED,
  SHARERS_DIED,
  STATES,
  SURRENDER,
  SURRENDERED,
  TAKE,
  TAKE_BACK,
  TELL_CLEAN,
  TELL_LOSS,
  UNRECOVERED,
  UNUSED,
  WAKE,
  WRITE,
} from "./table";

/** What machines say to each other about a page; commands.ts has the encoding. */
export const SAY_GET_READ: u8 = 1;
export const SAY_GET_WRITE: u8 = 2;
export const SAY_GRANT: u8 = 3;
export const SAY_ACKNOWLEDGED: u8 = 4;
export const SAY_INVALIDATE: u8 = 5;
export const SAY_FORWARD_READ: u8 = 6;
export const SAY_FORWARD_WRITE: u8 = 7;
export const SAY_CLEAN: u8 = 8;
export const SAY_LOSS: u8 = 9;
export const SAY_LOSS_KNOWN: u8 = 10;
export const SAY_FAILURE: u8 = 11;
/** `transaction`: the last one of the receiver's that the home ordered. */
export const SAY_PURGE: u8 = 12;
export const SAY_SURRENDER: u8 = 13;

/** PageMessage.flags: the right that is granted, and what comes with it. */
export const RIGHT: u8 = 3;
export const RIGHT_SHARED: u8 = 1;
export const RIGHT_EXCLUSIVE: u8 = 2;
export const RIGHT_MODIFIED: u8 = 3;
/** The page's bytes come along. */
export const WITH_DATA: u8 = 4;
/** The backing store does not have these bytes. */
export const DATA_DIRTY: u8 = 8;
/** FORWARD_WRITE: the requester has a copy. */
export const HAS_COPY: u8 = 16;

@unmanaged
export class PageMessage {
  kind: u8 = 0;
  /** The machine that sent it. Machines count from 1. */
  from: u8 = 0;
  /** Forwards and invalidations: for whom. */
  requester: u8 = 0;
  flags: u8 = 0;
  /** The requester's transaction. */
  transaction: u32 = 0;
  /** A right to write: the machines that acknowledge to the requester. */
  acks: u64 = 0;
}
export const PAGE_MESSAGE_BYTES: u32 = 16;

/** Action.kind */
export const ACT_SEND: u8 = 1;
/** Copy the data of the message being handled into the page's frame. */
export const ACT_TAKE: u8 = 2;
/** `flags`: RIGHT_SHARED or RIGHT_MODIFIED (E included) for the threads that wait. */
export const ACT_GRANT: u8 = 3;
/** `flags`: 1 = the right to write only. engineGone() must follow, also if nothing was mapped. */
export const ACT_REVOKE: u8 = 4;
export const ACT_WAKE: u8 = 5;
export const ACT_FAIL: u8 = 6;

@unmanaged
export class Action {
  kind: u8 = 0;
  to: u8 = 0;
  flags: u8 = 0;
  spare: u8 = 0;
  page: usize = 0;
  /** ACT_SEND: a PageMessage. */
  say: u8 = 0;
  from: u8 = 0;
  requester: u8 = 0;
  sayFlags: u8 = 0;
  transaction: u32 = 0;
  acks: u64 = 0;
}
export const ACTION_BYTES: u32 = 24;
/** One event acts at most so often: everyone is answered, invalidated or failed, and a few more. */
export const ACTIONS_MAX: u32 = 256;

/** A ring of them, one more for what a dead machine might have said, one for a request that was kept. */
const LOCAL_MAX: u32 = 16;
export const LOCAL_BYTES: u32 = 18 * 16;

@unmanaged
export class Engine {
  /** This machine's number, from 1. */
  self: u32 = 0;
  machines: u32 = 0;
  /** Bit per dead machine (bit 0 = machine 1): they acknowledge everything. */
  dead: u64 = 0;
  lastTransaction: u32 = 0;
  actionCount: u32 = 0;
  /** Actions, ACTION_BYTES each, room for ACTIONS_MAX. */
  actions: usize = 0;
  /** What this machine says to itself: LOCAL_BYTES of PageMessages. */
  local: usize = 0;
  localFirst: u32 = 0;
  localCount: u32 = 0;
  /** The pair that stopped the machine. */
  illegalState: u32 = 0;
  illegalEvent: u32 = 0;
}

/** Page.causeKind and laterKind are the event's number; 0 (READ) stands for none. */
@unmanaged
export class Page {
  object: u64 = 0;
  index: u64 = 0;
  state: u8 = 0;
  home: u8 = 0;
  /** The backing store does not have what this machine's copy says. */
  dirty: u8 = 0;
  causeKind: u8 = 0;
  causeMachine: u8 = 0;
  causeFlags: u8 = 0;
  laterKind: u8 = 0;
  laterMachine: u8 = 0;
  laterFlags: u8 = 0;
  /** Directory, at the home only. */
  directory: u8 = 0;
  owner: u8 = 0;
  /** Recovering: a copy was found, or its loss is known. */
  found: u8 = 0;
  /** The home wants what is here, as soon as nothing is open that it ordered before (`purgeTransaction`). */
  purge: u8 = 0;
  /** The page was given up for a writer who died, and its bytes are still in the frame. */
  left: u8 = 0;
  transaction: u32 = 0;
  purgeTransaction: u32 = 0;
  causeTransaction: u32 = 0;
  laterTransaction: u32 = 0;
  causeAcks: u64 = 0;
  laterAcks: u64 = 0;
  acksExpected: u64 = 0;
  acksReceived: u64 = 0;
  /** Machines that wait for this one to send them a copy; their transactions are in the peers' slots. */
  readers: u64 = 0;
  sharers: u64 = 0;
  /** Recovering: the machines that have not surrendered yet. */
  awaited: u64 = 0;
  /** Address of the peers' slots. */
  peers: usize = 0;

  // --- pager.ts: what it keeps about the page; the engine does not look ---
  /** 0: never touched here, all zeros. */
  frame: usize = 0;
  /** Of the SharedObject. */
  holder: usize = 0;
  /** Clients that wait for the page, linked by nextWaiter. */
  waiters: usize = 0;
  /** Threads that were granted the page and have not retired an instruction since (progress.ts), and those of them in user mode. */
  pins: u32 = 0;
  running: u32 = 0;
  /** Kernel copies under way. */
  holds: u32 = 0;
  /** Unmapped somewhere with its dirty bit set. */
  noted: u32 = 0;
  /** 0, or what a revocation that is waited with is to take: WRITE_ONLY or EVERYTHING. */
  revoking: u32 = 0;
  /** When pins count no more. */
  pinsEnd: u64 = 0;
  revokingNext: usize = 0;
  next: usize = 0;
  nextInObject: usize = 0;
}

/** One slot per machine of the cluster, behind each other at Page.peers. */
@unmanaged
export class Peer {
  /** Transaction of its forwarded read (Page.readers). */
  reader: u32 = 0;
  /** At the home: its last request, and the machine that was to answer it; 0 = the home itself. */
  served: u32 = 0;
  server: u8 = 0;
  /** Recovering: its request that waits, 1 to read, 2 to write. */
  kept: u8 = 0;
  keptTransaction: u32 = 0;
  /** At the home: who was to acknowledge to its last request. */
  acks: u64 = 0;
}
export const PEER_BYTES: u32 = 24;

const INDEX: usize = memory.data(800, 8); // STATES * EVENTS: row number + 1
let indexed: bool = false;

/** Numbers the rows by state and event. Again after a test has changed them. */
export function tableIndex(): void {
  memory.fill(INDEX, 0, <usize>(STATES * EVENTS));
  for (let row: u32 = 0; load<u8>(ROWS + row * ROW_BYTES) != END; row++) {
    const at = ROWS + row * ROW_BYTES;
    const slot = INDEX + <u32>load<u8>(at) * EVENTS + load<u8>(at, 1);
    assert(load<u8>(slot) == 0, "two rows for one state and event");
    store<u8>(slot, <u8>(row + 1));
  }
  indexed = true;
}

export function bitOf(machine: u32): u64 {
  return (<u64>1) << (machine - 1);
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

/** A page's record, all zero but for object and index. `peers`: room for engine.machines slots. */
export function pageCreate(page: Page, home: u32, peers: usize): void {
  page.home = <u8>home;
  page.peers = peers;
  page.directory = UNUSED;
}

function peerAt(page: Page, machine: u32): Peer {
  return changetype<Peer>(page.peers + (machine - 1) * PEER_BYTES);
}

// --- Events ---

/** A thread here needs the page. */
export function engineAsk(engine: Engine, page: Page, write: bool): void {
  engine.actionCount = 0;
  cacheEvent(engine, page, write ? WRITE : READ, changetype<PageMessage>(0));
  settle(engine, page);
}

export function engineMessage(engine: Engine, page: Page, message: PageMessage): void {
  engine.actionCount = 0;
  receive(engine, page, message);
  settle(engine, page);
}

/** A revocation is over: no core of this machine can reach the page (or write it) any more. `dirty`: a page-table entry said so. */
export function engineGone(engine: Engine, page: Page, dirty: bool): void {
  engine.actionCount = 0;
  // The frame at the home is the backing store.
  page.dirty = engine.self == page.home ? 0 : page.dirty | <u8>dirty;
  cacheEvent(engine, page, page.dirty ? GONE_DIRTY : GONE_CLEAN, changetype<PageMessage>(0));
  settle(engine, page);
}

/** For every page, after engineDead(). */
export function enginePeerDied(engine: Engine, page: Page, peer: u32): void {
  engine.actionCount = 0;
  forgetPeer(page, peer);
  if (peer == page.home) {
    page.transaction = 0;
    cacheEvent(engine, page, HOME_DIED, changetype<PageMessage>(0));
  } else {
    if (page.state == COLLECTING && collected(engine, page)) granted(engine, page, LAST_ACKNOWLEDGED);
    if (engine.self == page.home) directoryDeath(engine, page, peer);
  }
  settle(engine, page);
}

/** Nothing that is still owed to the dead machine may reach a new one with its number, whose transactions begin anew. */
function forgetPeer(page: Page, peer: u32): void {
  page.readers &= ~bitOf(peer);
  peerAt(page, peer).reader = 0;
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
    case SHARED:
    case OWNED:
    case EXCLUSIVE:
    case MODIFIED:
      return true;
    case INVALID_READ:
    case INVALID_WRITE:
    case SHARED_WRITE:
    case OWNED_WRITE:
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
      directoryMessage(engine, page, message);
      break;
    case SAY_GRANT:
    case SAY_ACKNOWLEDGED:
    case SAY_FAILURE:
      // An answer to a transaction that is closed is late: it failed meanwhile, or it is a repetition.
      if (page.transaction != 0 && message.transaction == page.transaction) answered(engine, page, message);
      break;
    case SAY_FORWARD_READ:
      if (engine.dead & bitOf(message.requester)) break; // the home will know as well
      page.readers |= bitOf(message.requester);
      peerAt(page, message.requester).reader = message.transaction;
      cacheEvent(engine, page, FORWARD_READ, message);
      break;
    case SAY_INVALIDATE:
      putLater(engine, page, INVALIDATE, message);
      break;
    case SAY_FORWARD_WRITE:
      putLater(engine, page, FORWARD_WRITE, message);
      break;
    case SAY_LOSS_KNOWN:
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

function putLater(engine: Engine, page: Page, event: u8, message: PageMessage): void {
  assert(page.laterKind == 0, "the home ordered two writers behind one request");
  page.laterKind = event;
  page.laterMachine = engine.dead & bitOf(message.requester) ? 0 : message.requester;
  page.laterFlags = message.flags;
  page.laterTransaction = message.transaction;
  page.laterAcks = message.acks;
  cacheEvent(engine, page, event, message);
}

function answered(engine: Engine, page: Page, message: PageMessage): void {
  if (message.kind == SAY_FAILURE) {
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
  const dirty = u8((message.flags & DATA_DIRTY) != 0);
  page.dirty = message.flags & WITH_DATA ? dirty : page.dirty | dirty;
  const right = message.flags & RIGHT;
  if (right == RIGHT_MODIFIED) {
    page.acksExpected = message.acks;
    if (collected(engine, page)) {
      page.transaction = 0;
      cacheEvent(engine, page, GOT_MODIFIED, message);
    } else cacheEvent(engine, page, GOT_COLLECT, message);
    return;
  }
  page.transaction = 0;
  cacheEvent(engine, page, right == RIGHT_EXCLUSIVE ? GOT_EXCLUSIVE : GOT_SHARED, message);
  if (engine.self == page.home && page.directory == HELD && page.sharers & bitOf(engine.self)) {
    directoryEvent(engine, page, COPIED, message);
  }
}

function collected(engine: Engine, page: Page): bool {
  return (page.acksExpected & ~(page.acksReceived | engine.dead)) == 0;
}

function granted(engine: Engine, page: Page, event: u8): void {
  page.transaction = 0;
  cacheEvent(engine, page, event, changetype<PageMessage>(0));
}

function directoryMessage(engine: Engine, page: Page, message: PageMessage): void {
  assert(engine.self == page.home, "a directory message to a machine that is not the home");
  const owns = page.owner == message.from;
  let event = GET_READ;
  switch (message.kind) {
    case SAY_GET_WRITE:
      event = owns ? GET_WRITE_OWNER : page.sharers & bitOf(message.from) ? GET_WRITE_SHARER : GET_WRITE;
      break;
    case SAY_CLEAN:
      event = owns ? CLEAN : CLEAN_LATE;
      break;
    case SAY_LOSS:
      event = owns ? OWNER_FAILED : OTHER_FAILED;
      break;
    case SAY_SURRENDER:
      surrendered(engine, page, message);
      return;
  }
  directoryEvent(engine, page, event, message);
}

function surrendered(engine: Engine, page: Page, message: PageMessage): void {
  if (!(page.awaited & bitOf(message.from))) return;
  page.awaited &= ~bitOf(message.from);
  if (message.flags & WITH_DATA) page.found = 1;
  const event = page.awaited != 0 ? SURRENDERED : page.found ? RECOVERED : UNRECOVERED;
  directoryEvent(engine, page, event, message);
}

// --- Rows ---

function rowOf(engine: Engine, state: u8, event: u8): usize {
  const row = <u32>load<u8>(INDEX + <u32>state * EVENTS + event);
  if (row == 0) {
    engine.illegalState = state;
    engine.illegalEvent = event;
    assert(false, "the page protocol has no row for this state and event");
  }
  const at = ROWS + (row - 1) * ROW_BYTES;
  store<u8>(at, 1, ROW_BYTES - 1); // used: the tests ask which rows never were
  return at;
}

function cacheEvent(engine: Engine, page: Page, event: u8, message: PageMessage): void {
  const row = rowOf(engine, page.state, event);
  page.state = load<u8>(row, 2);
  for (let i: usize = 3; i < 7; i++) {
    const action = load<u8>(row + i);
    if (action == NONE) break;
    cacheAct(engine, page, event, action, message);
  }
}

function directoryEvent(engine: Engine, page: Page, event: u8, message: PageMessage): void {
  const row = rowOf(engine, page.directory, event);
  page.directory = load<u8>(row, 2);
  for (let i: usize = 3; i < 7; i++) {
    const action = load<u8>(row + i);
    if (action == NONE) break;
    directoryAct(engine, page, action, message);
  }
}

// --- Actions of a cache ---

function cacheAct(engine: Engine, page: Page, event: u8, action: u8, message: PageMessage): void {
  switch (action) {
    case ASK_READ:
      ask(engine, page, SAY_GET_READ);
      break;
    case ASK_WRITE:
      ask(engine, page, SAY_GET_WRITE);
      break;
    case TAKE:
      assert((message.flags & WITH_DATA) != 0, "a machine without a copy was granted the right alone");
      if (<u32>message.from != engine.self) put(engine, page, ACT_TAKE, 0);
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
      refuse(engine, page);
      break;
    case TELL_LOSS:
      say(engine, page, page.home, SAY_LOSS, 0, 0, 0, 0);
      break;
    case REFUSE:
      refuse(engine, page);
      break;
    case SURRENDER:
      clearCause(page);
      say(engine, page, page.home, SAY_SURRENDER, 0, page.left ? WITH_DATA : 0, 0, 0);
      page.left = 0;
      break;
    default:
      assert(false, "an action that no cache takes");
  }
}

function ask(engine: Engine, page: Page, kind: u8): void {
  engine.lastTransaction++;
  if (engine.lastTransaction == 0) engine.lastTransaction = 1;
  page.transaction = engine.lastTransaction;
  page.acksExpected = 0;
  page.acksReceived = 0;
  say(engine, page, page.home, kind, 0, 0, page.transaction, 0);
}

function causeFromLater(page: Page): void {
  page.causeKind = page.laterKind;
  page.causeMachine = page.laterMachine;
  page.causeFlags = page.laterFlags;
  page.causeTransaction = page.laterTransaction;
  page.causeAcks = page.laterAcks;
  clearLater(page);
}

function clearLater(page: Page): void {
  page.laterKind = 0;
  page.laterMachine = 0;
  page.laterFlags = 0;
  page.laterTransaction = 0;
  page.laterAcks = 0;
}

function clearCause(page: Page): void {
  page.causeKind = 0;
  page.causeMachine = 0;
  page.causeFlags = 0;
  page.causeTransaction = 0;
  page.causeAcks = 0;
}

function giveReaders(engine: Engine, page: Page): void {
  let readers = page.readers;
  page.readers = 0;
  const flags: u8 = RIGHT_SHARED | WITH_DATA;
  while (readers != 0) {
    const machine = <u32>ctz(readers) + 1;
    readers &= readers - 1;
    const peer = peerAt(page, machine);
    say(engine, page, machine, SAY_GRANT, 0, flags, peer.reader, 0);
    peer.reader = 0;
  }
}

function answer(engine: Engine, page: Page): void {
  if (page.causeMachine == 0) {
    // The next writer died: what he was to have is still here when the home asks for it.
    if (page.causeKind == FORWARD_WRITE) page.left = 1;
  } else if (page.causeKind == INVALIDATE) {
    say(engine, page, page.causeMachine, SAY_ACKNOWLEDGED, 0, 0, page.causeTransaction, 0);
  } else if (page.causeKind == FORWARD_WRITE) {
    let flags: u8 = RIGHT_MODIFIED;
    if (!(page.causeFlags & HAS_COPY)) flags |= WITH_DATA;
    if (page.dirty) flags |= DATA_DIRTY;
    say(engine, page, page.causeMachine, SAY_GRANT, 0, flags, page.causeTransaction, page.causeAcks);
  } else if (page.causeKind == PURGE) {
    say(engine, page, page.home, SAY_SURRENDER, 0, WITH_DATA, 0, 0);
  }
  clearCause(page);
  page.dirty = 0;
}

/** Nobody whom the home ordered behind this machine's request will get the page from here. */
function refuse(engine: Engine, page: Page): void {
  let readers = page.readers;
  page.readers = 0;
  while (readers != 0) {
    const machine = <u32>ctz(readers) + 1;
    readers &= readers - 1;
    say(engine, page, machine, SAY_FAILURE, 0, 0, peerAt(page, machine).reader, 0);
    peerAt(page, machine).reader = 0;
  }
  if (page.laterMachine == 0) {
    // Nobody, or somebody who died.
  } else if (page.laterKind == INVALIDATE) {
    say(engine, page, page.laterMachine, SAY_ACKNOWLEDGED, 0, 0, page.laterTransaction, 0);
  } else if (page.laterKind == FORWARD_WRITE) {
    say(engine, page, page.laterMachine, SAY_FAILURE, 0, 0, page.laterTransaction, 0);
  }
  clearLater(page);
}

// --- Actions of a directory ---

function directoryAct(engine: Engine, page: Page, action: u8, message: PageMessage): void {
  const from = <u32>message.from;
  switch (action) {
    case GRANT_SHARED:
      grantFromHome(engine, page, message, RIGHT_SHARED | WITH_DATA);
      page.sharers |= bitOf(from);
      break;
    case GRANT_EXCLUSIVE:
      grantFromHome(engine, page, message, RIGHT_EXCLUSIVE | WITH_DATA);
      page.owner = message.from;
      break;
    case GRANT_MODIFIED:
      grantModified(engine, page, message);
      break;
    case PASS_READ:
      served(page, message, page.owner, 0);
      say(engine, page, page.owner, SAY_FORWARD_READ, from, 0, message.transaction, 0);
      page.sharers |= bitOf(from);
      break;
    case PASS_WRITE:
      passWrite(engine, page, message);
      break;
    case INVALIDATE_SHARERS:
      invalidateSharers(engine, page, message);
      break;
    case RELEASE_OWNER:
      page.sharers |= bitOf(page.owner);
      page.owner = 0;
      break;
    case DROP_SENDER:
      page.sharers &= ~bitOf(from);
      break;
    case FAIL_ONCE:
      served(page, message, 0, 0);
      say(engine, page, from, SAY_FAILURE, 0, 0, message.transaction, 0);
      break;
    case CONFIRM_LOSS:
      page.found = 1; // whoever reports it has told his threads
      say(engine, page, from, SAY_LOSS_KNOWN, 0, 0, 0, 0);
      break;
    case PURGE_ALL:
      purgeAll(engine, page);
      break;
    case KEEP:
      peerAt(page, from).kept = message.kind;
      peerAt(page, from).keptTransaction = message.transaction;
      break;
    case TAKE_BACK:
      if (message.flags & WITH_DATA && from != engine.self) put(engine, page, ACT_TAKE, 0);
      break;
    case RESUME:
      resume(engine, page);
      break;
    default:
      assert(false, "an action that no directory takes");
  }
}

/** Who is to answer the request, and who to acknowledge it: should they die, the requester must be told. */
function served(page: Page, message: PageMessage, server: u32, acks: u64): void {
  const peer = peerAt(page, message.from);
  peer.acks = acks;
  peer.served = message.transaction;
  peer.server = <u8>server;
}

function grantFromHome(engine: Engine, page: Page, message: PageMessage, flags: u8): void {
  served(page, message, 0, 0);
  say(engine, page, message.from, SAY_GRANT, 0, flags, message.transaction, 0);
}

/** The sharers, as they were before INVALIDATE_SHARERS took them off the record. */
let invalidated: u64 = 0;
let wasSharer: bool = false;

function invalidateSharers(engine: Engine, page: Page, message: PageMessage): void {
  const from = bitOf(message.from);
  wasSharer = (page.sharers & from) != 0;
  invalidated = page.sharers & ~from;
  page.sharers = 0;
  let rest = invalidated;
  while (rest != 0) {
    const machine = <u32>ctz(rest) + 1;
    rest &= rest - 1;
    say(engine, page, machine, SAY_INVALIDATE, message.from, 0, message.transaction, 0);
  }
}

function grantModified(engine: Engine, page: Page, message: PageMessage): void {
  const has = page.owner == message.from || (page.owner == 0 && wasSharer);
  const acks = invalidated;
  invalidated = 0;
  wasSharer = false;
  served(page, message, 0, acks);
  page.owner = message.from;
  const flags: u8 = has ? RIGHT_MODIFIED : RIGHT_MODIFIED | WITH_DATA;
  say(engine, page, message.from, SAY_GRANT, 0, flags, message.transaction, acks);
}

function passWrite(engine: Engine, page: Page, message: PageMessage): void {
  const acks = invalidated;
  const copy = wasSharer;
  invalidated = 0;
  wasSharer = false;
  served(page, message, page.owner, acks);
  const flags: u8 = copy ? HAS_COPY : 0;
  say(engine, page, page.owner, SAY_FORWARD_WRITE, message.from, flags, message.transaction, acks);
  page.owner = message.from;
}

/** Every living machine is to let go of the page, and to hand it in if it has it. */
function purgeAll(engine: Engine, page: Page): void {
  page.owner = 0;
  page.sharers = 0;
  page.awaited = 0;
  for (let machine: u32 = 1; machine <= engine.machines; machine++) {
    if (engine.dead & bitOf(machine)) continue;
    page.awaited |= bitOf(machine);
    say(engine, page, machine, SAY_PURGE, 0, 0, peerAt(page, machine).served, 0);
  }
}

/** Recovered, or lost for good: the requests that came meanwhile. */
function resume(engine: Engine, page: Page): void {
  page.found = 0;
  for (let machine: u32 = 1; machine <= engine.machines; machine++) {
    const peer = peerAt(page, machine);
    if (peer.kept == 0) continue;
    const kept = changetype<PageMessage>(engine.local + (LOCAL_MAX + 1) * PAGE_MESSAGE_BYTES);
    kept.kind = peer.kept;
    kept.from = <u8>machine;
    kept.requester = 0;
    kept.flags = 0;
    kept.transaction = peer.keptTransaction;
    kept.acks = 0;
    peer.kept = 0;
    directoryMessage(engine, page, kept);
  }
}

function directoryDeath(engine: Engine, page: Page, peer: u32): void {
  // Whoever was to be served by the dead machine, and was not: its transaction is still open, else it ignores this.
  for (let machine: u32 = 1; machine <= engine.machines; machine++) {
    const slot = peerAt(page, machine);
    if (machine == peer) continue;
    if (slot.acks & bitOf(peer)) {
      slot.acks &= ~bitOf(peer);
      say(engine, page, machine, SAY_ACKNOWLEDGED, peer, 0, slot.served, 0);
    }
    if (<u32>slot.server != peer) continue;
    slot.server = 0;
    if (page.directory == CLEAN_SHARED && page.sharers & bitOf(machine)) {
      say(engine, page, machine, SAY_GRANT, 0, RIGHT_SHARED | WITH_DATA, slot.served, 0);
    } else say(engine, page, machine, SAY_FAILURE, 0, 0, slot.served, 0);
  }
  const slot = peerAt(page, peer);
  slot.kept = 0;
  slot.served = 0;
  slot.server = 0;
  slot.acks = 0;
  // As if the dead machine had said it.
  const message = changetype<PageMessage>(engine.local + LOCAL_MAX * PAGE_MESSAGE_BYTES);
  message.kind = 0;
  message.from = <u8>peer;
  message.flags = 0;
  if (page.sharers & bitOf(peer)) {
    const last = page.owner == 0 && page.sharers == bitOf(peer);
    directoryEvent(engine, page, last ? SHARERS_DIED : SHARER_DIED, message);
  }
  if (<u32>page.owner == peer) directoryEvent(engine, page, OWNER_DIED, message);
  else if (page.directory == RECOVERING) surrendered(engine, page, message);
}

// --- Output ---

function put(engine: Engine, page: Page, kind: u8, flags: u8): Action {
  assert(engine.actionCount < ACTIONS_MAX, "one event acts too often");
  const action = changetype<Action>(engine.actions + engine.actionCount * ACTION_BYTES);
  engine.actionCount++;
  action.kind = kind;
  action.flags = flags;
  action.page = changetype<usize>(page);
  return action;
}

function say(
  engine: Engine,
  page: Page,
  to: u32,
  kind: u8,
  requester: u32,
  flags: u8,
  transaction: u32,
  acks: u64,
): void {
  if (to == 0) return; // to a machine that died
  if (to == engine.self) {
    assert(engine.localCount < LOCAL_MAX - 1, "a machine says too much to itself");
    const slot = (engine.localFirst + engine.localCount) % LOCAL_MAX;
    const message = changetype<PageMessage>(engine.local + slot * PAGE_MESSAGE_BYTES);
    engine.localCount++;
    fill(message, engine, kind, requester, flags, transaction, acks);
    return;
  }
  const action = put(engine, page, ACT_SEND, 0);
  action.to = <u8>to;
  const at = changetype<usize>(action) + offsetof<Action>("say");
  fill(changetype<PageMessage>(at), engine, kind, requester, flags, transaction, acks);
}

function fill(
  message: PageMessage,
  engine: Engine,
  kind: u8,
  requester: u32,
  flags: u8,
  transaction: u32,
  acks: u64,
): void {
  message.kind = kind;
  message.from = <u8>engine.self;
  message.requester = <u8>requester;
  message.flags = flags;
  message.transaction = transaction;
  message.acks = acks;
}
