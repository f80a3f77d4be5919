// What the engine keeps and says: its records, and the messages between machines as it sees them (wire.ts has their
// encoding). Only data; engine.ts, cache.ts and directory.ts say what happens to it.

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
/** An operation (operation.ts) for the owner, by way of the home; to a machine that owns the page or may own it. */
export const SAY_GET_OPERATE: u8 = 14;
export const SAY_EXECUTE: u8 = 15;
/** The answer to it: `operand` is the old value; or it was not done and will not be. */
export const SAY_OPERATED: u8 = 16;
export const SAY_REJECTED: u8 = 17;
// A request whose requester believes to know the owner (early.ts).
/** To the machine that is believed to own the page: the bytes, for a request that is on its way to the home; RIGHT_MODIFIED: to write. */
export const SAY_GUESS: u8 = 18;
/** Its answer. `served`: the request of its sender's by which it owns the page; it writes, or uses, the page no more by that right. */
export const SAY_EARLY: u8 = 19;
/** By the home: the request was passed on to the owner that its requester named. `served`: that one's last request. */
export const SAY_ORDERED: u8 = 20;
/** To who sent EARLY to a writer whose request was over by then: he has not taken the page, and never will. */
export const SAY_UNTAKEN: u8 = 21;

/** PageMessage.flags: the right that is granted, and what comes with it. */
export const RIGHT: u8 = 3;
export const RIGHT_SHARED: u8 = 1;
export const RIGHT_EXCLUSIVE: u8 = 2;
export const RIGHT_MODIFIED: u8 = 3;
/** The page's bytes come along. */
export const WITH_DATA: u8 = 4;
/** The backing store does not have these bytes. */
export const DATA_DIRTY: u8 = 8;
/** GET_WRITE, FORWARD_WRITE: the requester has a copy. */
export const HAS_COPY: u8 = 16;
/**
 * SURRENDER: of the bytes that come along some are old, since the newest died with the machine that had borrowed them. FAILURE, LOSS: no
 * more than these is lost.
 */
export const PARTLY: u8 = 16;
/** FAILURE, LOSS: this loss is told once, by this word; who is refused because of it is told without, unless nobody heard it there (UNHEARD). */
export const ONCE: u8 = 32;
/** LOSS: nobody waited there, so nobody was told. */
export const UNHEARD: u8 = 64;
/** OPERATED: the next time the requester should ask for the page itself. */
export const TAKE_IT: u8 = 32;
/** FORWARD_READ, FORWARD_WRITE: the requester has guessed that the receiver is the owner, and was told ORDERED. */
export const AS_GUESSED: u8 = 32;
/** With WITH_DATA: the bytes that the receiver said it has are the page's, and do not come along (serials.ts). */
export const SAME_DATA: u8 = 64;

@unmanaged
export class PageMessage {
  kind: u8 = 0;
  /** The machine that sent it. Machines count from 1. */
  from: u8 = 0;
  /** Forwards and invalidations: for whom. GET_READ, GET_WRITE: the machine that was sent a GUESS, 0 = none. */
  requester: u8 = 0;
  flags: u8 = 0;
  /** The requester's transaction. */
  transaction: u32 = 0;
  /** A right to write, also one that is ORDERED: the machines that acknowledge to the requester. */
  acks: u64 = 0;
  /** EXECUTE and GET_OPERATE: see operation.ts. OPERATED: the old value is `operand`. */
  operation: u32 = 0;
  /** Forwards and invalidations: the receiver's last request that the home ordered before, 0 = none that it remembers. */
  served: u32 = 0;
  operand: u64 = 0;
  comparand: u64 = 0;
  /** GRANT: the same right for all pages from `first` to before `end` that the receiver has no record of; end 0: for this page only. */
  first: u64 = 0;
  end: u64 = 0;
  /** Requests, forwards: of the bytes that the requester still has. GRANT, SURRENDER with data: of these. */
  serial: u64 = 0;
  /** GRANT: of the bytes that the receiver still has; not on the wire. */
  base: u64 = 0;
}
export const PAGE_MESSAGE_BYTES: u32 = 72;
/** Where the serial numbers begin, which only name bytes. */
export const PAGE_MESSAGE_SERIALS: u32 = 56;

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
/** This machine's operation is over; `flags`: OPERATION_DONE and so on, Page.operand has the old value. */
export const ACT_OPERATED: u8 = 7;
export const OPERATION_DONE: u8 = 0;
/** Nobody has done it: the page is to be asked for. */
export const OPERATION_DECLINED: u8 = 1;
/** Nobody knows. */
export const OPERATION_FAILED: u8 = 2;

