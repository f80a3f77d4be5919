// The range locks of shared objects (lock-space.ts) on this machine: what threads ask, what other machines say, and what becomes of
// locks when machines die or an object's home moves. Core 0 only. An object has three spaces of locks, which know nothing of each other.
import { ASYNCHRONOUS, portReply } from "../lwkt/port";
import { queueLock, queueUnlock, WaitQueue, wakeAll } from "../lwkt/wait";
import { allocate, release } from "../memory/slab";
import { clusterSelf, messageEnd, messageTo } from "../syslink/cluster";
import {
  COMMAND_HOME_LOCKS,
  COMMAND_LOCK,
  COMMAND_LOCK_CANCEL,
  COMMAND_LOCK_FOLLOW,
  COMMAND_LOCK_RECALL,
  COMMAND_LOCK_SEARCH,
  ITEM_ERROR,
  ITEM_LOCKS,
  ITEM_SIZE,
} from "../syslink/commands";
import { itemData, itemDataBytes, itemFind, itemPut, MessageHeader, RESPONSE } from "../syslink/message";
import { Client } from "./client";
import { circleWaits, LOCK_CIRCLE } from "./lock-circles";
import { lockDied, lockHandedIn, lockHomeSaid } from "./lock-home";
import {
  isCovered,
  LOCK_LAST,
  listFree,
  nodeFree,
  nodesFrom,
  Piece,
  pieceAdd,
  SHARED_LOCK,
} from "./lock-pieces";
import {
  headOf,
  LOCK_TEST,
  LOCK_TRY,
  LockMessage,
  LockRequest,
  LockSpace,
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
  SAY_LOCK,
  SAY_LOCK_CANCEL,
  SAY_LOCK_DENIED,
  SAY_LOCK_FOLLOW,
  SAY_LOCK_GRANT,
  SAY_LOCK_RECALL,
  SAY_LOCK_REFUSED,
  SAY_LOCK_RELEASED,
  SAY_LOCK_SEARCH,
  SAY_LOCK_WAITS,
} from "./lock-space";
import { LOCK_HELD } from "./lock-table";
import { objectById, objectsFirst } from "./object-list";
import { SharedObject } from "./pager";

/** The spaces: read() and write(); fcntl(); flock(). */
export const LOCKS_IO: u32 = 0;
export const LOCKS_FCNTL: u32 = 1;
export const LOCKS_FLOCK: u32 = 2;
const SPACES: u32 = 3;

export const LOCK_RANGES_MAX: u32 = 16;
/** Of a range in a call and in a message: first[8] last[8] mode[4] number[4]. */
export const LOCK_RANGE_BYTES: usize = 24;
const MESSAGE_BYTES: u32 = 16 + 8 + LOCK_RANGES_MAX * 24 + 16 + 8;

const EIO: i64 = 5;
const EAGAIN: i64 = 11;
const EDEADLK: i64 = 35;

/** What a thread asks of a space; its client has it at `lock`. */
@unmanaged
export class LockCall {
  space: u32 = 0;
  /** LOCK_TRY, LOCK_TEST. */
  flags: u32 = 0;
  owner: u64 = 0;
  process: u32 = 0;
  count: u32 = 0;
  /** The thread does not wait in its call: client.woken says when it is over, `result` how. */
  asleep: u32 = 0;
  result: i64 = 0;
  /** The lock that was in the way, of -EAGAIN. */
  first: u64 = 0;
  last: u64 = 0;
  mode: u32 = 0;
  holder: u32 = 0;
}
/** A LockCall and its ranges behind it. */
export const LOCK_CALL_BYTES: usize = 72 + 16 * 24;
const RANGES_AT: usize = 72;

export function lockCallRange(call: LockCall, index: u32): usize {
  return changetype<usize>(call) + RANGES_AT + <usize>index * LOCK_RANGE_BYTES;
}

/** Of what waits for what on this machine. */
const circleClock: usize = memory.data(4, 4);

function pool(bytes: usize): usize {
  return allocate(bytes);
}

/** Made when first needed. */
function spaceOf(object: SharedObject, which: u32): LockSpace {
  if (object.locks == 0) {
    nodesFrom(pool.index);
    object.locks = allocate(SPACES * offsetof<LockSpace>());
    for (let i: u32 = 0; i < SPACES; i++) {
      const space = changetype<LockSpace>(object.locks + <usize>i * offsetof<LockSpace>());
      space.self = clusterSelf();
      space.home = object.home;
      space.frozen = u32(object.moving != 0);
      space.fifo = u32(i == LOCKS_IO);
      if (i == LOCKS_FCNTL) space.timeAt = circleClock;
    }
  }
  return changetype<LockSpace>(object.locks + <usize>which * offsetof<LockSpace>());
}

