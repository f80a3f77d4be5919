// What a link sends: hellos, datagrams again that nobody acknowledged, new ones, and acknowledgements alone. link.ts has the
// datagram's layout and when each is due.
import { againDue, againNext, againSequence, TIMEOUT_MIN, timeoutOf } from "./again";
import { CHECK_START, check, checkEnd } from "./check";
import { Fifo, fifoAddress, fifoSkip } from "./fifo";
import {
  FRAGMENT,
  FRAGMENT_LAST,
  fifoOf,
  HELLO,
  HELLO_MAX,
  KNOWN,
  LINK_HEADER_BYTES,
  LINK_LOST,
  LINK_UP,
  Link,
  MAGIC,
  NEVER,
  SEQUENCED,
  slotOf,
} from "./link";
import { HEADER_BYTES, MessageHeader, padded } from "./message";

/** linkOutput() would say false: for less than it takes to ask it. */
export function linkQuiet(link: Link, now: u64): bool {
  if (link.state != LINK_UP) return link.state == LINK_LOST || link.helloAt > now;
  if (link.cursor != fifoOf(link).head || min<u64>(link.helloAt, link.againAt) <= now) return false;
  return now < link.lastSent + link.pingIdle && (link.ackDue == 0 || link.ackDue > now);
}

/** True: `header` (LINK_HEADER_BYTES) and `outBytes` at `outAt` are a datagram for the peer. Call until false. */
export function linkOutput(link: Link, now: u64): bool {
  if (link.state == LINK_LOST) return false;
  if (link.helloAt <= now) return outputHello(link, now);
  if (link.state != LINK_UP) return false;
  if (link.againAt <= now && outputAgain(link, now)) return true;
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

function outputAgain(link: Link, now: u64): bool {
  if (!againNext(link, now)) {
    link.againAt = againDue(link);
    return false;
  }
  const slot = slotOf(link, againSequence);
  const at = slot.bytes != 0 ? fifoAddress(fifoOf(link), slot.position) : 0;
  return output(link, slot.flags, againSequence, at, slot.bytes);
}

function outputNew(link: Link, now: u64): bool {
  if (link.nextSequence - link.oldest >= link.window) return false;
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
    } else bytes = wholeMessages(link, fifo, rest);
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
  if (link.againAt > now + TIMEOUT_MIN) link.againAt = min<u64>(link.againAt, now + timeoutOf(link, 0));
  link.lastSent = now;
  return output(link, flags, link.nextSequence++, fifoAddress(fifo, position), bytes);
}

function lengthAt(fifo: Fifo, position: u32): u32 {
  return padded(changetype<MessageHeader>(fifoAddress(fifo, position)).length);
}

/** As many messages from the cursor on as lie together and fit; `first`: bytes of the first, which does. */
function wholeMessages(link: Link, fifo: Fifo, first: u32): u32 {
  let bytes = first;
  while (true) {
    const position = link.cursor + bytes;
    // A filler, or the ring's end, comes after the last message in one piece.
    if (position == fifo.head || (position & (fifo.size - 1)) == 0) break;
    if (bytes + HEADER_BYTES > link.payloadMax || fifo.size - (position & (fifo.size - 1)) < HEADER_BYTES)
      break;
    const next = lengthAt(fifo, position);
    if (bytes + next > link.payloadMax || fifoSkip(fifo, position) != position) break;
    bytes += next;
  }
  return bytes;
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
  const sum = check(check(CHECK_START, header + 8, LINK_HEADER_BYTES - 8), at, bytes);
  store<u32>(header, checkEnd(sum), 4);
  link.datagramsSent++;
  if (!(flags & HELLO)) {
    link.ackDue = 0;
    link.unacknowledged = 0;
  }
  return true;
}