@unmanaged
export class Action {
  kind: u8 = 0;
  to: u8 = 0;
  flags: u8 = 0;
  spare: u8 = 0;
  page: usize = 0;
  /** ACT_SEND: a PageMessage. Of an OPERATED, `operation` and its operands are what is to be done as it is sent. */
  say: u8 = 0;
  from: u8 = 0;
  requester: u8 = 0;
  sayFlags: u8 = 0;
  transaction: u32 = 0;
  acks: u64 = 0;
  operation: u32 = 0;
  served: u32 = 0;
  operand: u64 = 0;
  comparand: u64 = 0;
  first: u64 = 0;
  end: u64 = 0;
  serial: u64 = 0;
  base: u64 = 0;
}
export const ACTION_BYTES: u32 = 80;
/** One event acts at most so often: everyone is answered, invalidated or failed, and a few more. */
export const ACTIONS_MAX: u32 = 256;

/** A ring of them, one more for what a dead machine might have said, one for a request that was kept. */
export const LOCAL_MAX: u32 = 16;
export const LOCAL_BYTES: u32 = 18 * PAGE_MESSAGE_BYTES;

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
  /** Of serial numbers that begin after a loss (serials.ts). */
  era: u32 = 0;
  /** The pair that stopped the machine. */
  illegalState: u32 = 0;
  illegalEvent: u32 = 0;
  /** Pages that are not mirrored (mirrors.ts), linked by mirrorNext. */
  mirrors: usize = 0;
  /** So many others are to have each of them, of those that there are. */
  mirrorCopies: u32 = 0;
  /** So many of them were written here, since the view or the cut before it (mirrorFresh()). */
  mirrorsFresh: u32 = 0;
  mirrorOthers: u64 = 0;
  /** Requests go to the machine that is believed to own the page as well (early.ts). */
  guesses: u32 = 0;
  /** A view is being flushed (members.ts). */
  flushes: u32 = 0;
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
  /** Recovering: what has been found so far, or is known (directory.ts). */
  found: u8 = 0;
  /** The home wants what is here, as soon as nothing is open that it ordered before (`purgeTransaction`). */
  purge: u8 = 0;
  /** The page was given up for a writer who died, and its bytes are still in the frame. */
  left: u8 = 0;
  /** The home is moving (takeover.ts). */
  frozen: u8 = 0;
  /** At the home: the page's directory is what its range says (ranges.ts). */
  ranged: u8 = 0;
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
  /**
   * At the home: machines whose last request was passed on to another since the page was given away. Who fails with such a request
   * tells of a loss of this page; what others say is about an earlier one.
   */
  passed: u64 = 0;
  /**
   * Frozen, and this machine was its home: machines that told of a loss which nobody heard there, and tell whoever comes behind them, or the next
   * home. If one dies, this machine does.
   */
  tellers: u64 = 0;
  /** Machines whose operations wait here until this machine has the right; the rest is in the peers' slots. */
  operations: u64 = 0;
  /** This machine's own open operation, the machine that it was sent to, and afterwards the old value in `operand`. */
  operation: u32 = 0;
  target: u8 = 0;
  /** The machine that has done an operation on the page, and owned it then; 0 = ask the home. */
  guess: u8 = 0;
  /** What came with the last answer: TAKE_IT. */
  advice: u8 = 0;
  /** Frozen: the machine that answered for the page when its home, this one, was frozen; or 255: some machine did, as its former home reports. */
  away: u8 = 0;
  /** And this machine was its home: it was lost, and nobody had been told; somebody has been, and what nobody has is to revert. */
  untold: u8 = 0;
  reverts: u8 = 0;
  /**
   * This machine's request failed by a word of bytes that died with their borrower, or of a loss that is told once: PARTLY, ONCE. The latter until
   * the home knows, if nobody heard it here: who comes behind it is to hear it.
   */
  partly: u8 = 0;
  // Requests that guess the owner (early.ts). The machine that the page was last given to, or that was seen to own it.
  successor: u8 = 0;
  /** Machines fight over the page: who writes it asks the home alone. */
  contended: u8 = 0;
  /** For this machine's open request: what has come, EARLY_BYTES or EARLY_ORDER; and the owner's request that it named. */
  early: u8 = 0;
  earlyServed: u32 = 0;
  /** This machine's request by which it has the page; who was sent its bytes early since, and its request. */
  tenure: u32 = 0;
  earlyTransaction: u32 = 0;
  earlyTo: u8 = 0;
  /** They were offered to be written (early.ts): OFFER_OPEN, or since then the writer has died; the era in which he did. */
  offered: u8 = 0;
  offerEra: u32 = 0;
  /** So many FORWARD_WRITE are on their way here still that what came of them has overtaken. */
  overtaken: u8 = 0;
  /** Frozen: this machine's request to write that was open then. At a new home: somebody has offered the page, or asked for it so. */
  asked: u32 = 0;
  claimed: u8 = 0;
  operand: u64 = 0;
  comparand: u64 = 0;
  /** Address of the peers' slots. */
  peers: usize = 0;
  /** Of the object's RangeSet; 0: without. */
  ranges: usize = 0;

  /** Of the bytes in the frame here (serials.ts), but for what was written since the right to write came. */
  serial: u64 = 0;
  causeSerial: u64 = 0;
  laterSerial: u64 = 0;
  /** The kernel has written here since, for itself or for others. */
  changed: u8 = 0;
  // Mirrored mode (mirrors.ts): MIRROR_SAFE and so on; unsafe since those who had it have died, not since it was written.
  mirror: u8 = 0;
  thawed: u8 = 0;
  /** This machine's operation was open when the page was frozen. */
  unanswered: u8 = 0;
  /** Frozen, here as a copy: perhaps no other machine has the page's bytes. */
  sole: u8 = 0;
  mirrorNext: usize = 0;
  /** Who has its bytes, or while it is written what they were before; to whom they are under way; and said, with more to follow. */
  copies: u64 = 0;
  mirrorTo: u64 = 0;
  mirrorOpen: u64 = 0;
  /** The serial number of the mirror that is here; 0: there is none. */
  shelf: u64 = 0;
  /** At a new home: the newest bytes that anybody has, and who. */
  best: u64 = 0;
  bestFrom: u32 = 0;
  /** Frozen, while an operation of this machine's own is open: the state in which the page is here besides, INVALID or another. */
  beneath: u8 = 0;
  /** The home is moving: what is here has been handed in; at the new home, there was no room for what came of it (homes.ts). */
  told: u8 = 0;
  roomless: u8 = 0;
  /** At a new home: a machine that leaves was asked for the newest bytes (left-mirrors.ts). */
  fetching: u8 = 0;

  // --- pages.ts: what it keeps about the page; the engine does not look, but at who waits ---
  /** 0: never touched here, all zeros. */
  frame: usize = 0;
  /** Of the mirror that is here. */
  shelfFrame: usize = 0;
  /** It has had bytes of its own here: they came, or it could be written. */
  had: u32 = 0;
  /** They are those of a former life (remains.ts), and nobody has said yet that they are the page's. */
  former: u32 = 0;
  /** Since the last look at all pages it was not used (budget.ts). When it was offered to its home, 0 = it was not. */
  resting: u32 = 0;
  givenAt: u64 = 0;
  /** Of the SharedObject. */
  holder: usize = 0;
  /** Clients that wait for the page, linked by nextWaiter. */
  waiters: usize = 0;
  /** It was asked for ahead, and nobody has come to it yet (read-ahead.ts). */
  ahead: u32 = 0;
  /** The one whose operation is under way. */
  operator: usize = 0;
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
  // Who fights over it (contention.ts): since when it may be written here (0: it may not), when that ended, and how often
  // that was too soon.
  ownedAt: u64 = 0;
  lostAt: u64 = 0;
  /** Of the bytes here when that began. */
  cameSerial: u64 = 0;
  /** Held (hold.ts): its time is over but for threads that were not seen since; since when it can be used, and until when. */
  overdue: u32 = 0;
  usedFrom: u64 = 0;
  heldUntil: u64 = 0;
  heat: u32 = 0;
  /** The last thing done here was an operation sent away; so many operations move the page next. */
  operatedLast: u32 = 0;
  movesNext: u32 = 0;
  /** Reads are followed by writes (migratory.ts); the last to ask was a read; left unwritten so often in a row; which instruction read. */
  migratory: u32 = 0;
  readLast: u32 = 0;
  vain: u32 = 0;
  spinAt: u64 = 0;
  // Whose turn it is (turns.ts): when this machine last wrote it, and its number then; how often it had changed as it came; when it
  // left last; how many machines take turns, and how long one is; so many turns are still waited for.
  turnAt: u64 = 0;
  turnSerial: u64 = 0;
  changes: u64 = 0;
  turnsSeenAt: u64 = 0;
  turns: u32 = 0;
  spins: u32 = 0;
  turnTime: u64 = 0;
  /** Operations done for others, in a row for one, and how many of these are enough; 0 = unknown yet. */
  performed: u32 = 0;
  performedInRow: u32 = 0;
  performedFor: u32 = 0;
  patience: u32 = 0;
  /**
   * The page as it came last, and from whom, who still has it so unless something newer was sent there: what goes
   * back there may go as a difference. 0: there is none.
   */
  twin: usize = 0;
  twinOf: u32 = 0;
  twinSerial: u64 = 0;
  /** The page is being given away: what is sent now is the last. */
  twinEnds: u32 = 0;
  /** Another machine was told to take the page; when it was taken for that reason; this machine was told so. */
  advised: u32 = 0;
  advisedAt: u64 = 0;
  toTake: u32 = 0;
  // Byte ranges (loans.ts): the chunks that this machine's threads touched since the page came, and in the stay before; until
  // when and how long it is left whole; since when it is in parts; bytes of it died with another machine, and nobody was told.
  touched: u64 = 0;
  touchedBefore: u64 = 0;
  wholeUntil: u64 = 0;
  wholeFor: u64 = 0;
  partedAt: u64 = 0;
  broken: u32 = 0;
  // Without queues (refusals.ts). At the home: whose request has passed and is not over. Where it is asked: the request whose end the
  // home is to be told, one that was refused, how often in a row, and when it is made again (0: there is none).
  passedFor: u32 = 0;
  passedTransaction: u32 = 0;
  confirms: u32 = 0;
  refusedTransaction: u32 = 0;
  refusals: u32 = 0;
  againAt: u64 = 0;
  againNext: usize = 0;
  next: usize = 0;
  nextInObject: usize = 0;
}