// --- What threads ask ---

/** ASK_LOCK */
export function locksAsked(client: Client): i64 {
  const object = changetype<SharedObject>(client.object);
  const call = changetype<LockCall>(client.lock);
  if (object.dead != 0) return -EIO;
  const space = spaceOf(object, call.space);
  const request = lockRequest(changetype<usize>(client), call.owner, call.process, call.flags);
  for (let i: u32 = 0; i < call.count; i++) {
    const range = lockCallRange(call, i);
    lockPiece(request, load<u64>(range), load<u64>(range, 8), load<u32>(range, 16));
  }
  client.woken = 0;
  lockWant(space, request);
  drain(object, call.space);
  return call.asleep != 0 ? 0 : ASYNCHRONOUS;
}

/** ASK_UNLOCK: the owner's locks of the first range. */
export function locksReleased(client: Client): i64 {
  const object = changetype<SharedObject>(client.object);
  const call = changetype<LockCall>(client.lock);
  if (object.locks == 0) return 0;
  const range = lockCallRange(call, 0);
  lockRelease(spaceOf(object, call.space), call.owner, load<u64>(range), load<u64>(range, 8));
  drain(object, call.space);
  return 0;
}

/** ASK_LOCK_CANCEL, of who is asleep: 1 = he waits no more; 0 = it was over before. */
export function locksCancelled(client: Client): i64 {
  const object = changetype<SharedObject>(client.object);
  const call = changetype<LockCall>(client.lock);
  const was = lockCancel(spaceOf(object, call.space), changetype<usize>(client));
  drain(object, call.space);
  return i64(was);
}

/**
 * The size that this machine knows is right for who may look at bytes up to `end`: nobody can change what lies below it, or any of
 * it, without taking a right from this machine; and with every right comes the size.
 */
export function locksKnowSize(object: SharedObject, end: u64): bool {
  if (object.size >= end) return true;
  if (object.locks == 0 || object.moving != 0) return false;
  const space = spaceOf(object, LOCKS_IO);
  tail.first = object.size;
  tail.last = LOCK_LAST;
  tail.mode = SHARED_LOCK;
  return isCovered(headOf(space, offsetof<LockSpace>("rights")), tail, clusterSelf());
}
const tail = changetype<Piece>(memory.data(offsetof<Piece>(), 8));

/** What the space has to say and who is to be told. */
function drain(object: SharedObject, which: u32): void {
  const space = spaceOf(object, which);
  while (space.out != 0 || space.done != 0) {
    if (space.done != 0) {
      const request = changetype<LockRequest>(space.done);
      space.done = request.next;
      over(request);
      requestFree(request);
      continue;
    }
    const message = changetype<LockMessage>(space.out);
    space.out = message.next;
    if (message.to == clusterSelf())
      deliver(space, message.to, message.kind, message.id, message.flags, message.pieces);
    else send(object, which, message);
    listFree(changetype<usize>(message) + offsetof<LockMessage>("pieces"));
    nodeFree(changetype<usize>(message));
  }
}

function over(request: LockRequest): void {
  const client = changetype<Client>(request.client);
  const call = changetype<LockCall>(client.lock);
  let result: i64 = request.state == LOCK_HELD ? 0 : -EIO;
  if (request.obstacle != 0) {
    const obstacle = changetype<Piece>(request.obstacle);
    result = request.flags & LOCK_CIRCLE ? -EDEADLK : -EAGAIN;
    call.first = obstacle.first;
    call.last = obstacle.last;
    call.mode = obstacle.mode;
    call.holder = obstacle.number;
  }
  if (call.asleep == 0) {
    portReply(client, result);
    return;
  }
  const queue = changetype<WaitQueue>(changetype<usize>(client) + offsetof<Client>("queueLock"));
  queueLock(queue);
  call.result = result;
  client.woken = 1;
  queueUnlock(queue);
  wakeAll(queue);
}

// --- Messages ---

function commandOf(kind: u32): u32 {
  if (kind == SAY_LOCK) return COMMAND_LOCK;
  if (kind == SAY_LOCK_GRANT || kind == SAY_LOCK_REFUSED) return COMMAND_LOCK | RESPONSE;
  if (kind == SAY_LOCK_RECALL) return COMMAND_LOCK_RECALL;
  if (kind == SAY_LOCK_RELEASED || kind == SAY_LOCK_DENIED) return COMMAND_LOCK_RECALL | RESPONSE;
  if (kind == SAY_LOCK_SEARCH) return COMMAND_LOCK_SEARCH;
  if (kind == SAY_LOCK_FOLLOW) return COMMAND_LOCK_FOLLOW;
  assert(kind == SAY_LOCK_CANCEL, "a message of range locks of no kind");
  return COMMAND_LOCK_CANCEL;
}

