// A link: SYSLINK messages between two machines over datagrams that a wire may drop, double, reorder or damage
// (promises 16, 30-34). Every message that was queued while both machines live arrives once and in order. Pure:
// datagrams and the time come in, datagrams go out.
//
//   datagram   magic[4] check[4] fromEpoch[8] toEpoch[8] sequence[4] acknowledgement[4] selective[4] flags[2] from[1] to[1]
//              payload: whole messages, 8-aligned; or a piece of one that is longer than a datagram
//
// `check` is CRC-32C of everything behind it.
//
// An epoch is one life of a machine. A link is up when each side has seen the other name its epoch and answer its challenge,
// so nothing that an earlier life sent is taken for this one's. Challenges are numbers in hellos, which have no sequence and
// acknowledge nothing: `sequence` is the sender's, `acknowledgement` the one that it has heard. A link that comes up has
// a new one: what a life sent that has ended since cannot end the link to its successor. Silence beyond `lossTime` ends the link: what was queued is dropped,
// the peer's epoch is never spoken to again, and if it still lives it is told so (REFUSED). A machine that comes back has
// a new epoch and is a new machine.
//
// Acknowledgements ride on whatever goes the other way; a datagram of their own is sent only when nothing has for
// ACK_DELAY, when a gap shows, or when half the window waits. `selective` bit i: acknowledgement + 1 + i is here too.
import { againDue } from "./again";
import { Fifo, fifoCommit, fifoCreate, fifoRelease, fifoReserve } from "./fifo";

export const LINK_HEADER_BYTES: u32 = 40;
/** "BLK" and the version of this layout. */
export const MAGIC: u32 = 0x024b_4c42;
/** Datagrams that came out of order are kept so far behind the expected one; `selective` speaks of no more. */
export const WINDOW: u32 = 32;
/** Datagrams under way: WINDOW at first and after a loss, one more with each that arrives. */
export const WINDOW_MAX: u32 = 128;

/** Flags of a datagram. */
export const SEQUENCED: u32 = 1;
export const HELLO: u32 = 2;
export const FRAGMENT: u32 = 4;
export const FRAGMENT_LAST: u32 = 8;
export const REFUSED: u32 = 16;
/** A hello of a side that is up. */
export const KNOWN: u32 = 32;

/** Link.state */
export const LINK_DOWN: u32 = 0;
export const LINK_UP: u32 = 1;
/** Over; linkReset() makes it DOWN, ready for the peer's next life. */
export const LINK_LOST: u32 = 2;

const MILLISECOND: u64 = 1_000_000;
export const ACK_DELAY: u64 = 2 * MILLISECOND;
const HELLO_FIRST: u64 = 10 * MILLISECOND;
export const HELLO_MAX: u64 = 500 * MILLISECOND;
const PING_IDLE_MAX: u64 = 1000 * MILLISECOND;
export const NEVER: u64 = ~(<u64>0);

/** A datagram on its way. */
@unmanaged
export class Slot {
  position: u32 = 0;
  bytes: u32 = 0;
  flags: u32 = 0;
  /** Times it was sent again. */
  tries: u32 = 0;
  /** Selectively acknowledged; to be sent again now. */
  arrived: u8 = 0;
  again: u8 = 0;
  sentAt: u64 = 0;
  firstSentAt: u64 = 0;
}
const SLOT_BYTES: u32 = 40;

@unmanaged
export class Link {
  self: u32 = 0;
  peer: u32 = 0;
  state: u32 = 0;
  /** Largest payload of a datagram, a multiple of 8. */
  payloadMax: u32 = 0;
  epoch: u64 = 0;
  /** The peer's, 0 while unknown; while DOWN, one that has said hello and not yet named ours. */
  peerEpoch: u64 = 0;
  candidate: u64 = 0;
  dead0: u64 = 0;
  dead1: u64 = 0;
  dead2: u64 = 0;
  dead3: u64 = 0;
  /** The link was lost to a new life of the peer: the one before is over. */
  succeeded: u32 = 0;
  /** The peer has lost a link of which this end never came up: it hears nothing more of this life. */
  refused: u32 = 0;
  lossTime: u64 = 0;
  /** Without anything to send for so long, an empty datagram goes. */
  pingIdle: u64 = 0;
  lastHeard: u64 = 0;
  /** When the last datagram with a sequence was: without one for pingIdle an empty one goes. */
  lastSent: u64 = 0;
  /** When the newest datagram that the peer has acknowledged was first sent: so long ago, at the most, it heard us. */
  lastConfirmed: u64 = 0;

