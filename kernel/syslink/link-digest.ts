// For searches of every order of events (test/kernel/syslink-search.test.ts), in which any timer may expire at any moment:
// a number for what decides how a link goes on. Of times only what can matter then: whether it was just now.
import { fifoOf, Link, NEVER, slotOf } from "./link";

export function linkDigest(link: Link, now: u64): u64 {
  let h: u64 = mix(mix(mix(1, link.state), link.epoch), link.peerEpoch);
  h = mix(mix(mix(mix(h, link.candidate), link.dead0), link.dead1), link.dead2);
  h = mix(mix(mix(mix(h, link.oldest), link.nextSequence), link.cursor), link.fragmentSent);
  h = mix(mix(h, link.challenge), link.echo);
  h = mix(mix(mix(h, link.helloFlags), u64(link.helloAt == NEVER)), u64(link.helloAt <= now));
  h = mix(mix(mix(mix(h, link.expected), link.received), link.unacknowledged), link.assemblyBytes);
  h = mix(mix(mix(h, u64(link.ackDue != 0)), u64(link.ackDue <= now)), u64(link.roundTrip == 0));
  const recovering = max<i32>(<i32>(link.recoverEnd - link.oldest), 0);
  h = mix(h, <u64>recovering);
  h = mix(mix(mix(h, fifoOf(link).head), fifoOf(link).tail), u64(link.lastSent == now));
  for (let sequence = link.oldest; sequence != link.nextSequence; sequence++) {
    const slot = slotOf(link, sequence);
    const flags =
      (slot.flags << 4) | (u32(slot.arrived) << 2) | (u32(slot.again) << 1) | u32(slot.tries == 0);
    const since = sequence == link.oldest ? max<u64>(slot.sentAt, link.movedAt) : slot.sentAt;
    h = mix(mix(mix(mix(h, slot.position), slot.bytes), flags), u64(since == now));
  }
  return h;
}

const MULTIPLIER: u64 = (0x9e37_79b9 << 32) | 0x7f4a_7c15;

function mix(hash: u64, value: u64): u64 {
  const h = (hash ^ value) * MULTIPLIER;
  return h ^ (h >> 29);
}
