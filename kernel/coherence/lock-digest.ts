// For searches of every order of events (test/support/lock-world.ts): a number for everything that a machine knows of a
// space of range locks.
import { circleTime } from "./lock-circles";
import { Piece } from "./lock-pieces";
import { LockRequest, LockSpace } from "./lock-space";

export function lockDigest(space: LockSpace): u64 {
  let h: u64 = mix(mix(mix(1, space.frozen), space.clock), space.home);
  h = mix(mix(h, space.ids), circleTime(space));
  h = pieces(pieces(pieces(h, space.rights), space.held), space.grants);
  return requests(requests(requests(requests(h, space.wanted), space.recalls), space.queue), space.asked);
}

function pieces(h: u64, from: usize): u64 {
  h = mix(h, 0x51);
  for (let at = from; at != 0; at = load<usize>(at)) {
    const p = changetype<Piece>(at);
    h = mix(mix(mix(h, p.first), p.last), ((<u64>p.mode) << 40) | ((<u64>p.machine) << 32) | p.number);
    h = mix(h, p.owner);
  }
  return h;
}

function requests(h: u64, from: usize): u64 {
  h = mix(h, 0x52);
  for (let at = from; at != 0; at = load<usize>(at)) {
    const r = changetype<LockRequest>(at);
    h = mix(mix(h, ((<u64>r.state) << 32) | r.machine), ((<u64>r.id) << 32) | r.flags);
    h = mix(mix(mix(h, r.client), r.owner), r.waitsFor);
    h = mix(h, ((<u64>r.stamp) << 32) | r.searcher);
    h = pieces(pieces(h, r.pieces), r.obstacle);
  }
  return h;
}

const MULTIPLIER: u64 = (0x9e37_79b9 << 32) | 0x7f4a_7c15;

function mix(hash: u64, value: u64): u64 {
  const h = (hash ^ value) * MULTIPLIER;
  return h ^ (h >> 29);
}
