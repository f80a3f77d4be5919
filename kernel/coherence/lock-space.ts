// Range locks of one object: [first, last] of its 64-bit space, shared by many or one's alone, several ranges at once or none. Pure.
//
// The object's home is the manager. It gives machines *rights* to lock ranges, which they keep until somebody else wants them: a machine
// that is alone with an object has the right to all of it after one question, and locks and unlocks without a message. A
// right that is in the way is *recalled*: its machine gives up as much as was asked for, as soon as no thread there holds a lock
// of it. So a lock that is held stands on rights, and rights of two machines never conflict.
//
//   LOCK       to the home: these ranges, all at once or none. Answer: GRANT, all of the rights and perhaps wider; or REFUSED
//   RECALL     from the home: rights down to what the requester's mode bears. Answer: RELEASED; or DENIED, when it is not to wait
//   CANCEL     to the home: whoever asked has given up
//   WAITS, SEARCH, FOLLOW   whether processes wait in a circle (lock-circles.ts)
//
// Order. In a space that is `fifo` (reads and writes, whose locks are held for a moment and by threads that ask for no other meanwhile) nobody
// overtakes: a request waits behind every earlier one that it conflicts with. In the others (fcntl, flock: held as long as a program
// likes, by who may ask for more) only locks that are held are in the way, as in Linux.
// No deadlock among machines: a request needs all of its rights at once and has none of them before; a recall waits for held locks only.
//
// Numbers. The home numbers grants and recalls by one clock. RELEASED, an answer to recall n, takes away what was granted before
// n only: a grant may have crossed it. So the home's idea of a machine's rights is never less than what the machine has. An
// answer to what is not waited for is ignored, so that a message that comes twice does nothing.
import { circleEdge, circleFollow, circleHeard, circleTime, LOCK_CIRCLE } from "./lock-circles";
import {
  conflicts,
  isCovered,
  listCopy,
  listFree,
  listTidy,
  lower,
  nodeFree,
  nodeTake,
  obstacleOf,
  Piece,
  pieceAdd,
  raise,
} from "./lock-pieces";
import {
  DO_ASK,
  DO_DENY,
  DO_HOLD,
  DO_TELL,
  LOCK_ASKED,
  LOCK_CANCEL,
  LOCK_FREE,
  LOCK_FROZEN,
  LOCK_GRANT,
  LOCK_GRANTED,
  LOCK_LACKS,
  LOCK_OBSTACLE,
  LOCK_REFUSED,
  LOCK_WANTED,
  lockNext,
} from "./lock-table";

/** LockRequest.flags: not to wait; only to learn whether it could be held. */
export const LOCK_TRY: u32 = 1;
export const LOCK_TEST: u32 = 2;

/** LockMessage.kind */
export const SAY_LOCK: u32 = 1;
export const SAY_LOCK_GRANT: u32 = 2;
export const SAY_LOCK_REFUSED: u32 = 3;
export const SAY_LOCK_RECALL: u32 = 4;
export const SAY_LOCK_RELEASED: u32 = 5;
export const SAY_LOCK_DENIED: u32 = 6;
export const SAY_LOCK_CANCEL: u32 = 7;
export const SAY_LOCK_WAITS: u32 = 8;
export const SAY_LOCK_SEARCH: u32 = 9;
export const SAY_LOCK_FOLLOW: u32 = 10;

@unmanaged
export class LockSpace {
  self: u32 = 0;
  home: u32 = 0;
  fifo: u32 = 0;
  frozen: u32 = 0;
  /** Pieces: what this machine may lock, and what its threads have locked. */
  rights: usize = 0;
  held: usize = 0;
  /** LockRequests: of threads here, in the order in which they came; recalls that held locks are in the way of. */
  wanted: usize = 0;
  recalls: usize = 0;
  /** At the home. Pieces: all machines' rights. LockRequests: who waits, in order; recalls that are not answered. */
  grants: usize = 0;
  queue: usize = 0;
  asked: usize = 0;
  clock: u32 = 0;
  /** Of this machine's requests. */
  ids: u32 = 0;
  /** This machine's clock of edges (lock-circles.ts), one for all spaces; 0: nobody looks for circles here. */
  timeAt: usize = 0;
  /** What is to be said, in order, to this machine itself as well; requests that are over. */
  out: usize = 0;
  done: usize = 0;
}