function kindOf(command: u32, failed: bool): u32 {
  if (command == COMMAND_LOCK) return SAY_LOCK;
  if (command == (COMMAND_LOCK | RESPONSE)) return failed ? SAY_LOCK_REFUSED : SAY_LOCK_GRANT;
  if (command == COMMAND_LOCK_RECALL) return SAY_LOCK_RECALL;
  if (command == COMMAND_LOCK_CANCEL) return SAY_LOCK_CANCEL;
  if (command == COMMAND_LOCK_SEARCH) return SAY_LOCK_SEARCH;
  if (command == COMMAND_LOCK_FOLLOW) return SAY_LOCK_FOLLOW;
  return failed ? SAY_LOCK_DENIED : SAY_LOCK_RELEASED;
}

function send(object: SharedObject, which: u32, message: LockMessage): void {
  const writer = messageTo(message.to, MESSAGE_BYTES, object.id, message.id, commandOf(message.kind));
  let count: u32 = 0;
  for (let at = message.pieces; at != 0; at = load<usize>(at)) count++;
  let data = itemPut(writer, ITEM_LOCKS, which | (message.flags << 8), count * <u32>LOCK_RANGE_BYTES);
  for (let at = message.pieces; at != 0; at = load<usize>(at)) {
    putRange(data, changetype<Piece>(at));
    data += LOCK_RANGE_BYTES;
  }
  if (message.kind == SAY_LOCK_REFUSED || message.kind == SAY_LOCK_DENIED) {
    itemPut(writer, ITEM_ERROR, <u32>EAGAIN, 0);
  }
  if (message.kind == SAY_LOCK_GRANT) store<u64>(itemPut(writer, ITEM_SIZE, 0, 8), object.size);
  messageEnd();
}

function putRange(data: usize, p: Piece): void {
  store<u64>(data, p.first);
  store<u64>(data, p.last, 8);
  store<u32>(data, p.mode, 16);
  store<u32>(data, p.number, 20);
}

/** The ranges of a message as a list; only what makes sense. */
const ranges: usize = memory.data(16, 8);

/** False: its numbers make no sense. */
function readRanges(message: MessageHeader): bool {
  store<usize>(ranges, 0);
  const item = itemFind(message, ITEM_LOCKS);
  if ((item.aux & 255) >= SPACES || item.aux >> 8 > (LOCK_TRY | LOCK_TEST | LOCK_CIRCLE)) return false;
  const bytes = <usize>itemDataBytes(item);
  if (bytes % LOCK_RANGE_BYTES != 0) return false;
  for (let at: usize = 0; at < bytes; at += LOCK_RANGE_BYTES) {
    const data = itemData(item) + at;
    const mode = load<u32>(data, 16);
    if (load<u64>(data) > load<u64>(data, 8) || mode == 0 || mode > 2) {
      listFree(ranges);
      return false;
    }
    pieceAdd(ranges, load<u64>(data), load<u64>(data, 8), mode, 0, load<u32>(data, 20), 0);
  }
  return true;
}

/** Messages whose numbers make no sense. */
export let lockStrangers: u64 = 0;

export function lockMessage(from: u32, message: MessageHeader): void {
  const object = objectById(message.linkid);
  const command = <u32>message.command;
  nodesFrom(pool.index);
  if (changetype<usize>(object) == 0 || object.dead != 0 || !readRanges(message)) {
    lockStrangers++;
    return;
  }
  const item = itemFind(message, ITEM_LOCKS);
  const space = spaceOf(object, item.aux & 255);
  const kind = kindOf(command, changetype<usize>(itemFind(message, ITEM_ERROR)) != 0);
  const fromHome =
    kind == SAY_LOCK_GRANT || kind == SAY_LOCK_REFUSED || kind == SAY_LOCK_RECALL || kind == SAY_LOCK_FOLLOW;
  const obstacle = kind == SAY_LOCK_REFUSED || kind == SAY_LOCK_DENIED;
  const makesSense =
    kind == SAY_LOCK_CANCEL ||
    (load<usize>(ranges) != 0 && (!obstacle || load<usize>(load<usize>(ranges)) == 0));
  if (command == COMMAND_HOME_LOCKS) handedIn(object, space, from);
  else if (makesSense && (fromHome ? from == object.home : object.home == clusterSelf())) {
    const size = itemFind(message, ITEM_SIZE);
    if (kind == SAY_LOCK_GRANT && changetype<usize>(size) != 0 && object.moving == 0) {
      object.size = load<u64>(itemData(size));
    }
    deliver(space, from, kind, message.msgid, item.aux >> 8, load<usize>(ranges));
    drain(object, item.aux & 255);
  } else lockStrangers++;
  listFree(ranges);
}

