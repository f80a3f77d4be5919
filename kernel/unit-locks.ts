// What the tests of range locks (test/support/lock-world.ts) need of the kernel; part of unit.ts.
import { listFree, nodeFree, Piece } from "./coherence/lock-pieces";
import { LockMessage, LockRequest, LockSpace } from "./coherence/lock-space";

export { circleWaits, LOCK_CIRCLE } from "./coherence/lock-circles";
export { lockDigest } from "./coherence/lock-digest";
export { lockDied, lockHandedIn, lockHomeSaid } from "./coherence/lock-home";
export {
  EXCLUSIVE_LOCK,
  isCovered,
  listFree,
  lower,
  nodesAdd,
  nodesFree,
  nodesSetFree,
  pieceAdd,
  raise,
  SHARED_LOCK,
} from "./coherence/lock-pieces";
export {
  LOCK_TEST,
  LOCK_TRY,
  lockCancel,
  lockFail,
  lockFreeze,
  lockPiece,
  lockRelease,
  lockRequest,
  lockSaid,
  lockThaw,
  lockWant,
  requestFree,
  SAY_LOCK_FOLLOW,
  SAY_LOCK_RECALL,
  SAY_LOCK_WAITS,
} from "./coherence/lock-space";
export { LOCK_EVENTS, LOCK_GRANTED, LOCK_HELD } from "./coherence/lock-table";

export function lockSpaceBytes(): usize {
  return offsetof<LockSpace>() + 8;
}
export function lockSpaceMake(space: LockSpace, self: u32, home: u32, fifo: u32): void {
  space.timeAt = changetype<usize>(space) + offsetof<LockSpace>();
  space.self = self;
  space.home = home;
  space.fifo = fifo;
}
/** 0 rights, 1 held, 2 grants, 3 wanted, 4 recalls, 5 queue, 6 asked: the list's first node. */
export function lockList(space: LockSpace, which: u32): usize {
  if (which == 0) return space.rights;
  if (which == 1) return space.held;
  if (which == 2) return space.grants;
  if (which == 3) return space.wanted;
  if (which == 4) return space.recalls;
  return which == 5 ? space.queue : space.asked;
}
/** 0 next, 1 mode, 2 first, 3 last, 4 machine, 5 number, 6 owner. */
export function pieceField(p: Piece, field: u32): u64 {
  if (field == 0) return <u64>p.next;
  if (field == 1) return <u64>p.mode;
  if (field == 2) return p.first;
  if (field == 3) return p.last;
  if (field == 4) return <u64>p.machine;
  return field == 5 ? <u64>p.number : p.owner;
}
/** Takes the next message off the space: its address, 0 = none. lockMessageFree() when it has been read. */
export function lockMessageTake(space: LockSpace): usize {
  const at = space.out;
  if (at != 0) space.out = load<usize>(at);
  return at;
}
/** 0 kind, 1 to, 2 id, 3 flags, 4 its first piece. */
export function lockMessageField(m: LockMessage, field: u32): u32 {
  if (field == 0) return m.kind;
  if (field == 1) return m.to;
  if (field == 2) return m.id;
  return field == 3 ? m.flags : <u32>m.pieces;
}
export function lockMessageFree(m: LockMessage): void {
  listFree(changetype<usize>(m) + offsetof<LockMessage>("pieces"));
  nodeFree(changetype<usize>(m));
}
export function lockDoneTake(space: LockSpace): usize {
  const at = space.done;
  if (at != 0) space.done = load<usize>(at);
  return at;
}
/** 0 client, 1 state, 2 whether it met an obstacle, 3 flags. */
export function lockRequestField(r: LockRequest, field: u32): u32 {
  if (field == 0) return <u32>r.client;
  if (field == 1) return r.state;
  return field == 2 ? u32(r.obstacle != 0) : r.flags;
}
