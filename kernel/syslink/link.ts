// A link: SYSLINK messages between two machines over datagrams that a wire may drop, double, reorder or damage
// (promises 16, 30-34). Every message that was queued while both machines live arrives once and in order. Pure:
// datagrams and the time come in, datagrams go out.
//
//   datagram   magic[4] check[4] fromEpoch[8] toEpoch[8] sequence[4] acknowledgement[4] selective[4] flags[2] from[1] to[1]
//              payload: whole messages, 8-aligned; or a piece of one that is longer than a datagram
//
// `check` is over everything behind it.
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
import { CHAIN_START, chain, chainEnd } from "./check";
import { Fifo, fifoAddress, fifoCommit, fifoCreate, fifoRelease, fifoReserve, fifoSkip } from "./fifo";
import { GOOD, MessageHeader, messageCheck, padded } from "./message";

export const LINK_HEADER_BYTES: u32 = 40;
/** "BLK" and the version of this layout. */
export const MAGIC: u32 = 0x014b_4c42;
export const WINDOW: u32 = 32;

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
const TIMEOUT_FIRST: u64 = 40 * MILLISECOND;
const TIMEOUT_MIN: u64 = 8 * MILLISECOND;
const TIMEOUT_MAX: u64 = 1000 * MILLISECOND;
const HELLO_FIRST: u64 = 10 * MILLISECOND;
const HELLO_MAX: u64 = 500 * MILLISECOND;
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
  cursor: u32 = 0;
  /** Of the message at the cursor, what has been sent already as fragments. */
  fragmentSent: u32 = 0;
  fifo: usize = 0;
  slots: usize = 0;
  roundTrip: u64 = 0;
  variance: u64 = 0;
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

const ASSEMBLY_BYTES: u32 = 65536;
const LINK_ROOM: u32 = 1024;

/** Room that linkCreate() wants at `at`, 8-aligned. */
export function linkBytes(payloadMax: u32, fifoSize: u32): u32 {
  return LINK_ROOM + WINDOW * SLOT_BYTES + WINDOW * (payloadMax + 8) + ASSEMBLY_BYTES + fifoSize;
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
  link.hold = link.slots + WINDOW * SLOT_BYTES;
  link.assembly = link.hold + WINDOW * (payloadMax + 8);
  fifoCreate(fifoOf(link), link.assembly + ASSEMBLY_BYTES, fifoSize);
  restart(link);
  return link;
}

export function fifoOf(link: Link): Fifo {
  return changetype<Fifo>(link.fifo);
}

export function slotOf(link: Link, sequence: u32): Slot {
  return changetype<Slot>(link.slots + (sequence & (WINDOW - 1)) * SLOT_BYTES);
}

