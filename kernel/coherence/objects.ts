// What this machine's threads ask of shared objects, and what other machines say about them. The home of an object, which
// its name chooses, keeps the truth (object-list.ts); questions that concern it go there (questions.ts).
import { ASYNCHRONOUS, portReply } from "../lwkt/port";
import { framesToTake } from "../memory/reserve";
import {
  clusterMachines,
  clusterSelf,
  farewellBegin,
  isDead,
  messageEnd,
  messageTo,
} from "../syslink/cluster";
import {
  COMMAND_CLOSE,
  COMMAND_EXTEND,
  COMMAND_FUTEX_CANCEL,
  COMMAND_FUTEX_WAIT,
  COMMAND_FUTEX_WAKE,
  COMMAND_FUTEX_WOKEN,
  COMMAND_GONE,
  COMMAND_HOME_OBJECT,
  COMMAND_HOME_OWNER,
  COMMAND_JOIN,
  COMMAND_MIRROR,
  COMMAND_SIZE,
  COMMAND_TRUNCATE,
  COMMAND_WILL,
  DIRECTORY_LINKID,
  ITEM_ERROR,
  ITEM_FUTEX,
  ITEM_OBJECT,
  ITEM_SIZE,
} from "../syslink/commands";
import { letterAnswered, letterOut } from "../syslink/letter";
import { itemData, itemFind, itemPut, MessageHeader, REFERENCES, RESPONSE } from "../syslink/message";
import { answeredByName, askedByName, directoryMessage } from "./by-name";
import {
  ASK_ANSWER,
  ASK_CLAIM,
  ASK_CLOSE,
  ASK_COMMIT,
  ASK_CREATE,
  ASK_EXTEND,
  ASK_FAREWELL,
  ASK_FAULT,
  ASK_FRAMES,
  ASK_FUTEX_CANCEL,
  ASK_FUTEX_WAIT,
  ASK_FUTEX_WAKE,
  ASK_HOLD,
  ASK_JOIN,
  ASK_LETTER,
  ASK_LINK,
  ASK_LINKS,
  ASK_LOCK,
  ASK_LOCK_CANCEL,
  ASK_NEXT_PAGE,
  ASK_OPEN,
  ASK_RECALL,
  ASK_SET_SIZE,
  ASK_SIZE,
  ASK_TRUNCATE,
  ASK_UNHOLD,
  ASK_UNLINK,
  ASK_UNLOCK,
  ASK_UNMAP,
  Client,
  HOME_IS_HERE,
} from "./client";
import { commitAsked } from "./commits";
import { rangesClaim, rangesRecall } from "./grants";
import { homeHandedIn, homeOpened } from "./homes";
import { LOCK_LAST } from "./lock-pieces";
import { mirrorAnswered } from "./mirror-pages";
import {
  objectById,
  objectClose,
  objectCreate,
  objectForget,
  objectMake,
  objectName,
  objectsFirst,
  opensAt,
  perish,
  referenceDropped,
  referenceGiven,
} from "./object-list";
import { locksAsked, locksCancelled, locksKnowSize, locksReleased } from "./object-locks";
import { SharedObject } from "./pager";
import { pageAsked, pageNext, pageUnhold, pageUnmap } from "./pages";
import { begin, isByName, nextMsgid, pendingTake, questionsMachineDied } from "./questions";
import { frameAwaited } from "./relief";
import { remainsInherit } from "./remains";
import { futexAwake, futexCancel, futexesDied, futexWait, futexWake, futexWoken } from "./shared-futex";
import { mirrorCame } from "./shelves";
import { answerTruncate, truncateLater } from "./truncation";
import { willCame, willChanged } from "./wills";

const ENOENT: i64 = 2;
const EIO: i64 = 5;

/** ASK_CREATE */
function createNameless(client: Client): i64 {
  const object = objectCreate();
  object.size = client.size;
  referenceGiven(object.id, clusterSelf());
  object.references++;
  client.object = changetype<usize>(object);
  return 0;
}

// --- What this machine's threads ask ---