/** One slot per machine of the cluster, behind each other at Page.peers. */
@unmanaged
export class Peer {
  /** Transaction of its forwarded read (Page.readers). */
  reader: u32 = 0;
  /**
   * At the home: its last request, and the machine that was to answer it; 0 = the home itself. At a new one: its request to write that was
   * open when it froze; and to whom it has offered the page, for the request `keptTransaction` (takeover.ts).
   */
  served: u32 = 0;
  server: u8 = 0;
  /** Recovering: its request that waits, 1 to read, 2 to write. */
  kept: u8 = 0;
  /** Its last request was an operation for another machine. */
  operating: u8 = 0;
  /** Its request was not forwarded here: it guessed (Page.readers), GUESSED_READ or GUESSED_WRITE (early.ts). */
  guessed: u8 = 0;
  keptTransaction: u32 = 0;
  /** At the home: who was to acknowledge to its last request. */
  acks: u64 = 0;
  /** Its operation that came here (Page.operations). */
  operation: u32 = 0;
  operationTransaction: u32 = 0;
  operand: u64 = 0;
  comparand: u64 = 0;
  /** Of what it still has, whose read was forwarded here. */
  serial: u64 = 0;
  /** Page.mirrorTo: what has to arrive there. */
  mirrorAt: u32 = 0;
}
export const PEER_BYTES: u32 = 64;
export const PEER_SERIALS: u32 = 48;

export function bitOf(machine: u32): u64 {
  return (<u64>1) << (machine - 1);
}
export function peerAt(page: Page, machine: u32): Peer {
  return changetype<Peer>(page.peers + (machine - 1) * PEER_BYTES);
}
