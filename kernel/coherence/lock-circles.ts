// EDEADLK (fcntl(2)): a process that would wait for a lock is told when it would wait for itself, by way of other processes, machines
// and files; a search along the edges of who waits for whom finds that (Chandy, Misra and Haas, Distributed Deadlock
// Detection, 1983). Pure, as lock-space.ts; object-locks.ts leads a search from one space of a machine to the others.
//
// An edge is a recall that a process's lock is in the way of (only locks of processes count, as on Linux): its requester waits for that
// process. It comes into being at the machine of the process, which gives it a stamp, and begins a search with it:
//
//   WAITS     on that machine: what does the process itself wait for?
//   SEARCH    to the home of each such request: which recalls are out for it?
//   FOLLOW    from the home to the machine of each: is a process's lock still in its way? Then that one's WAITS, and so on.
//
// A search that comes back to its own edge has been round a circle. Then the recall is denied for good, and its requester is told.
//
// One victim. Stamps are Lamport's clock (Time, Clocks, 1978), which LOCK and RECALL carry as well, and a search follows older edges only.
// So of a circle the youngest edge alone is found, by its own search: whoever made the wait that closed it. That search misses no edge: one
// that comes into being behind it, on whatever machine, is younger. Searches may pass edges that are no more: then one thread
// of a process has let go of a lock, or a signal has ended a wait, while another thread waits; Linux looks at processes, too.
import { conflicts, listFree, Piece, pieceAdd } from "./lock-pieces";
import {
  headOf,
  LOCK_TRY,
  LockRequest,
  LockSpace,
  requestFree,
  SAY_LOCK_DENIED,
  SAY_LOCK_FOLLOW,
  SAY_LOCK_SEARCH,
  SAY_LOCK_WAITS,
  say,
  sayObstacle,
} from "./lock-space";
import { LOCK_ASKED } from "./lock-table";

/** Flags of DENIED and REFUSED: whoever asked would wait for ever. */
export const LOCK_CIRCLE: u32 = 4;

/** Whether the locks are a process's: not an open file's, and not of reads and writes. */
function isProcess(number: u32): bool {
  return number != 0 && number != u32(-1);
}

export function circleTime(space: LockSpace): u32 {
  return space.timeAt != 0 ? load<u32>(space.timeAt) : 0;
}

/** Edges that come into being on this machine from now on are younger than that. */
export function circleHeard(space: LockSpace, stamp: u32): void {
  if (circleTime(space) < stamp) store<u32>(space.timeAt, stamp);
}

function processInTheWay(space: LockSpace, recall: LockRequest): Piece {
  for (let at = recall.pieces; at != 0; at = load<usize>(at)) {
    for (let with_ = space.held; with_ != 0; with_ = load<usize>(with_)) {
      const lock = changetype<Piece>(with_);
      if (isProcess(lock.number) && conflicts(lock, changetype<Piece>(at))) return lock;
    }
  }
  return changetype<Piece>(0);
}

/** A recall waits for locks that are held here: is there an edge, and is it new? */
export function circleEdge(space: LockSpace, recall: LockRequest): void {
  if (space.timeAt == 0) return;
  const lock = processInTheWay(space, recall);
  const owner = changetype<usize>(lock) != 0 ? lock.owner : 0;
  if (recall.waitsFor == owner) return;
  recall.waitsFor = owner;
  if (owner == 0) return;
  recall.stamp = circleTime(space) + 1;
  store<u32>(space.timeAt, recall.stamp);
  sayOfSearch(space, SAY_LOCK_WAITS, space.self, 0, recall.stamp, space.self, owner);
}

const one: usize = memory.data(16, 8);

/** A search is a piece in messages: its stamp as first and last byte, the machine of its edge as number. */
function sayOfSearch(
  space: LockSpace,
  kind: u32,
  to: u32,
  id: u32,
  stamp: u32,
  machine: u32,
  owner: u64,
): void {
  store<usize>(one, 0);
  pieceAdd(one, stamp, stamp, 1, 0, machine, owner);
  say(space, kind, to, id, 0, load<usize>(one));
  listFree(one);
}

/** WAITS: on along what that process waits for in this space. */
export function circleWaits(space: LockSpace, search: Piece): void {
  const stamp = <u32>search.first;
  for (let at = space.wanted; at != 0; at = load<usize>(at)) {
    const request = changetype<LockRequest>(at);
    const waits = request.state == LOCK_ASKED && !(request.flags & LOCK_TRY) && isProcess(request.process);
    if (!waits || request.owner != search.owner) continue;
    if (request.stamp == stamp && request.searcher == search.number) continue; // it came by another way
    request.stamp = stamp;
    request.searcher = search.number;
    sayOfSearch(space, SAY_LOCK_SEARCH, space.home, request.id, stamp, search.number, 0);
  }
}

/** SEARCH, at the home: on to whoever has been asked to give up something for that request. */
export function circleSearch(space: LockSpace, from: u32, id: u32, search: Piece): void {
  const stamp = <u32>search.first;
  circleHeard(space, stamp);
  for (let at = space.asked; at != 0; at = load<usize>(at)) {
    const recall = changetype<LockRequest>(at);
    if (<u32>recall.client != id || recall.owner != <u64>from) continue;
    sayOfSearch(space, SAY_LOCK_FOLLOW, recall.machine, recall.id, stamp, search.number, 0);
  }
}

/** FOLLOW, at the machine of a recall. */
export function circleFollow(space: LockSpace, id: u32, search: Piece): void {
  const stamp = <u32>search.first;
  const machine = search.number;
  circleHeard(space, stamp);
  let link = headOf(space, offsetof<LockSpace>("recalls"));
  while (load<usize>(link) != 0 && changetype<LockRequest>(load<usize>(link)).id != id)
    link = load<usize>(link);
  const recall = changetype<LockRequest>(load<usize>(link));
  if (changetype<usize>(recall) == 0 || recall.waitsFor == 0) return;
  const older = recall.stamp < stamp || (recall.stamp == stamp && space.self < machine);
  if (older) sayOfSearch(space, SAY_LOCK_WAITS, space.self, 0, stamp, machine, recall.waitsFor);
  if (recall.stamp != stamp || space.self != machine) return;
  store<usize>(link, recall.next);
  sayObstacle(space, SAY_LOCK_DENIED, space.home, id, LOCK_CIRCLE, processInTheWay(space, recall));
  requestFree(recall);
}