/** In a critical section of core 0. The result, or ASYNCHRONOUS: portReply() comes later. */
export function requestServe(client: Client, now: u64): i64 {
  const object = changetype<SharedObject>(client.object);
  switch (client.command) {
    case ASK_FAULT:
    case ASK_HOLD:
      return pageAsked(client);
    case ASK_FRAMES:
      return <u64>framesToTake() >= client.size ? 0 : frameAwaited(client);
    case ASK_UNHOLD:
      return pageUnhold(client);
    case ASK_OPEN:
    case ASK_UNLINK:
    case ASK_LINK:
      return askedByName(client);
    case ASK_CREATE:
      return createNameless(client);
    case ASK_JOIN:
      return join(client);
    case ASK_LETTER:
      return letterOut(client);
    case ASK_CLOSE:
      return objectClose(object);
    case ASK_SIZE:
      if (object.dead != 0) return -EIO;
      if (object.home == clusterSelf()) return sizeHere(client, object);
      return locksKnowSize(object, client.lockEnd != 0 ? client.lockEnd : LOCK_LAST)
        ? sizeHere(client, object)
        : ask(client, object, COMMAND_SIZE, 0);
    case ASK_LINKS:
      if (object.dead != 0) return -EIO;
      if (object.home != clusterSelf()) return ask(client, object, COMMAND_SIZE, 0);
      client.links = namesOf(object);
      return 0;
    case ASK_EXTEND:
      if (client.lockEnd >= client.size && object.size >= client.size) return 0;
      if (object.home != clusterSelf()) return ask(client, object, COMMAND_EXTEND, ITEM_SIZE);
      grow(object, client.size);
      return 0;
    case ASK_TRUNCATE:
      if (object.dead == 0 && object.home == clusterSelf()) return HOME_IS_HERE;
      return ask(client, object, COMMAND_TRUNCATE, ITEM_SIZE);
    case ASK_SET_SIZE:
      object.size = client.size;
      willChanged(object);
      return 0;
    case ASK_NEXT_PAGE:
      return pageNext(client);
    case ASK_UNMAP:
      return pageUnmap(client);
    case ASK_RECALL:
      return rangesRecall(client);
    case ASK_CLAIM:
      return rangesClaim(client);
    case ASK_ANSWER:
      return answerTruncate(client);
    case ASK_FUTEX_WAIT:
    case ASK_FUTEX_CANCEL:
    case ASK_FUTEX_WAKE:
      return futexAsked(client, object);
    case ASK_LOCK:
      return locksAsked(client);
    case ASK_UNLOCK:
      return locksReleased(client);
    case ASK_LOCK_CANCEL:
      return locksCancelled(client);
    case ASK_COMMIT:
      return commitAsked(client);
    case ASK_FAREWELL:
      return farewellBegin(client, now);
  }
  assert(false, "a client asks for nothing that there is");
  return -EIO;
}

function grow(object: SharedObject, size: u64): void {
  if (size <= object.size) return;
  object.size = size;
  willChanged(object);
}

/** An object that some machine here or there has open, by its id; ours from now on as well. */
function join(client: Client): i64 {
  const id = client.size;
  const home = <u32>id & 0xff;
  if (home == clusterSelf()) {
    const object = objectById(id);
    if (changetype<usize>(object) == 0) return -ENOENT;
    referenceGiven(id, home);
    object.references++;
    client.object = changetype<usize>(object);
    return 0;
  }
  if (home == 0 || home > clusterMachines() || isDead(home)) return -EIO;
  begin(client, home);
  messageTo(home, 16, id, client.msgid, COMMAND_JOIN);
  messageEnd();
  return ASYNCHRONOUS;
}

/** At the home: how many names lead to it. */
function namesOf(object: SharedObject): u32 {
  return object.links + u32(object.name != 0);
}

function sizeHere(client: Client, object: SharedObject): i64 {
  client.size = object.size;
  return 0;
}

/** A question about an object to its home, with client.size as `item` (0: without). */
function ask(client: Client, object: SharedObject, command: u32, item: u32): i64 {
  if (object.dead != 0) return -EIO;
  begin(client, object.home);
  const writer = messageTo(object.home, 16 + 16, object.id, client.msgid, command);
  if (item != 0) store<u64>(itemPut(writer, item, 0, 8), client.size);
  messageEnd();
  return ASYNCHRONOUS;
}