  // Sending. [oldest, next) are in slots; [cursor, fifo.head) has not been sent.
  oldest: u32 = 0;
  nextSequence: u32 = 0;
  window: u32 = 0;
  cursor: u32 = 0;
  /** Of the message at the cursor, what has been sent already as fragments. */
  fragmentSent: u32 = 0;
  fifo: usize = 0;
  slots: usize = 0;
  /** Nothing is sent again before (again.ts). */
  againAt: u64 = 0;
  /** When `oldest` moved last; slots that are to be sent again at once; up to where a timeout says that all may be lost. */
  movedAt: u64 = 0;
  marked: u32 = 0;
  recoverEnd: u32 = 0;
  /** When the newest of those that arrived when they were sent first was sent. */
  arrivedSentAt: u64 = 0;
  roundTrip: u64 = 0;
  variance: u64 = 0;
  /** The shortest of late: what the wire itself takes, without waiting at its ends. */
  shortest: u64 = 0;
  helloAt: u64 = 0;
  helloEvery: u64 = 0;
  helloFlags: u32 = 0;
  /** What the peer must answer to be believed; what it wants answered. */
  challenge: u32 = 0;
  echo: u32 = 0;

  // Receiving. Bit i of `received`: expected + 1 + i is in `hold`.
  expected: u32 = 0;
  received: u32 = 0;
  heldNext: u32 = 0;
  ackDue: u64 = 0;
  unacknowledged: u32 = 0;
  hold: usize = 0;
  holdBytes: usize = 0;
  holdFlags: usize = 0;
  assembly: usize = 0;
  assemblyBytes: u32 = 0;
  /** What linkNext() is walking through. */
  at: usize = 0;
  end: usize = 0;
  regionFlags: u32 = 0;

  // The datagram that linkOutput() made: header, then payload.
  header: usize = 0;
  outAt: usize = 0;
  outBytes: u32 = 0;

  // Counters.
  datagramsSent: u64 = 0;
  datagramsReceived: u64 = 0;
  retransmissions: u64 = 0;
  duplicates: u64 = 0;
  damaged: u64 = 0;
  malformed: u64 = 0;
  stale: u64 = 0;
  pureAcks: u64 = 0;
}

export const ASSEMBLY_BYTES: u32 = 65536;
const LINK_ROOM: u32 = 1024;

/** Room that linkCreate() wants at `at`, 8-aligned. */
export function linkBytes(payloadMax: u32, fifoSize: u32): u32 {
  return LINK_ROOM + WINDOW_MAX * SLOT_BYTES + WINDOW * (payloadMax + 8) + ASSEMBLY_BYTES + fifoSize;
}

/** `fifoSize`: a power of two, at least 128 KiB: it must take two of the longest messages. */
export function linkCreate(
  at: usize,
  self: u32,
  peer: u32,
  epoch: u64,
  payloadMax: u32,
  fifoSize: u32,
  lossTime: u64,
): Link {
  assert((payloadMax & 7) == 0 && payloadMax >= 512, "a link's payload is a multiple of 8, at least 512");
  assert(fifoSize >= 131072, "a link's ring takes two of the longest messages");
  const link = changetype<Link>(at);
  link.self = self;
  link.peer = peer;
  link.epoch = epoch;
  link.payloadMax = payloadMax;
  link.lossTime = lossTime;
  link.pingIdle = min<u64>(PING_IDLE_MAX, lossTime / 8);
  let room = at + ((offsetof<Link>() + 15) & ~15);
  link.header = room;
  room += LINK_HEADER_BYTES;
  link.fifo = room;
  room += (offsetof<Fifo>() + 7) & ~7;
  link.holdBytes = room;
  room += WINDOW * 4;
  link.holdFlags = room;
  room += WINDOW * 4;
  assert(room <= at + LINK_ROOM, "LINK_ROOM is too small for a link's records");
  link.slots = at + LINK_ROOM;
  link.hold = link.slots + WINDOW_MAX * SLOT_BYTES;
  link.assembly = link.hold + WINDOW * (payloadMax + 8);
  fifoCreate(fifoOf(link), link.assembly + ASSEMBLY_BYTES, fifoSize);
  restart(link);
  return link;
}

