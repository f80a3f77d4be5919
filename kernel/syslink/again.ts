// What a link sends again. Where selective bits show a gap, what is missing goes at once. Otherwise one timer runs, for the oldest
// datagram that nobody has acknowledged (as TCP's, RFC 6298): all the others are only known to be behind it, and a peer that was not
// run for some milliseconds, as virtual machines are not, would have each of them twice. If the acknowledgement that follows
// covers nothing but what was sent again, the others are lost as well: they follow, twice as many with each acknowledgement
// (slow start, RFC 5681). If it covers more, the peer was only late (as F-RTO finds, RFC 5682), and nothing else goes again.
// Invariant: `marked` is the number of slots under way with `again` set.
import { ACK_DELAY, Link, NEVER, Slot, slotOf, WINDOW } from "./link";

const MILLISECOND: u64 = 1_000_000;
const TIMEOUT_FIRST: u64 = 40 * MILLISECOND;
/** No datagram is sent again sooner. */
export const TIMEOUT_MIN: u64 = 8 * MILLISECOND;
const TIMEOUT_MAX: u64 = 1000 * MILLISECOND;

/** How long after it was sent the oldest datagram is sent again, when nothing says that it arrived. */
export function timeoutOf(link: Link, tries: u32): u64 {
  const base =
    link.roundTrip == 0
      ? TIMEOUT_FIRST
      : max<u64>(link.roundTrip + 4 * link.variance + ACK_DELAY, TIMEOUT_MIN);
  return min<u64>(base << min<u32>(tries, 8), TIMEOUT_MAX);
}

/** When a datagram is to be sent again; 0 = one at once. */
export function againDue(link: Link): u64 {
  if (link.oldest == link.nextSequence) return NEVER;
  if (link.marked != 0) return 0;
  const slot = slotOf(link, link.oldest);
  return max<u64>(slot.sentAt, link.movedAt) + timeoutOf(link, slot.tries);
}

/** The sequence of a datagram that is to be sent again now, in `againSequence`; false: there is none. */
export function againNext(link: Link, now: u64): bool {
  if (link.oldest == link.nextSequence) return false;
  let sequence = link.oldest;
  if (link.marked != 0) {
    while (slotOf(link, sequence).again == 0) sequence++;
  } else {
    if (againDue(link) > now) return false;
    link.recoverEnd = link.nextSequence;
  }
  const slot = slotOf(link, sequence);
  unmark(link, slot);
  slot.tries++;
  slot.sentAt = now;
  link.retransmissions++;
  link.window = WINDOW;
  againSequence = sequence;
  return true;
}
export let againSequence: u32 = 0;

function mark(link: Link, slot: Slot): void {
  if (slot.again != 0 || slot.arrived != 0) return;
  slot.again = 1;
  link.marked++;
  link.againAt = 0;
}

/** It has arrived, or is on its way again. */
export function unmark(link: Link, slot: Slot): void {
  if (slot.again != 0) link.marked--;
  slot.again = 0;
}

/** Something before `newest` has not arrived, and what was sent later has: lost, unless the wire reorders. */
export function gapSeen(link: Link, newest: u32, now: u64): void {
  for (let sequence = link.oldest; sequence != newest; sequence++) {
    const slot = slotOf(link, sequence);
    const passed = slot.tries == 0 || slot.sentAt < link.arrivedSentAt;
    if (passed && now - slot.sentAt > link.roundTrip + (link.roundTrip >> 2)) mark(link, slot);
  }
}

/** The oldest `count` have been acknowledged, none of them newly if all had been sent again. */
export function movedOn(link: Link, count: u32, allAgain: bool, now: u64): void {
  link.movedAt = now;
  if (<i32>(link.recoverEnd - link.oldest) <= 0) return;
  if (!allAgain) {
    link.recoverEnd = link.oldest;
    return;
  }
  let left = 2 * count;
  for (let sequence = link.oldest; left > 0 && sequence != link.recoverEnd; sequence++) {
    const slot = slotOf(link, sequence);
    if (slot.arrived != 0) continue;
    mark(link, slot);
    left--;
  }
}