function restart(link: Link): void {
  link.state = LINK_DOWN;
  link.peerEpoch = 0;
  link.candidate = 0;
  link.oldest = 0;
  link.nextSequence = 0;
  link.fragmentSent = 0;
  link.roundTrip = 0;
  link.variance = 0;
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

function isDead(link: Link, epoch: u64): bool {
  return link.dead0 == epoch || link.dead1 == epoch || link.dead2 == epoch || link.dead3 == epoch;
}

// --- Sending ---

/** Room for a message of up to `bytes`, 8-aligned, in one piece; 0 = the ring is full. Then linkCommit(). */
export function linkReserve(link: Link, bytes: u32): usize {
  return fifoReserve(fifoOf(link), bytes);
}

/** `bytes`: what writerEnd() returned. The message goes out with the next linkOutput(). */
export function linkCommit(link: Link, bytes: u32): void {
  fifoCommit(fifoOf(link), bytes);
}

/** True: `header` (LINK_HEADER_BYTES) and `outBytes` at `outAt` are a datagram for the peer. Call until false. */
export function linkOutput(link: Link, now: u64): bool {
  if (link.state == LINK_LOST) return false;
  if (link.helloAt <= now) return outputHello(link, now);
  if (link.state != LINK_UP) return false;
  if (outputAgain(link, now)) return true;
  if (outputNew(link, now)) return true;
  if (link.ackDue != 0 && link.ackDue <= now) {
    link.pureAcks++;
    return output(link, 0, link.nextSequence, 0, 0);
  }
  return false;
}

/** While down: at growing intervals; while up: when the peer seems not to know us. */
function outputHello(link: Link, now: u64): bool {
  let flags = HELLO | link.helloFlags;
  link.helloFlags = 0;
  if (link.state == LINK_UP) {
    flags |= KNOWN;
    link.helloAt = NEVER;
  } else {
    link.helloAt = now + link.helloEvery;
    link.helloEvery = min<u64>(link.helloEvery * 2, HELLO_MAX);
  }
  return output(link, flags, link.challenge, 0, 0);
}

function timeoutOf(link: Link, tries: u32): u64 {
  const base =
    link.roundTrip == 0
      ? TIMEOUT_FIRST
      : max<u64>(link.roundTrip + 4 * link.variance + ACK_DELAY, TIMEOUT_MIN);
  return min<u64>(base << min<u32>(tries, 8), TIMEOUT_MAX);
}

function outputAgain(link: Link, now: u64): bool {
  for (let sequence = link.oldest; sequence != link.nextSequence; sequence++) {
    const slot = slotOf(link, sequence);
    if (slot.arrived) continue;
    if (!slot.again && now < slot.sentAt + timeoutOf(link, slot.tries)) continue;
    slot.again = 0;
    slot.tries++;
    slot.sentAt = now;
    link.retransmissions++;
    return output(
      link,
      slot.flags,
      sequence,
      slot.bytes != 0 ? fifoAddress(fifoOf(link), slot.position) : 0,
      slot.bytes,
    );
  }
  return false;
}

function outputNew(link: Link, now: u64): bool {
  if (link.nextSequence - link.oldest >= WINDOW) return false;
  const fifo = fifoOf(link);
  if (link.fragmentSent == 0) link.cursor = fifoSkip(fifo, link.cursor);
  let flags: u32 = SEQUENCED;
  let bytes: u32 = 0;
  const position = link.cursor;
  if (link.cursor != fifo.head) {
    const rest = lengthAt(fifo, link.cursor - link.fragmentSent) - link.fragmentSent;
    if (link.fragmentSent != 0 || rest > link.payloadMax) {
      bytes = min<u32>(rest, link.payloadMax);
      flags |= bytes == rest ? FRAGMENT | FRAGMENT_LAST : FRAGMENT;
      link.fragmentSent = bytes == rest ? 0 : link.fragmentSent + bytes;
    } else bytes = wholeMessages(link, fifo);
    link.cursor += bytes;
  } else if (now < link.lastSent + link.pingIdle) return false;
  const slot = slotOf(link, link.nextSequence);
  slot.position = position;
  slot.bytes = bytes;
  slot.flags = flags;
  slot.tries = 0;
  slot.arrived = 0;
  slot.again = 0;
  slot.sentAt = now;
  slot.firstSentAt = now;
  link.lastSent = now;
  return output(link, flags, link.nextSequence++, fifoAddress(fifo, position), bytes);
}

function lengthAt(fifo: Fifo, position: u32): u32 {
  return padded(changetype<MessageHeader>(fifoAddress(fifo, position)).length);
}

/** As many messages from the cursor on as lie together and fit. */
function wholeMessages(link: Link, fifo: Fifo): u32 {
  let position = link.cursor;
  while (position != fifo.head) {
    // A filler, or the ring's end, comes after the last message in one piece.
    if (fifoSkip(fifo, position) != position) break;
    const bytes = lengthAt(fifo, position);
    if (position + bytes - link.cursor > link.payloadMax) break;
    position += bytes;
    if ((position & (fifo.size - 1)) == 0) break;
  }
  return position - link.cursor;
}

function output(link: Link, flags: u32, sequence: u32, at: usize, bytes: u32): bool {
  const header = link.header;
  store<u32>(header, MAGIC);
  store<u32>(header, 0, 4);
  store<u64>(header, link.epoch, 8);
  store<u64>(header, link.peerEpoch != 0 ? link.peerEpoch : link.candidate, 16);
  store<u32>(header, sequence, 24);
  store<u32>(header, flags & HELLO ? link.echo : link.expected, 28);
  store<u32>(header, link.received, 32);
  store<u16>(header, <u16>flags, 36);
  store<u8>(header, <u8>link.self, 38);
  store<u8>(header, <u8>link.peer, 39);
  link.outAt = at;
  link.outBytes = bytes;
  const c = chain(chain(CHAIN_START, header + 8, LINK_HEADER_BYTES - 8), at, bytes);
  store<u32>(header, chainEnd(c), 4);
  link.datagramsSent++;
  if (!(flags & HELLO)) {
    link.ackDue = 0;
    link.unacknowledged = 0;
  }
  return true;
}

// --- Receiving ---

/** True: messages may be waiting for linkNext(). */
export function linkInput(link: Link, at: usize, bytes: u32, now: u64): bool {
  assert(link.at == link.end && link.heldNext == 0, "linkInput before linkNext had handed out everything");
  if (
    bytes < LINK_HEADER_BYTES ||
    (bytes & 7) != 0 ||
    bytes - LINK_HEADER_BYTES > link.payloadMax ||
    chainEnd(chain(CHAIN_START, at + 8, bytes - 8)) != load<u32>(at, 4)
  ) {
    link.damaged++;
    return false;
  }
  if (<u32>load<u8>(at, 38) != link.peer || <u32>load<u8>(at, 39) != link.self || load<u32>(at) != MAGIC) {
    link.damaged++;
    return false;
  }
  link.datagramsReceived++;
  const flags = <u32>load<u16>(at, 36);
  if (!epochs(link, at, flags, now)) return false;
  link.lastHeard = now;
  if (flags & HELLO) return false;
  acknowledged(link, load<u32>(at, 28), load<u32>(at, 32), now);
  if (!(flags & SEQUENCED)) return false;
  return sequenced(link, at, bytes, load<u32>(at, 24), flags, now);
}

/** True when the datagram is of the two lives that this link joins. */
function epochs(link: Link, at: usize, flags: u32, now: u64): bool {
  const from = load<u64>(at, 8);
  const to = load<u64>(at, 16);
  const challenge = flags & HELLO ? load<u32>(at, 24) : 0;
  if (link.state == LINK_LOST) return false;
  if (from == 0 || isDead(link, from)) {
    link.stale++;
    // Once in a while it is told that it is dead to us: it may still believe otherwise.
    if (link.state == LINK_DOWN && from == link.dead0) refuse(link, from);
    return false;
  }
  if (to != 0 && to != link.epoch) {
    link.stale++;
    if (link.state == LINK_DOWN) accept(link, from, challenge);
    link.helloAt = min<u64>(link.helloAt, now);
    return false;
  }
  if (link.state == LINK_UP && from == link.peerEpoch) return ofPeer(link, flags, challenge, now);
  if (to != 0 && flags & REFUSED) return false;
  if (to == 0 || !(flags & HELLO) || load<u32>(at, 28) != link.challenge) {
    // Somebody new, or a word from the past: it must name our epoch and answer our challenge before it is believed.
    if (link.state == LINK_DOWN) accept(link, from, challenge);
    link.helloAt = now;
    return false;
  }
  if (link.state == LINK_UP) lose(link);
  else rise(link, from, challenge, now);
  return link.state == LINK_UP;
}

/** From the life that this link is up with. */
function ofPeer(link: Link, flags: u32, challenge: u32, now: u64): bool {
  if (flags & REFUSED) {
    lose(link);
    return false;
  }
  if (flags & HELLO) {
    link.echo = challenge;
    // It is not up yet, and waits for our answer.
    if (!(flags & KNOWN)) link.helloAt = now;
  }
  return true;
}

function rise(link: Link, from: u64, challenge: u32, now: u64): void {
  link.state = LINK_UP;
  link.peerEpoch = from;
  link.candidate = 0;
  link.helloFlags = 0; // a refusal was for another life
  link.challenge++;
  link.echo = challenge;
  link.lastHeard = now;
  link.lastConfirmed = now;
  link.lastSent = 0;
  // It may not have seen that we know it.
  link.helloAt = now;
}

/** `challenge`: 0 if the datagram had none. */
function accept(link: Link, from: u64, challenge: u32): void {
  if (challenge != 0) link.echo = challenge;
  else if (link.candidate != from) link.echo = 0;
  link.candidate = from;
  link.helloFlags = 0;
}

function refuse(link: Link, from: u64): void {
  link.candidate = from;
  link.helloFlags = REFUSED;
}

/** Another machine has found the peer dead, and so it is. */
export function linkCut(link: Link): void {
  if (link.state == LINK_UP) lose(link);
}

function lose(link: Link): void {
  link.state = LINK_LOST;
  link.at = 0;
  link.end = 0;
  link.heldNext = 0;
}

function acknowledged(link: Link, acknowledgement: u32, selective: u32, now: u64): void {
  if (acknowledgement - link.oldest > link.nextSequence - link.oldest) return; // older than what we know
  const fifo = fifoOf(link);
  while (link.oldest != acknowledgement) {
    const slot = slotOf(link, link.oldest);
    arrived(link, slot, now);
    if (slot.bytes != 0) fifoRelease(fifo, slot.position + slot.bytes);
    link.oldest++;
  }
  let newest = link.oldest;
  for (let bits = selective; bits != 0; bits &= bits - 1) {
    const sequence = acknowledgement + 1 + <u32>ctz(bits);
    if (sequence - link.oldest >= link.nextSequence - link.oldest) break;
    arrived(link, slotOf(link, sequence), now);
    newest = sequence;
  }
  // What is older than something that arrived has had its time on the wire: lost, unless the wire reorders.
  for (let sequence = link.oldest; sequence != newest; sequence++) {
    const slot = slotOf(link, sequence);
    if (!slot.arrived && slot.tries == 0 && now - slot.sentAt > link.roundTrip + (link.roundTrip >> 2)) {
      slot.again = 1;
    }
  }
}

function arrived(link: Link, slot: Slot, now: u64): void {
  if (slot.arrived) return;
  slot.arrived = 1;
  link.lastConfirmed = max<u64>(link.lastConfirmed, slot.firstSentAt);
  if (slot.tries != 0) return; // which sending was it that arrived?
  const sample = now - slot.sentAt;
  if (link.roundTrip == 0) {
    link.roundTrip = max<u64>(sample, 1);
    link.variance = sample >> 1;
    return;
  }
  const error = sample > link.roundTrip ? sample - link.roundTrip : link.roundTrip - sample;
  link.variance = link.variance - (link.variance >> 2) + (error >> 2);
  link.roundTrip = max<u64>(link.roundTrip - (link.roundTrip >> 3) + (sample >> 3), 1);
}

function sequenced(link: Link, at: usize, bytes: u32, sequence: u32, flags: u32, now: u64): bool {
  const ahead = sequence - link.expected;
  if (ahead == 0) {
    link.unacknowledged++;
    if (link.unacknowledged >= WINDOW / 2) link.ackDue = now;
    else if (link.ackDue == 0) link.ackDue = now + ACK_DELAY;
    if (link.received != 0) link.ackDue = now;
    region(link, at + LINK_HEADER_BYTES, bytes - LINK_HEADER_BYTES, flags);
    return true;
  }
  link.ackDue = now;
  if (ahead >= WINDOW || (link.received >> (ahead - 1)) & 1) {
    link.duplicates++;
    return false;
  }
  const index = sequence & (WINDOW - 1);
  memory.copy(holdAt(link, index), at + LINK_HEADER_BYTES, bytes - LINK_HEADER_BYTES);
  store<u32>(link.holdBytes + (index << 2), bytes - LINK_HEADER_BYTES);
  store<u32>(link.holdFlags + (index << 2), flags);
  link.received |= 1 << (ahead - 1);
  return false;
}

function holdAt(link: Link, index: u32): usize {
  return link.hold + index * (link.payloadMax + 8);
}

/** The expected datagram's payload is next. */
function region(link: Link, at: usize, bytes: u32, flags: u32): void {
  link.at = at;
  link.end = at + bytes;
  link.regionFlags = flags;
  link.heldNext = link.received & 1;
  link.received >>= 1;
  link.expected++;
}

/** The next message in order, checked, or 0. It lies in the datagram or in the link until the next call. */
export function linkNext(link: Link): MessageHeader {
  while (true) {
    while (link.at < link.end) {
      const message = link.regionFlags & FRAGMENT ? assembled(link) : nextInRegion(link);
      if (message != 0) return changetype<MessageHeader>(message);
    }
    if (!link.heldNext) return changetype<MessageHeader>(0);
    const index = link.expected & (WINDOW - 1);
    region(
      link,
      holdAt(link, index),
      load<u32>(link.holdBytes + (index << 2)),
      load<u32>(link.holdFlags + (index << 2)),
    );
  }
}

function nextInRegion(link: Link): usize {
  const at = link.at;
  if (messageCheck(at, <u32>(link.end - at)) != GOOD) {
    link.malformed++;
    link.at = link.end;
    return 0;
  }
  link.at = at + padded(changetype<MessageHeader>(at).length);
  return at;
}

function assembled(link: Link): usize {
  const bytes = <u32>(link.end - link.at);
  const from = link.at;
  link.at = link.end;
  if (link.assemblyBytes + bytes > ASSEMBLY_BYTES) {
    link.malformed++;
    link.assemblyBytes = 0;
    return 0;
  }
  memory.copy(link.assembly + link.assemblyBytes, from, bytes);
  link.assemblyBytes += bytes;
  if (!(link.regionFlags & FRAGMENT_LAST)) return 0;
  const length = link.assemblyBytes;
  link.assemblyBytes = 0;
  if (messageCheck(link.assembly, length) == GOOD) return link.assembly;
  link.malformed++;
  return 0;
}

// --- Time ---

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
  if (link.nextSequence - link.oldest < WINDOW) next = min<u64>(next, link.lastSent + link.pingIdle);
  if (link.ackDue != 0) next = min<u64>(next, link.ackDue);
  for (let sequence = link.oldest; sequence != link.nextSequence; sequence++) {
    const slot = slotOf(link, sequence);
    if (!slot.arrived) next = min<u64>(next, slot.again ? now : slot.sentAt + timeoutOf(link, slot.tries));
  }
  return next;
}