export function fifoOf(link: Link): Fifo {
  return changetype<Fifo>(link.fifo);
}

export function slotOf(link: Link, sequence: u32): Slot {
  return changetype<Slot>(link.slots + (sequence & (WINDOW_MAX - 1)) * SLOT_BYTES);
}

function restart(link: Link): void {
  link.state = LINK_DOWN;
  link.succeeded = 0;
  link.refused = 0;
  link.peerEpoch = 0;
  link.candidate = 0;
  link.oldest = 0;
  link.againAt = NEVER;
  link.movedAt = 0;
  link.marked = 0;
  link.recoverEnd = 0;
  link.arrivedSentAt = 0;
  link.nextSequence = 0;
  link.window = WINDOW;
  link.fragmentSent = 0;
  link.roundTrip = 0;
  link.variance = 0;
  link.shortest = 0;
  link.expected = 0;
  link.received = 0;
  link.heldNext = 0;
  link.ackDue = 0;
  link.unacknowledged = 0;
  link.assemblyBytes = 0;
  link.at = 0;
  link.end = 0;
  link.helloAt = 0;
  link.helloEvery = HELLO_FIRST;
  link.helloFlags = 0;
  link.challenge++;
  link.echo = 0;
}

/** After the owner has dealt with the loss: nothing queued survives, the old epoch is dead. */
export function linkReset(link: Link): void {
  assert(link.state == LINK_LOST, "linkReset: the link is not lost");
  link.dead3 = link.dead2;
  link.dead2 = link.dead1;
  link.dead1 = link.dead0;
  link.dead0 = link.peerEpoch;
  const fifo = fifoOf(link);
  fifoRelease(fifo, fifo.head);
  link.cursor = fifo.head;
  restart(link);
}

/** Room for a message of up to `bytes`, 8-aligned, in one piece; 0 = the ring is full. Then linkCommit(). */
export function linkReserve(link: Link, bytes: u32): usize {
  return fifoReserve(fifoOf(link), bytes);
}

/** `bytes`: what writerEnd() returned. The message goes out with the next linkOutput(). */
export function linkCommit(link: Link, bytes: u32): void {
  fifoCommit(fifoOf(link), bytes);
}

/** Bytes of messages that have not been sent once. */
export function linkUnsent(link: Link): u32 {
  return fifoOf(link).head - link.cursor;
}

/** Another machine has found the peer dead, and so it is. */
export function linkCut(link: Link): void {
  if (link.state == LINK_UP) lose(link);
}

/** Nothing more is sent or heard; linkReset() takes what is queued. */
export function lose(link: Link): void {
  link.state = LINK_LOST;
  link.at = 0;
  link.end = 0;
  link.heldNext = 0;
}

/** Declares the link lost when it is; else returns when linkOutput() or this should be called next. */
export function linkTick(link: Link, now: u64): u64 {
  if (link.state == LINK_LOST) return NEVER;
  let next = link.helloAt;
  if (link.state == LINK_DOWN) return next;
  if (now >= link.lastHeard + link.lossTime) {
    lose(link);
    return NEVER;
  }
  next = min<u64>(next, link.lastHeard + link.lossTime);
  if (link.nextSequence - link.oldest < link.window) next = min<u64>(next, link.lastSent + link.pingIdle);
  if (link.ackDue != 0) next = min<u64>(next, link.ackDue);
  link.againAt = againDue(link);
  return min<u64>(next, max<u64>(link.againAt, now));
}
