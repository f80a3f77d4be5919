// What goes out: SYSLINK messages into their links' rings, or aside while a ring is full; datagrams and votes to the card.

import { referenceGiven } from "../coherence/object-list";
import { runClose } from "../coherence/runs";
import { willsTell } from "../coherence/wills";
import { nanoseconds } from "../machine/time";
import { allocate, release } from "../memory/slab";
import { ethernetHeader } from "../net/ethernet";
import { ETHERNET_BYTES, HEADERS_BYTES, SLOT_BYTES, slotReturn, slotSend, slotTake } from "../net/interface";
import { udpSend } from "../net/udp";
import { nicFlush } from "../net/virtio-net";
import { stats } from "../stats";
import { fifoOf, LINK_HEADER_BYTES, Link, linkCommit, linkReserve, linkUnsent } from "./link";
import { linkOutput, linkQuiet } from "./link-output";
import { MessageHeader, MessageWriter, messageReferences, writerBegin, writerEnd } from "./message";
import { bit, card, clusterMachines, clusterSelf, isDead, linkTo, NETWORK, PORT } from "./peers";
import { VOTE_BYTES_MAX, VOTE_GROUP, VOTE_TYPE } from "./view";

/** Bit per machine whose link has something to send. */
let dirtyLinks: u64 = 0;
/**
 * So many full datagrams go out before the piece of work that says them has ended: the other end begins with a run of pages while
 * the rest is written. Not each alone, since the card is told of each time.
 */
const BURST: u32 = 4;

export function linkDirty(machine: u32): void {
  dirtyLinks |= bit(machine);
}

const writer = changetype<MessageWriter>(memory.data(offsetof<MessageWriter>(), 8));
/** A message that found no room in its link's ring, or has nowhere to go. */
@unmanaged
class Overflow {
  next: usize = 0;
  machine: u32 = 0;
  bytes: u32 = 0;
}
const OVERFLOW_BYTES: usize = 16;
let overflowFirst: usize = 0;
let overflowLast: usize = 0;
/** Bit per machine that has messages there. */
let overflowing: u64 = 0;
let writing: u32 = 0;
let writingAside: usize = 0;
/** It is written and goes nowhere: nobody speaks to that machine. */
let unheard: bool = false;

/** Begins a message of at most `bytes`: put items, then messageEnd(). Not to this machine. */
export function messageTo(machine: u32, bytes: u32, linkid: u64, msgid: u32, command: u32): MessageWriter {
  runClose();
  willsTell();
  unheard = isDead(machine);
  return begin(machine, bytes, linkid, msgid, command);
}

/** An answer that the other waits for, although this machine may not know yet that it belongs to the cluster. */
export function answerTo(machine: u32, bytes: u32, linkid: u64, msgid: u32, command: u32): MessageWriter {
  runClose();
  unheard = false;
  return begin(machine, bytes, linkid, msgid, command);
}

/** The same about the membership itself: also to a machine that is no member yet. */
export function noticeTo(machine: u32, bytes: u32, command: u32): MessageWriter {
  runClose();
  unheard = false;
  return begin(machine, bytes, 0, 0, command);
}

function begin(machine: u32, bytes: u32, linkid: u64, msgid: u32, command: u32): MessageWriter {
  assert(
    writing == 0 && machine != clusterSelf() && machine <= clusterMachines(),
    "one message is written at a time, to another machine",
  );
  writing = machine;
  writingAside = 0;
  let at: usize = 0;
  if (!unheard && !(overflowing & bit(machine))) at = linkReserve(linkTo(machine), bytes);
  if (at == 0) {
    writingAside = allocate(OVERFLOW_BYTES + bytes);
    at = writingAside + OVERFLOW_BYTES;
  }
  writerBegin(writer, at, bytes, linkid, msgid, command);
  return writer;
}

export function messageEnd(): void {
  const machine = writing;
  const bytes = writerEnd(writer);
  assert(bytes != 0, "a message is longer than it was said to be");
  writing = 0;
  const counters = stats();
  counters.messagesSent++;
  counters.bytesSent += <u64>bytes;
  if (unheard) {
    release(writingAside);
    return;
  }
  // The core counts linkids that leave without knowing what they are in (promise 25).
  if (writer.references != 0)
    messageReferences(changetype<MessageHeader>(writer.start), referenceGiven.index, machine);
  if (writingAside == 0) {
    const link = linkTo(machine);
    linkCommit(link, bytes);
    dirtyLinks |= bit(machine);
    if (linkUnsent(link) >= BURST * link.payloadMax) burst(link, machine);
    return;
  }
  const overflow = changetype<Overflow>(writingAside);
  overflow.machine = machine;
  overflow.bytes = bytes;
  overflowing |= bit(machine);
  if (overflowLast != 0) changetype<Overflow>(overflowLast).next = writingAside;
  else overflowFirst = writingAside;
  overflowLast = writingAside;
}