@unmanaged
export class LockRequest {
  next: usize = 0;
  state: u32 = 0;
  machine: u32 = 0;
  /** The transaction; of a recall, its number. */
  id: u32 = 0;
  flags: u32 = 0;
  /** Who waits for it; at the home, of a recall: the id of the request that it is for, whose machine is `owner`. */
  client: usize = 0;
  owner: u64 = 0;
  // lock-circles.ts. Of a recall, the process that it waits for, and its stamp; of a request, the stamp and machine of the last search.
  waitsFor: u64 = 0;
  stamp: u32 = 0;
  searcher: u32 = 0;
  process: u32 = 0;
  /** Wanted. */
  pieces: usize = 0;
  /** The lock that was in its way; 0 = none. */
  obstacle: usize = 0;
}

@unmanaged
export class LockMessage {
  next: usize = 0;
  kind: u32 = 0;
  to: u32 = 0;
  id: u32 = 0;
  flags: u32 = 0;
  pieces: usize = 0;
}

export function headOf(space: LockSpace, field: usize): usize {
  return changetype<usize>(space) + field;
}
function rightsOf(space: LockSpace): usize {
  return headOf(space, offsetof<LockSpace>("rights"));
}
function heldOf(space: LockSpace): usize {
  return headOf(space, offsetof<LockSpace>("held"));
}
function wantedOf(space: LockSpace): usize {
  return headOf(space, offsetof<LockSpace>("wanted"));
}
export function piecesOf(request: LockRequest): usize {
  return changetype<usize>(request) + offsetof<LockRequest>("pieces");
}

/** Behind all others of that list. */
export function append(head: usize, node: usize): void {
  let link = head;
  while (load<usize>(link) != 0) link = load<usize>(link);
  store<usize>(node, 0);
  store<usize>(link, node);
}

/** A LockRequest and its pieces; taken off its list before. */
export function requestFree(request: LockRequest): void {
  listFree(piecesOf(request));
  if (request.obstacle != 0) nodeFree(request.obstacle);
  nodeFree(changetype<usize>(request));
}

/** `pieces`: the message has copies of them. */
export function say(space: LockSpace, kind: u32, to: u32, id: u32, flags: u32, pieces: usize): void {
  const message = changetype<LockMessage>(nodeTake());
  message.kind = kind;
  message.to = to;
  message.id = id;
  message.flags = flags;
  const copies = changetype<usize>(message) + offsetof<LockMessage>("pieces");
  listCopy(copies, pieces);
  if (kind == SAY_LOCK || kind == SAY_LOCK_RECALL) {
    for (let at = load<usize>(copies); at != 0; at = load<usize>(at))
      changetype<Piece>(at).number = circleTime(space);
  }
  append(headOf(space, offsetof<LockSpace>("out")), changetype<usize>(message));
}

// --- What threads want ---

/** Add the pieces with lockPiece(), then lockWant(). */
export function lockRequest(client: usize, owner: u64, process: u32, flags: u32): LockRequest {
  const request = changetype<LockRequest>(nodeTake());
  request.client = client;
  request.owner = owner;
  request.process = process;
  request.flags = flags;
  return request;
}

/** A later piece counts where two overlap. */
export function lockPiece(request: LockRequest, first: u64, last: u64, mode: u32): void {
  const head = piecesOf(request);
  lower(head, 0, 0, first, last, 0, 0);
  pieceAdd(head, first, last, mode, 0, 0, 0);
  listTidy(head);
}

/** It will be in space.done, with or without an obstacle. */
export function lockWant(space: LockSpace, request: LockRequest): void {
  request.machine = space.self;
  append(wantedOf(space), changetype<usize>(request));
  lockAdvance(space);
}

/** What the owner holds of [first, last] is free. */
export function lockRelease(space: LockSpace, owner: u64, first: u64, last: u64): void {
  if (lower(heldOf(space), space.self, owner, first, last, 0, 0)) lockAdvance(space);
}

/** The client's request, if it is not over, is over; false: it was. */
export function lockCancel(space: LockSpace, client: usize): bool {
  let link = wantedOf(space);
  while (load<usize>(link) != 0) {
    const request = changetype<LockRequest>(load<usize>(link));
    if (request.client != client) {
      link = changetype<usize>(request);
      continue;
    }
    if (lockNext(request.state, LOCK_CANCEL) & DO_TELL) {
      say(space, SAY_LOCK_CANCEL, space.home, request.id, 0, 0);
    }
    store<usize>(link, request.next);
    requestFree(request);
    lockAdvance(space);
    return true;
  }
  return false;
}

/** Everything that can go on here does. After every event. */
export function lockAdvance(space: LockSpace): void {
  let again = true;
  while (again) {
    again = false;
    let link = wantedOf(space);
    while (load<usize>(link) != 0) {
      const request = changetype<LockRequest>(load<usize>(link));
      if (request.state == LOCK_ASKED || !step(space, request)) link = changetype<usize>(request);
      else {
        again = true;
        if (request.state == LOCK_ASKED) continue;
        store<usize>(link, request.next);
        append(headOf(space, offsetof<LockSpace>("done")), changetype<usize>(request));
      }
    }
    if (recallsGoOn(space)) again = true;
  }
}