/** A futex question has ITEM_FUTEX: offset, and a count or the number of a wait. */
function futexAsked(client: Client, object: SharedObject): i64 {
  if (client.command == ASK_FUTEX_CANCEL) {
    futexAwake(client);
    if (client.woken != 0) return 0;
  }
  if (object.dead != 0) return -EIO;
  if (client.command == ASK_FUTEX_WAIT) {
    client.woken = 0;
    client.futexId = nextMsgid();
  }
  const aux = client.command == ASK_FUTEX_WAKE ? client.write : client.futexId;
  if (object.home == clusterSelf()) {
    if (client.command == ASK_FUTEX_WAIT) return futexWait(object, client.index, clusterSelf(), aux, client);
    if (client.command == ASK_FUTEX_CANCEL) return i64(futexCancel(object, clusterSelf(), aux));
    return i64(futexWake(object, client.index, aux));
  }
  begin(client, object.home);
  let command = COMMAND_FUTEX_WAKE;
  if (client.command == ASK_FUTEX_WAIT) {
    command = COMMAND_FUTEX_WAIT;
    futexWait(object, client.index, 0, aux, client); // only remembered: the home queues it
  } else if (client.command == ASK_FUTEX_CANCEL) command = COMMAND_FUTEX_CANCEL;
  const writer = messageTo(object.home, 16 + 16, object.id, client.msgid, command);
  store<u64>(itemPut(writer, ITEM_FUTEX, aux, 8), client.index);
  messageEnd();
  return ASYNCHRONOUS;
}

// --- What other machines say ---

export function objectMessage(from: u32, message: MessageHeader): void {
  const command = <u32>message.command;
  if (command == (COMMAND_MIRROR | RESPONSE)) {
    mirrorAnswered(from, message);
    return;
  }
  if (command & RESPONSE) {
    const client = pendingTake(from, message.msgid);
    if (changetype<usize>(client) != 0) answered(client, message);
    return;
  }
  if (message.linkid == DIRECTORY_LINKID) {
    directoryMessage(from, message, command);
    return;
  }
  if (command >= COMMAND_HOME_OBJECT && command <= COMMAND_HOME_OWNER) {
    homeHandedIn(from, message, command);
    return;
  }
  if (command == COMMAND_MIRROR) {
    mirrorCame(from, message);
    return;
  }
  if (command == COMMAND_WILL) {
    willCame(from, message);
    return;
  }
  const object = objectById(message.linkid);
  if (changetype<usize>(object) == 0) {
    // Gone, or of an earlier life of this machine: whoever waits for an answer is told so.
    if (command != COMMAND_CLOSE && command != COMMAND_GONE && command != COMMAND_FUTEX_WOKEN) {
      respond(from, message, 0, 0, u32(ENOENT));
    }
    return;
  }
  if (object.home == clusterSelf()) homeMessage(object, from, message, command);
  else if (from == object.home) memberMessage(object, message, command);
}

/** With `item` (0: none), whose data is one u64 and whose aux is `value` for a futex; or with an error. */
function respond(to: u32, message: MessageHeader, item: u32, value: u64, error: u32): void {
  const writer = messageTo(to, 16 + 16, message.linkid, message.msgid, <u32>message.command | RESPONSE);
  if (error != 0) itemPut(writer, ITEM_ERROR, error, 0);
  else if (item != 0) store<u64>(itemPut(writer, item, <u32>value, 8), value);
  messageEnd();
}