function deliver(space: LockSpace, from: u32, kind: u32, id: u32, flags: u32, pieces: usize): void {
  if (kind == SAY_LOCK_WAITS) waitsEverywhere(changetype<Piece>(pieces));
  else if ((kind >= SAY_LOCK_GRANT && kind <= SAY_LOCK_RECALL) || kind == SAY_LOCK_FOLLOW)
    lockSaid(space, kind, id, flags, pieces);
  else lockHomeSaid(space, from, kind, id, flags, pieces);
}

/** A search goes on from what a process here waits for, in whatever file. */
function waitsEverywhere(search: Piece): void {
  for (let at = changetype<usize>(objectsFirst()); at != 0; at = changetype<SharedObject>(at).next) {
    const object = changetype<SharedObject>(at);
    if (object.locks == 0) continue;
    circleWaits(spaceOf(object, LOCKS_FCNTL), search);
    drain(object, LOCKS_FCNTL);
  }
}

// --- The home moves ---

export function locksFreeze(object: SharedObject): void {
  for (let i: u32 = 0; i < SPACES && object.locks != 0; i++) lockFreeze(spaceOf(object, i));
}

/** To the new home, which may be this machine: the rights that held locks stand on. */
export function locksHandIn(object: SharedObject): void {
  for (let i: u32 = 0; i < SPACES && object.locks != 0; i++) {
    const space = spaceOf(object, i);
    let at = space.rights;
    while (at != 0) {
      if (object.home == clusterSelf()) {
        const p = changetype<Piece>(at);
        lockHandedIn(space, clusterSelf(), p.first, p.last, p.mode);
        at = p.next;
        continue;
      }
      let count: u32 = 0;
      for (let next = at; next != 0 && count < LOCK_RANGES_MAX; next = load<usize>(next)) count++;
      const writer = messageTo(object.home, MESSAGE_BYTES, object.id, 0, COMMAND_HOME_LOCKS);
      let data = itemPut(writer, ITEM_LOCKS, i, count * <u32>LOCK_RANGE_BYTES);
      for (; count != 0; count--) {
        putRange(data, changetype<Piece>(at));
        data += LOCK_RANGE_BYTES;
        at = load<usize>(at);
      }
      messageEnd();
    }
  }
}

function handedIn(object: SharedObject, space: LockSpace, from: u32): void {
  if (object.moving == 0) return;
  for (let at = load<usize>(ranges); at != 0; at = load<usize>(at)) {
    const p = changetype<Piece>(at);
    lockHandedIn(space, from, p.first, p.last, p.mode);
  }
}

export function locksThaw(object: SharedObject): void {
  for (let i: u32 = 0; i < SPACES && object.locks != 0; i++) {
    lockThaw(spaceOf(object, i), object.home);
    drain(object, i);
  }
}

// --- Ends ---

/** Its locks are free; who waits for an object that dies with it is told so. */
export function locksMachineDied(machine: u32): void {
  for (let at = changetype<usize>(objectsFirst()); at != 0; at = changetype<SharedObject>(at).next) {
    const object = changetype<SharedObject>(at);
    if (object.locks == 0) continue;
    for (let i: u32 = 0; i < SPACES; i++) {
      if (object.dead != 0) lockFail(spaceOf(object, i));
      else if (object.home == clusterSelf() && object.moving == 0) lockDied(spaceOf(object, i), machine);
      drain(object, i);
    }
  }
}

/** Whoever waits is told that it is in vain. */
export function locksFail(): void {
  for (let at = changetype<usize>(objectsFirst()); at != 0; at = changetype<SharedObject>(at).next) {
    const object = changetype<SharedObject>(at);
    for (let i: u32 = 0; i < SPACES && object.locks != 0; i++) {
      lockFail(spaceOf(object, i));
      drain(object, i);
    }
  }
}

/** The object's record ends. */
export function locksDrop(object: SharedObject): void {
  for (let i: u32 = 0; i < SPACES && object.locks != 0; i++) {
    const space = spaceOf(object, i);
    assert(space.wanted == 0, "an object is dropped whose locks somebody waits for");
    lockFreeze(space);
    listFree(headOf(space, offsetof<LockSpace>("rights")));
    listFree(headOf(space, offsetof<LockSpace>("held")));
  }
  release(object.locks);
  object.locks = 0;
}
