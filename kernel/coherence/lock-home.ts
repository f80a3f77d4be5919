// The home's side of range locks (lock-space.ts): who has which rights, and who waits for some. Pure. The home's own threads
// ask by the same messages as those of other machines.
import { circleHeard, circleSearch, LOCK_CIRCLE } from "./lock-circles";
import {
  conflicts,
  EXCLUSIVE_LOCK,
  LOCK_LAST,
  listCopy,
  lower,
  obstacleOf,
  Piece,
  pieceAdd,
  raise,
} from "./lock-pieces";
import {
  append,
  headOf,
  LOCK_TEST,
  LOCK_TRY,
  LockRequest,
  LockSpace,
  leftBeside,
  lockRequest,
  piecesOf,
  requestFree,
  requestsConflict,
  SAY_LOCK,
  SAY_LOCK_CANCEL,
  SAY_LOCK_DENIED,
  SAY_LOCK_GRANT,
  SAY_LOCK_RECALL,
  SAY_LOCK_REFUSED,
  SAY_LOCK_SEARCH,
  say,
  sayObstacle,
} from "./lock-space";

function grantsOf(space: LockSpace): usize {
  return headOf(space, offsetof<LockSpace>("grants"));
}
function queueOf(space: LockSpace): usize {
  return headOf(space, offsetof<LockSpace>("queue"));
}
function askedOf(space: LockSpace): usize {
  return headOf(space, offsetof<LockSpace>("asked"));
}

/** To the home: LOCK, CANCEL, RELEASED, DENIED, SEARCH. The list of pieces is only read. */
export function lockHomeSaid(
  space: LockSpace,
  from: u32,
  kind: u32,
  id: u32,
  flags: u32,
  pieces: usize,
): void {
  if (space.frozen != 0) return;
  if (kind == SAY_LOCK) wanted(space, from, id, flags, pieces);
  else if (kind == SAY_LOCK_CANCEL) cancelled(space, from, id);
  else if (kind == SAY_LOCK_SEARCH) {
    circleSearch(space, from, id, changetype<Piece>(pieces));
    return;
  } else if (!answered(space, from, kind, id, flags, pieces)) return;
  homeAdvance(space);
}

function wanted(space: LockSpace, from: u32, id: u32, flags: u32, pieces: usize): void {
  for (let at = space.queue; at != 0; at = load<usize>(at)) {
    if (changetype<LockRequest>(at).machine == from && changetype<LockRequest>(at).id == id) return;
  }
  circleHeard(space, changetype<Piece>(pieces).number);
  const request = lockRequest(0, 0, 0, flags);
  request.machine = from;
  request.id = id;
  listCopy(piecesOf(request), pieces);
  append(queueOf(space), changetype<usize>(request));
}

/** False: it was over. */
function cancelled(space: LockSpace, from: u32, id: u32): bool {
  let link = queueOf(space);
  while (load<usize>(link) != 0) {
    const request = changetype<LockRequest>(load<usize>(link));
    if (request.machine != from || request.id != id) {
      link = changetype<usize>(request);
      continue;
    }
    store<usize>(link, request.next);
    requestFree(request);
    return true;
  }
  return false;
}

/** False: nobody waits for it. */
function answered(space: LockSpace, from: u32, kind: u32, id: u32, flags: u32, pieces: usize): bool {
  let link = askedOf(space);
  while (load<usize>(link) != 0) {
    const recall = changetype<LockRequest>(load<usize>(link));
    if (recall.machine != from || recall.id != id) {
      link = changetype<usize>(recall);
      continue;
    }
    store<usize>(link, recall.next);
    if (kind == SAY_LOCK_DENIED && flags & LOCK_CIRCLE) circular(space, recall, changetype<Piece>(pieces));
    else if (kind == SAY_LOCK_DENIED) denied(space, recall, changetype<Piece>(pieces));
    else {
      for (let at = recall.pieces; at != 0; at = load<usize>(at)) {
        const p = changetype<Piece>(at);
        lower(grantsOf(space), from, 0, p.first, p.last, leftBeside(p), id);
      }
    }
    requestFree(recall);
    return true;
  }
  return false;
}

function denied(space: LockSpace, recall: LockRequest, obstacle: Piece): void {
  for (let at = space.queue; at != 0; at = load<usize>(at)) {
    const request = changetype<LockRequest>(at);
    if (request.id != <u32>recall.client || <u64>request.machine != recall.owner || request.obstacle != 0)
      continue;
    pieceAdd(
      at + offsetof<LockRequest>("obstacle"),
      obstacle.first,
      obstacle.last,
      obstacle.mode,
      recall.machine,
      obstacle.number,
      0,
    );
  }
}

/** Whom it is for would wait for ever: he waits no more; what else is recalled for him comes back when it may. */
function circular(space: LockSpace, recall: LockRequest, obstacle: Piece): void {
  const machine = <u32>recall.owner;
  const id = <u32>recall.client;
  if (!cancelled(space, machine, id)) return;
  sayObstacle(space, SAY_LOCK_REFUSED, machine, id, LOCK_CIRCLE, obstacle);
}

/** Whoever nothing stands against any more is granted what he waits for; rights that are in the way are recalled. */
function homeAdvance(space: LockSpace): void {
  let link = queueOf(space);
  while (load<usize>(link) != 0) {
    const request = changetype<LockRequest>(load<usize>(link));
    if (!isSettled(space, request)) {
      link = changetype<usize>(request);
      continue;
    }
    store<usize>(link, request.next);
    if (request.obstacle != 0) {
      say(space, SAY_LOCK_REFUSED, request.machine, request.id, 0, request.obstacle);
    } else grant(space, request);
    requestFree(request);
  }
}