/** What is said to that machine now has to wait for room: who has much to say says it later. */
export function linkIsFull(machine: u32): bool {
  return (overflowing & bit(machine)) != 0;
}

/** What now finds room, in order for each machine; what goes to one who is not spoken to any more is dropped. */
export function overflowDrain(): void {
  let before: usize = 0;
  let at = overflowFirst;
  overflowing = 0;
  while (at != 0) {
    const overflow = changetype<Overflow>(at);
    const machine = overflow.machine;
    const next = overflow.next;
    let room: usize = 0;
    if (!isDead(machine) && !(overflowing & bit(machine))) {
      room = linkReserve(linkTo(machine), overflow.bytes);
      if (room == 0) overflowing |= bit(machine);
    }
    if (overflowing & bit(machine)) before = at;
    else {
      if (room != 0) {
        memory.copy(room, at + OVERFLOW_BYTES, overflow.bytes);
        linkCommit(linkTo(machine), overflow.bytes);
        dirtyLinks |= bit(machine);
      }
      if (before != 0) changetype<Overflow>(before).next = next;
      else overflowFirst = next;
      release(at);
    }
    at = next;
  }
  overflowLast = before;
}

/** Behind the last message to that machine; up to where it has acknowledged them. Not while some wait for room. */
export function messagePosition(machine: u32): u32 {
  return fifoOf(linkTo(machine)).head;
}
export function messagesArrived(machine: u32): u32 {
  return fifoOf(linkTo(machine)).tail;
}
export function messagesOverflow(machine: u32): bool {
  return linkIsFull(machine) || isDead(machine);
}

/** Everything that links have to say goes to the card. False: the card has to send first what it has. */
export function pump(now: u64): bool {
  if (overflowFirst != 0) overflowDrain();
  while (dirtyLinks != 0) {
    const machine = <u32>ctz(dirtyLinks) + 1;
    const link = linkTo(machine);
    const before = link.retransmissions;
    while (!linkQuiet(link, now)) {
      const slot = slotTake(card);
      if (slot == 0) {
        nicFlush();
        return false;
      }
      if (!linkOutput(link, now)) {
        slotReturn(card, slot);
        break;
      }
      transmit(link, machine, slot, now);
    }
    const again = link.retransmissions - before;
    if (again != 0) stats().retransmissions += again;
    dirtyLinks &= ~bit(machine);
  }
  nicFlush();
  return true;
}

/** What fills whole datagrams; the rest may still become one. */
function burst(link: Link, machine: u32): void {
  const now = nanoseconds();
  while (linkUnsent(link) >= link.payloadMax) {
    const slot = slotTake(card);
    if (slot == 0) break;
    if (!linkOutput(link, now)) {
      slotReturn(card, slot);
      break;
    }
    transmit(link, machine, slot, now);
  }
  nicFlush();
}

/** Short payloads are copied, so that the ring may forget them while the card still has them. */
function transmit(link: Link, machine: u32, slot: usize, now: u64): void {
  const at = slot + HEADERS_BYTES;
  memory.copy(at, link.header, LINK_HEADER_BYTES);
  let bytes = LINK_HEADER_BYTES;
  let more = link.outAt;
  let moreBytes = link.outBytes;
  if (HEADERS_BYTES + LINK_HEADER_BYTES + moreBytes <= SLOT_BYTES) {
    memory.copy(at + LINK_HEADER_BYTES, more, moreBytes);
    bytes += moreBytes;
    more = 0;
    moreBytes = 0;
  }
  udpSend(card, slot, NETWORK | (machine << 24), PORT, bytes, more, moreBytes, now);
}

/** Votes that are longer than a slot wait here for the card; there are never that many under way. */
const voteRoom: usize = memory.data(16 * 584);
let voteNext: u32 = 0;

/** A vote of `bytes` at `at` goes to all. Without a free slot it is lost, as on a wire: it is sent again. */
export function voteSend(at: usize, bytes: u32): void {
  const slot = slotTake(card);
  if (slot == 0) return;
  ethernetHeader(card, slot, VOTE_GROUP, VOTE_TYPE);
  if (ETHERNET_BYTES + bytes <= SLOT_BYTES) {
    memory.copy(slot + ETHERNET_BYTES, at, bytes);
    slotSend(card, slot, ETHERNET_BYTES + bytes, 0, 0);
    return;
  }
  const room = voteRoom + voteNext * VOTE_BYTES_MAX;
  voteNext = (voteNext + 1) & 15;
  memory.copy(room, at, bytes);
  slotSend(card, slot, ETHERNET_BYTES, room, bytes);
}