/** True: its state has changed. */
function step(space: LockSpace, request: LockRequest): bool {
  const obstacle = heldInTheWay(space, request);
  if (changetype<usize>(obstacle) != 0) {
    if (!(request.flags & LOCK_TRY)) return false;
    return meet(space, request, LOCK_OBSTACLE, obstacle);
  }
  if (space.fifo != 0 && !(request.flags & LOCK_TRY) && earlierInTheWay(space, request)) return false;
  // What the home has granted goes before what it recalls since.
  if (hasRights(space, request) && (request.state == LOCK_GRANTED || !isRecalled(space, request))) {
    return meet(space, request, LOCK_FREE, obstacle);
  }
  return space.frozen == 0 && meet(space, request, LOCK_LACKS, obstacle);
}

function meet(space: LockSpace, request: LockRequest, event: u32, obstacle: Piece): bool {
  const next = lockNext(request.state, event);
  request.state = next & 15;
  if (next & DO_HOLD) hold(space, request);
  if (next & DO_ASK) {
    request.id = ++space.ids;
    say(space, SAY_LOCK, space.home, request.id, request.flags, request.pieces);
  }
  if (next & DO_DENY) {
    pieceAdd(
      changetype<usize>(request) + offsetof<LockRequest>("obstacle"),
      obstacle.first,
      obstacle.last,
      obstacle.mode,
      obstacle.machine,
      obstacle.number,
      0,
    );
  }
  return true;
}

function hold(space: LockSpace, request: LockRequest): void {
  if (request.flags & LOCK_TEST) return;
  for (let at = request.pieces; at != 0; at = load<usize>(at)) {
    const p = changetype<Piece>(at);
    lower(heldOf(space), space.self, request.owner, p.first, p.last, 0, 0);
    pieceAdd(heldOf(space), p.first, p.last, p.mode, space.self, request.process, request.owner);
  }
  listTidy(heldOf(space));
}

function heldInTheWay(space: LockSpace, request: LockRequest): Piece {
  for (let at = request.pieces; at != 0; at = load<usize>(at)) {
    const found = obstacleOf(heldOf(space), changetype<Piece>(at), space.self, request.owner);
    if (changetype<usize>(found) != 0) return found;
  }
  return changetype<Piece>(0);
}

/** Some piece of one stands against some piece of the other. */
export function requestsConflict(a: LockRequest, b: LockRequest): bool {
  for (let at = a.pieces; at != 0; at = load<usize>(at)) {
    for (let with_ = b.pieces; with_ != 0; with_ = load<usize>(with_)) {
      if (conflicts(changetype<Piece>(at), changetype<Piece>(with_))) return true;
    }
  }
  return false;
}

function earlierInTheWay(space: LockSpace, request: LockRequest): bool {
  for (let at = space.wanted; at != changetype<usize>(request); at = load<usize>(at)) {
    if (requestsConflict(changetype<LockRequest>(at), request)) return true;
  }
  return false;
}

function hasRights(space: LockSpace, request: LockRequest): bool {
  for (let at = request.pieces; at != 0; at = load<usize>(at)) {
    if (!isCovered(rightsOf(space), changetype<Piece>(at), space.self)) return false;
  }
  return true;
}

function isRecalled(space: LockSpace, request: LockRequest): bool {
  for (let at = space.recalls; at != 0; at = load<usize>(at)) {
    if (requestsConflict(changetype<LockRequest>(at), request)) return true;
  }
  return false;
}

/** Recalls that no held lock is in the way of any more are answered. True: some were. */
function recallsGoOn(space: LockSpace): bool {
  let answered = false;
  let link = headOf(space, offsetof<LockSpace>("recalls"));
  while (load<usize>(link) != 0) {
    const recall = changetype<LockRequest>(load<usize>(link));
    const obstacle = heldInTheWay(space, recall);
    const inTheWay = changetype<usize>(obstacle) != 0;
    if (inTheWay && !(recall.flags & LOCK_TRY)) {
      circleEdge(space, recall);
      link = changetype<usize>(recall);
      continue;
    }
    answered = true;
    store<usize>(link, recall.next);
    if (inTheWay) sayObstacle(space, SAY_LOCK_DENIED, space.home, recall.id, 0, obstacle);
    else {
      for (let at = recall.pieces; at != 0; at = load<usize>(at)) {
        const p = changetype<Piece>(at);
        lower(rightsOf(space), space.self, 0, p.first, p.last, leftBeside(p), 0);
      }
      say(space, SAY_LOCK_RELEASED, space.home, recall.id, 0, recall.pieces);
    }
    requestFree(recall);
  }
  return answered;
}

