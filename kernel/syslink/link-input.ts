// What a link hears: whether a datagram is of the two lives that it joins, what it acknowledges, and its messages put back
// into their order. link.ts has the datagram's layout.
import { gapSeen, movedOn, unmark } from "./again";
import { CHECK_START, check, checkEnd } from "./check";
import { fifoRelease } from "./fifo";
import {
  ACK_DELAY,
  ASSEMBLY_BYTES,
  FRAGMENT,
  FRAGMENT_LAST,
  fifoOf,
  HELLO,
  KNOWN,
  LINK_DOWN,
  LINK_HEADER_BYTES,
  LINK_LOST,
  LINK_UP,
  Link,
  lose,
  MAGIC,
  REFUSED,
  SEQUENCED,
  Slot,
  slotOf,
  WINDOW,
  WINDOW_MAX,
} from "./link";
import { GOOD, MessageHeader, messageCheck, padded } from "./message";

function isDead(link: Link, epoch: u64): bool {
  return link.dead0 == epoch || link.dead1 == epoch || link.dead2 == epoch || link.dead3 == epoch;
}

/** True: messages may be waiting for linkNext(). */
export function linkInput(link: Link, at: usize, bytes: u32, now: u64): bool {
  assert(link.at == link.end && link.heldNext == 0, "linkInput before linkNext had handed out everything");
  if (
    bytes < LINK_HEADER_BYTES ||
    (bytes & 7) != 0 ||
    bytes - LINK_HEADER_BYTES > link.payloadMax ||
    checkEnd(check(CHECK_START, at + 8, bytes - 8)) != load<u32>(at, 4)
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
    // A word from the past has brought it up with a former life of this machine: the answer to its challenge ends that, else both ask for ever.
    else if (from == link.peerEpoch && challenge != 0) link.echo = challenge;
    link.helloAt = min<u64>(link.helloAt, now);
    return false;
  }
  if (link.state == LINK_UP && from == link.peerEpoch) return ofPeer(link, flags, challenge, now);
  if (to != 0 && flags & REFUSED) {
    if (link.state == LINK_DOWN) link.refused = 1;
    return false;
  }
  if (to == 0 || !(flags & HELLO) || load<u32>(at, 28) != link.challenge) {
    // Somebody new, or a word from the past: it must name our epoch and answer our challenge before it is believed.
    if (link.state == LINK_DOWN) accept(link, from, challenge);
    link.helloAt = now;
    return false;
  }
  if (link.state == LINK_UP) {
    lose(link);
    link.succeeded = 1;
  } else rise(link, from, challenge, now);
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

function acknowledged(link: Link, acknowledgement: u32, selective: u32, now: u64): void {
  if (acknowledgement - link.oldest > link.nextSequence - link.oldest) return; // older than what we know
  const fifo = fifoOf(link);
  const before = link.oldest;
  let allAgain = true;
  let end = fifo.tail;
  while (link.oldest != acknowledgement) {
    const slot = slotOf(link, link.oldest);
    if (slot.tries == 0) allAgain = false;
    arrived(link, slot, now);
    if (slot.bytes != 0) end = slot.position + slot.bytes;
    link.oldest++;
  }
  fifoRelease(fifo, end);
  let newest = link.oldest;
  for (let bits = selective; bits != 0; bits &= bits - 1) {
    const sequence = acknowledgement + 1 + <u32>ctz(bits);
    if (sequence - link.oldest >= link.nextSequence - link.oldest) break;
    arrived(link, slotOf(link, sequence), now);
    newest = sequence;
  }
  if (newest != link.oldest) gapSeen(link, newest, now);
  if (link.oldest != before) movedOn(link, link.oldest - before, allAgain, now);
}

function arrived(link: Link, slot: Slot, now: u64): void {
  if (slot.arrived) return;
  slot.arrived = 1;
  unmark(link, slot);
  link.lastConfirmed = max<u64>(link.lastConfirmed, slot.firstSentAt);
  if (link.window < WINDOW_MAX) link.window++;
  if (slot.tries != 0) return; // which sending was it that arrived?
  link.arrivedSentAt = max<u64>(link.arrivedSentAt, slot.sentAt);
  const sample = now - slot.sentAt;
  const lately = link.shortest + (link.shortest >> 8);
  link.shortest = link.shortest == 0 ? max<u64>(sample, 1) : min<u64>(sample, lately);
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