function homeMessage(object: SharedObject, from: u32, message: MessageHeader, command: u32): void {
  const sizeItem = itemFind(message, ITEM_SIZE);
  const size = changetype<usize>(sizeItem) != 0 ? load<u64>(itemData(sizeItem)) : 0;
  const futexItem = itemFind(message, ITEM_FUTEX);
  const offset = changetype<usize>(futexItem) != 0 ? load<u64>(itemData(futexItem)) : 0;
  switch (command) {
    case COMMAND_CLOSE:
      referenceDropped(object, from);
      break;
    case COMMAND_JOIN: {
      const writer = messageTo(from, 16 + 16 + 16, message.linkid, message.msgid, command | RESPONSE);
      store<u64>(itemPut(writer, ITEM_OBJECT | REFERENCES, 0, 8), object.id);
      store<u64>(itemPut(writer, ITEM_SIZE, 0, 8), object.size);
      messageEnd();
      break;
    }
    case COMMAND_SIZE:
      respondSize(from, message, object);
      break;
    case COMMAND_EXTEND:
      grow(object, size);
      respond(from, message, ITEM_SIZE, object.size, 0);
      break;
    case COMMAND_TRUNCATE:
      truncateLater(object, from, message.msgid, size);
      break;
    case COMMAND_FUTEX_WAIT:
      futexWait(object, offset, from, futexItem.aux, changetype<Client>(0));
      respond(from, message, 0, 0, 0);
      break;
    case COMMAND_FUTEX_CANCEL:
      respond(from, message, ITEM_FUTEX, <u64>u32(futexCancel(object, from, futexItem.aux)), 0);
      break;
    case COMMAND_FUTEX_WAKE:
      respond(from, message, ITEM_FUTEX, <u64>futexWake(object, offset, futexItem.aux), 0);
      break;
  }
}

function respondSize(to: u32, message: MessageHeader, object: SharedObject): void {
  const writer = messageTo(to, 16 + 16, message.linkid, message.msgid, COMMAND_SIZE | RESPONSE);
  store<u64>(itemPut(writer, ITEM_SIZE, namesOf(object), 8), object.size);
  messageEnd();
}

/** From the home. */
function memberMessage(object: SharedObject, message: MessageHeader, command: u32): void {
  if (command == COMMAND_FUTEX_WOKEN) {
    const item = itemFind(message, ITEM_FUTEX);
    futexWoken(object, item.aux);
  } else if (command == COMMAND_GONE && object.references == 0) objectForget(object);
}

function answered(client: Client, message: MessageHeader): void {
  if (client.command == ASK_LETTER) letterAnswered(client, message);
  if (isByName(client)) answeredByName(client, message);
  const error = itemFind(message, ITEM_ERROR);
  if (changetype<usize>(error) != 0) {
    portReply(client, -i64(error.aux));
    return;
  }
  const size = itemFind(message, ITEM_SIZE);
  if (changetype<usize>(size) != 0) {
    client.size = load<u64>(itemData(size));
    client.links = size.aux;
    // Should this machine be its home one day.
    if (client.command == ASK_SIZE || client.command == ASK_EXTEND || client.command == ASK_TRUNCATE)
      changetype<SharedObject>(client.object).size = client.size;
  }
  let result: i64 = 0;
  const futex = itemFind(message, ITEM_FUTEX);
  if (changetype<usize>(futex) != 0) result = i64(futex.aux);
  const id = itemFind(message, ITEM_OBJECT);
  if (changetype<usize>(id) != 0) {
    const linkid = load<u64>(itemData(id));
    let object = objectById(linkid);
    if (changetype<usize>(object) == 0) object = objectMake(linkid, client.machine);
    // Its home's heir has a record of it before anybody here opens it (wills.ts).
    if (object.references == 0) remainsInherit(object);
    object.references++;
    client.object = changetype<usize>(object);
    object.size = client.size;
    if (client.command == ASK_OPEN) objectName(object, client.name, client.nameBytes);
    if (client.command == ASK_OPEN) homeOpened(object);
  } else if ((client.command == ASK_OPEN && client.linkHash == 0) || client.command == ASK_JOIN)
    result = -EIO;
  portReply(client, result);
}

/** LOSTLINK: what was asked of the dead machine fails; what it had open is closed; what it was the home of is dead. */
export function objectsMachineDied(machine: u32): void {
  questionsMachineDied(machine, -EIO);
  futexesDied(machine);
  let at = changetype<usize>(objectsFirst());
  while (at != 0) {
    const object = changetype<SharedObject>(at);
    at = object.next;
    if (object.dead != 0 || object.moving != 0 || (object.home == machine && object.hash != 0)) continue;
    if (object.home == clusterSelf()) {
      store<u32>(opensAt(object, machine), 0);
      perish(object);
    } else if (object.home == machine) {
      object.dead = 1;
      if (object.references == 0) objectForget(object);
    }
  }
}