/** Refused, when it has an obstacle; else granted. */
function isSettled(space: LockSpace, request: LockRequest): bool {
  if (request.obstacle != 0) {
    // The others may have given up something meanwhile; their answers are waited for, so that nothing is under way for nobody.
    return !isUnderWay(space, request, 0);
  }
  if (space.fifo != 0 && !(request.flags & LOCK_TRY) && earlierWaits(space, request)) return false;
  let free = true;
  for (let at = request.pieces; at != 0; at = load<usize>(at)) {
    for (let with_ = space.grants; with_ != 0; with_ = load<usize>(with_)) {
      const right = changetype<Piece>(with_);
      if (right.machine == request.machine || !conflicts(right, changetype<Piece>(at))) continue;
      free = false;
      if (!isUnderWay(space, request, right.machine)) recall(space, request, right.machine);
    }
  }
  return free;
}

function earlierWaits(space: LockSpace, request: LockRequest): bool {
  for (let at = space.queue; at != changetype<usize>(request); at = load<usize>(at)) {
    const earlier = changetype<LockRequest>(at);
    if (earlier.machine != request.machine && requestsConflict(earlier, request)) return true;
  }
  return false;
}

/** A recall for it, of that machine's rights (0: of any's). */
function isUnderWay(space: LockSpace, request: LockRequest, machine: u32): bool {
  for (let at = space.asked; at != 0; at = load<usize>(at)) {
    const recall = changetype<LockRequest>(at);
    const his = <u32>recall.client == request.id && recall.owner == <u64>request.machine;
    if (his && (machine == 0 || recall.machine == machine)) return true;
  }
  return false;
}

function recall(space: LockSpace, request: LockRequest, machine: u32): void {
  const asked = lockRequest(<usize>request.id, <u64>request.machine, 0, request.flags);
  asked.machine = machine;
  asked.id = ++space.clock;
  listCopy(piecesOf(asked), request.pieces);
  append(askedOf(space), changetype<usize>(asked));
  say(space, SAY_LOCK_RECALL, machine, asked.id, request.flags & LOCK_TRY, request.pieces);
}

function grant(space: LockSpace, request: LockRequest): void {
  const number = ++space.clock;
  if (!(request.flags & LOCK_TEST) && load<usize>(request.pieces) == 0) widen(space, request);
  for (let at = request.pieces; at != 0; at = load<usize>(at)) {
    const p = changetype<Piece>(at);
    p.number = number;
    raise(grantsOf(space), request.machine, 0, p.first, p.last, p.mode, number);
  }
  say(space, SAY_LOCK_GRANT, request.machine, request.id, 0, request.pieces);
}

/** Its one piece becomes as long as nothing of anybody else is in the way; who is alone with the object gets all of it alone. */
function widen(space: LockSpace, request: LockRequest): void {
  const p = changetype<Piece>(request.pieces);
  const was = p.mode;
  const first = p.first;
  const last = p.last;
  p.first = 0;
  p.last = LOCK_LAST;
  p.mode = EXCLUSIVE_LOCK;
  if (!inTheWay(space, request, p)) return;
  p.mode = was;
  for (let at = space.grants; at != 0; at = load<usize>(at))
    narrow(p, changetype<Piece>(at), request.machine, first, last);
  for (let at = space.queue; at != 0; at = load<usize>(at)) {
    const waiter = changetype<LockRequest>(at);
    for (let each = waiter.pieces; each != 0; each = load<usize>(each)) {
      if (waiter.machine != request.machine) narrow(p, changetype<Piece>(each), 0, first, last);
    }
  }
}

function inTheWay(space: LockSpace, request: LockRequest, p: Piece): bool {
  if (changetype<usize>(obstacleOf(grantsOf(space), p, request.machine, 0)) != 0) return true;
  for (let at = space.queue; at != 0; at = load<usize>(at)) {
    if (changetype<LockRequest>(at).machine != request.machine) return true;
  }
  return false;
}

/** `p` ends where `other`, of another machine than `machine`, begins; [first, last] stays in it. */
function narrow(p: Piece, other: Piece, machine: u32, first: u64, last: u64): void {
  if (other.machine == machine && machine != 0) return;
  if (!conflicts(p, other)) return;
  if (other.last < first) p.first = max<u64>(p.first, other.last + 1);
  else if (other.first > last) p.last = min<u64>(p.last, other.first - 1);
  else {
    // Somebody who waits for some of it: no more than was asked for.
    p.first = first;
    p.last = last;
  }
}

/** What the machine had and wanted is free. */
export function lockDied(space: LockSpace, machine: u32): void {
  lower(grantsOf(space), machine, 0, 0, LOCK_LAST, 0, 0);
  dropOf(queueOf(space), machine);
  dropOf(askedOf(space), machine);
  homeAdvance(space);
}

function dropOf(head: usize, machine: u32): void {
  let link = head;
  while (load<usize>(link) != 0) {
    const request = changetype<LockRequest>(load<usize>(link));
    if (request.machine != machine) {
      link = changetype<usize>(request);
      continue;
    }
    store<usize>(link, request.next);
    requestFree(request);
  }
}

/** At the new home: a right that held locks of the machine stand on. */
export function lockHandedIn(space: LockSpace, machine: u32, first: u64, last: u64, mode: u32): void {
  raise(grantsOf(space), machine, 0, first, last, mode, 0);
}