/** The mode that others may have beside a piece. */
export function leftBeside(piece: Piece): u32 {
  return piece.mode == 2 ? 0 : 1;
}

/** The one lock that is in the way, and nothing else of the list that it is in. */
export function sayObstacle(
  space: LockSpace,
  kind: u32,
  to: u32,
  id: u32,
  flags: u32,
  obstacle: Piece,
): void {
  const next = obstacle.next;
  obstacle.next = 0;
  say(space, kind, to, id, flags, changetype<usize>(obstacle));
  obstacle.next = next;
}

// --- What the home says. The lists of pieces are only read ---

function requestOf(space: LockSpace, id: u32): LockRequest {
  let at = space.wanted;
  while (at != 0) {
    const request = changetype<LockRequest>(at);
    if (request.state == LOCK_ASKED && request.id == id) return request;
    at = request.next;
  }
  return changetype<LockRequest>(0);
}

/** To a machine: GRANT, REFUSED, RECALL, FOLLOW. */
export function lockSaid(space: LockSpace, kind: u32, id: u32, flags: u32, pieces: usize): void {
  if (space.frozen != 0) return;
  if (kind == SAY_LOCK_FOLLOW) {
    circleFollow(space, id, changetype<Piece>(pieces));
    return;
  }
  if (kind == SAY_LOCK_RECALL) {
    circleHeard(space, changetype<Piece>(pieces).number);
    for (let at = space.recalls; at != 0; at = load<usize>(at)) {
      if (changetype<LockRequest>(at).id == id) return;
    }
    const recall = lockRequest(0, 0, 0, flags);
    recall.id = id;
    listCopy(piecesOf(recall), pieces);
    append(headOf(space, offsetof<LockSpace>("recalls")), changetype<usize>(recall));
    lockAdvance(space);
    return;
  }
  const request = requestOf(space, id);
  if (changetype<usize>(request) == 0) return;
  if (kind == SAY_LOCK_GRANT) {
    for (let at = pieces; at != 0; at = load<usize>(at)) {
      const p = changetype<Piece>(at);
      raise(rightsOf(space), space.self, 0, p.first, p.last, p.mode, p.number);
    }
    request.state = lockNext(request.state, LOCK_GRANT);
  } else {
    request.flags |= flags & LOCK_CIRCLE;
    meet(space, request, LOCK_REFUSED, changetype<Piece>(pieces));
    let link = wantedOf(space);
    while (load<usize>(link) != changetype<usize>(request)) link = load<usize>(link);
    store<usize>(link, request.next);
    append(headOf(space, offsetof<LockSpace>("done")), changetype<usize>(request));
  }
  lockAdvance(space);
}

// --- The home moves ---

/** Of the rights only those stay that held locks stand on; the new home is told them. Requests are made anew afterwards. */
export function lockFreeze(space: LockSpace): void {
  if (space.frozen == 0) {
    listFree(rightsOf(space));
    for (let at = space.held; at != 0; at = load<usize>(at)) {
      const p = changetype<Piece>(at);
      raise(rightsOf(space), space.self, 0, p.first, p.last, p.mode, 0);
    }
    for (let at = space.wanted; at != 0; at = load<usize>(at)) {
      const request = changetype<LockRequest>(at);
      request.state = lockNext(request.state, LOCK_FROZEN) & 15;
    }
  }
  space.frozen = 1;
  requestsFree(headOf(space, offsetof<LockSpace>("recalls")));
  requestsFree(headOf(space, offsetof<LockSpace>("queue")));
  requestsFree(headOf(space, offsetof<LockSpace>("asked")));
  listFree(headOf(space, offsetof<LockSpace>("grants")));
  space.clock = 0;
}

export function requestsFree(head: usize): void {
  while (load<usize>(head) != 0) {
    const request = changetype<LockRequest>(load<usize>(head));
    store<usize>(head, request.next);
    requestFree(request);
  }
}

export function lockThaw(space: LockSpace, home: u32): void {
  space.frozen = 0;
  space.home = home;
  lockAdvance(space);
}

/** Nobody waits any more: what is wanted is over, with LOCK_WANTED as its state. */
export function lockFail(space: LockSpace): void {
  while (space.wanted != 0) {
    const request = changetype<LockRequest>(space.wanted);
    space.wanted = request.next;
    if (request.state == LOCK_ASKED) say(space, SAY_LOCK_CANCEL, space.home, request.id, 0, 0);
    request.state = LOCK_WANTED;
    append(headOf(space, offsetof<LockSpace>("done")), changetype<usize>(request));
  }
}
