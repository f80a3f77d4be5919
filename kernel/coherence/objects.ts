// Shared objects: their names, sizes and ends. The home of an object, which its name chooses, keeps the truth; every
// machine that has opened it keeps a record, by which its pages are found. And the questions of this machine's
// threads: those that concern the home go there as SYSLINK transactions, which end with its answer or with its death.
//
// An object lives until its name is removed and no machine has it open. Its id carries the home's number and life, so
// that an id from before a reboot names nothing (promise 11).
import { criticalEnter, criticalExit } from "../lwkt/critical";
import { ASYNCHRONOUS, Message, Port, portCreate, portReply, portSend, portWait } from "../lwkt/port";
import { PRIORITY_KERNEL, threadCreate } from "../lwkt/thread";
import { allocate, release } from "../memory/slab";
import {
  clusterEpoch,
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
  COMMAND_OPEN,
  COMMAND_SIZE,
  COMMAND_TRUNCATE,
  COMMAND_UNLINK,
  DIRECTORY_LINKID,
  ITEM_ERROR,
  ITEM_FUTEX,
  ITEM_NAME,
  ITEM_OBJECT,
  ITEM_SIZE,
} from "../syslink/commands";
import { letterAnswered, letterOut } from "../syslink/letter";
import {
  itemData,
  itemDataBytes,
  itemFind,
  itemPut,
  MessageHeader,
  REFERENCES,
  RESPONSE,
} from "../syslink/message";
import {
  ASK_ANSWER,
  ASK_CLOSE,
  ASK_CREATE,
  ASK_EXTEND,
  ASK_FAREWELL,
  ASK_FAULT,
  ASK_FUTEX_CANCEL,
  ASK_FUTEX_WAIT,
  ASK_FUTEX_WAKE,
  ASK_HOLD,
  ASK_JOIN,
  ASK_LETTER,
  ASK_NEXT_PAGE,
  ASK_OPEN,
  ASK_RECALL,
  ASK_SET_SIZE,
  ASK_SIZE,
  ASK_TRUNCATE,
  ASK_UNHOLD,
  ASK_UNLINK,
  ASK_UNMAP,
  Client,
} from "./client";
import { objectRangesCreate, objectRangesDrop, rangesRecall } from "./grants";
import { homeHandedIn, homeOf, homesMove, nameHash } from "./homes";
import { SharedObject, truncateHere } from "./pager";
import { objectPagesDrop, pageAsked, pageNext, pageUnhold, pageUnmap } from "./pages";
import { futexAwake, futexCancel, futexesDied, futexWait, futexWake, futexWoken } from "./shared-futex";

const ENOENT: i64 = 2;
const EIO: i64 = 5;
const ETIMEDOUT: i64 = 110;

/** All records, linked by next. */
let objects: usize = 0;
let identities: u64 = 0;
let msgids: u32 = 0;
/** Clients whose question is under way, linked by nextPending. */
let pending: usize = 0;

export function objectById(id: u64): SharedObject {
  let at = objects;
  while (at != 0 && changetype<SharedObject>(at).id != id) at = changetype<SharedObject>(at).next;
  return changetype<SharedObject>(at);
}

/** The first of all records; the others follow by next. */
export function objectsFirst(): SharedObject {
  return changetype<SharedObject>(objects);
}

export function objectMake(id: u64, home: u32): SharedObject {
  const object = changetype<SharedObject>(allocate(offsetof<SharedObject>()));
  object.id = id;
  object.home = home;
  object.next = objects;
  objects = changetype<usize>(object);
  objectRangesCreate(object);
  return object;
}

// --- At the home ---

/** The object of that name, made if wanted; 0 = there is none. */
function directoryFind(name: usize, bytes: u32, make: bool): SharedObject {
  let at = objects;
  while (at != 0) {
    const object = changetype<SharedObject>(at);
    const mine = object.home == clusterSelf() && object.dead == 0;
    if (
      mine &&
      object.name != 0 &&
      object.nameBytes == bytes &&
      memory.compare(object.name, name, bytes) == 0
    ) {
      return object;
    }
    at = object.next;
  }
  if (!make) return changetype<SharedObject>(0);
  const object = createHere();
  nameIt(object, name, bytes);
  return object;
}

/** Every machine that opens it by name knows the name: any of them may be its home some day. */
function nameIt(object: SharedObject, name: usize, bytes: u32): void {
  object.hash = nameHash(name, bytes);
  if (object.name != 0) return;
  object.name = allocate(bytes);
  object.nameBytes = bytes;
  memory.copy(object.name, name, bytes);
}

function createHere(): SharedObject {
  if (identities == 0) identities = (clusterEpoch() << 16) & 0x00ff_ffff_ffff_ff00;
  identities += 0x100;
  const object = objectMake(identities | <u64>clusterSelf(), clusterSelf());
  object.opens = allocate(clusterMachines() << 2);
  return object;
}

/** ASK_CREATE */
function createNameless(client: Client): i64 {
  const object = createHere();
  object.size = client.size;
  referenceGiven(object.id, clusterSelf());
  object.references++;
  client.object = changetype<usize>(object);
  return 0;
}

function opensAt(object: SharedObject, machine: u32): usize {
  return object.opens + ((machine - 1) << 2);
}

/** A linkid went to a machine in some message: that machine has the object open once more. */
export function referenceGiven(linkid: u64, machine: usize): void {
  const object = objectById(linkid);
  assert(changetype<usize>(object) != 0 && object.opens != 0, "a linkid is given away that is not ours");
  const at = opensAt(object, <u32>machine);
  store<u32>(at, load<u32>(at) + 1);
}

function referenceDropped(object: SharedObject, machine: u32): void {
  if (object.opens == 0) return;
  const at = opensAt(object, machine);
  if (load<u32>(at) != 0) store<u32>(at, load<u32>(at) - 1);
  perish(object);
}

/** Nameless and open nowhere: it ends, here and wherever its pages still are. */
export function perish(object: SharedObject): void {
  if (object.name != 0) return;
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (load<u32>(opensAt(object, machine)) != 0) return;
  }
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine == clusterSelf() || isDead(machine)) continue;
    messageTo(machine, 16, object.id, 0, COMMAND_GONE);
    messageEnd();
  }
  forget(object);
}

/** The record and its pages. */
function forget(object: SharedObject): void {
  objectPagesDrop(object);
  if (objects == changetype<usize>(object)) objects = object.next;
  else {
    let at = changetype<SharedObject>(objects);
    while (at.next != changetype<usize>(object)) at = changetype<SharedObject>(at.next);
    at.next = object.next;
  }
  release(object.name);
  release(object.opens);
  objectRangesDrop(object);
  release(changetype<usize>(object));
}

function unlink(name: usize, bytes: u32): i64 {
  const object = directoryFind(name, bytes, false);
  if (changetype<usize>(object) == 0) return -ENOENT;
  release(object.name);
  object.name = 0;
  object.nameBytes = 0;
  perish(object);
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
    case ASK_UNHOLD:
      return pageUnhold(client);
    case ASK_OPEN:
      return open(client);
    case ASK_CREATE:
      return createNameless(client);
    case ASK_JOIN:
      return join(client);
    case ASK_LETTER:
      return letterOut(client);
    case ASK_CLOSE:
      return close(object);
    case ASK_UNLINK:
      return unlinkAsked(client);
    case ASK_SIZE:
      if (object.dead != 0) return -EIO;
      return object.home == clusterSelf() ? sizeHere(client, object) : ask(client, object, COMMAND_SIZE, 0);
    case ASK_EXTEND:
      if (object.home != clusterSelf()) return ask(client, object, COMMAND_EXTEND, ITEM_SIZE);
      object.size = max<u64>(object.size, client.size);
      return 0;
    case ASK_TRUNCATE:
      return ask(client, object, COMMAND_TRUNCATE, ITEM_SIZE);
    case ASK_SET_SIZE:
      object.size = client.size;
      return 0;
    case ASK_NEXT_PAGE:
      return pageNext(client);
    case ASK_UNMAP:
      return pageUnmap(client);
    case ASK_RECALL:
      return rangesRecall(client);
    case ASK_ANSWER:
      return answerTruncate(client);
    case ASK_FUTEX_WAIT:
    case ASK_FUTEX_CANCEL:
    case ASK_FUTEX_WAKE:
      return futexAsked(client, object);
    case ASK_FAREWELL:
      return farewellBegin(client, now);
  }
  assert(false, "a client asks for nothing that there is");
  return -EIO;
}

function open(client: Client): i64 {
  const home = homeOf(nameHash(client.name, client.nameBytes));
  if (home != clusterSelf()) {
    if (isDead(home)) return -EIO;
    begin(client, home);
    const writer = messageTo(home, 16 + 8 + 256, DIRECTORY_LINKID, client.msgid, COMMAND_OPEN);
    memory.copy(itemPut(writer, ITEM_NAME, client.write, client.nameBytes), client.name, client.nameBytes);
    messageEnd();
    return ASYNCHRONOUS;
  }
  const object = directoryFind(client.name, client.nameBytes, client.write != 0);
  if (changetype<usize>(object) == 0) return -ENOENT;
  referenceGiven(object.id, clusterSelf());
  object.references++;
  client.object = changetype<usize>(object);
  return 0;
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

/** A linkid that came in a message of its home: open once more on this machine. */
export function objectGiven(id: u64, home: u32, size: u64): SharedObject {
  let object = objectById(id);
  if (changetype<usize>(object) == 0) object = objectMake(id, home);
  object.size = size;
  object.references++;
  return object;
}

function close(object: SharedObject): i64 {
  assert(object.references > 0, "an object is closed once too often");
  object.references--;
  if (object.moving != 0) return 0; // the new home is told how often it is open
  if (object.dead != 0) {
    if (object.references == 0) forget(object);
  } else if (object.home == clusterSelf()) referenceDropped(object, clusterSelf());
  else {
    messageTo(object.home, 16, object.id, 0, COMMAND_CLOSE);
    messageEnd();
  }
  return 0;
}

function unlinkAsked(client: Client): i64 {
  const home = homeOf(nameHash(client.name, client.nameBytes));
  if (home == clusterSelf()) return unlink(client.name, client.nameBytes);
  if (isDead(home)) return -EIO;
  begin(client, home);
  const writer = messageTo(home, 16 + 8 + 256, DIRECTORY_LINKID, client.msgid, COMMAND_UNLINK);
  memory.copy(itemPut(writer, ITEM_NAME, 0, client.nameBytes), client.name, client.nameBytes);
  messageEnd();
  return ASYNCHRONOUS;
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

function nextMsgid(): u32 {
  msgids++;
  if (msgids == 0) msgids = 1;
  return msgids;
}

/** The question is under way to that machine, as client.msgid. */
export function begin(client: Client, machine: u32): void {
  client.machine = machine;
  client.msgid = nextMsgid();
  client.nextPending = pending;
  pending = changetype<usize>(client);
}

/** The client whose question this answers, no longer pending; 0 = nobody waits for it. */
function pendingTake(machine: u32, msgid: u32): Client {
  let before: usize = 0;
  let at = pending;
  while (at != 0) {
    const client = changetype<Client>(at);
    if (client.machine == machine && client.msgid == msgid) {
      if (before != 0) changetype<Client>(before).nextPending = client.nextPending;
      else pending = client.nextPending;
      client.nextPending = 0;
      return client;
    }
    before = at;
    at = client.nextPending;
  }
  return changetype<Client>(0);
}

// --- What other machines say ---

export function objectMessage(from: u32, message: MessageHeader): void {
  const command = <u32>message.command;
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

function directoryMessage(from: u32, message: MessageHeader, command: u32): void {
  const item = itemFind(message, ITEM_NAME);
  if (changetype<usize>(item) == 0) return;
  const name = itemData(item);
  const bytes = itemDataBytes(item);
  if (command == COMMAND_UNLINK) {
    const result = unlink(name, bytes);
    respond(from, message, 0, 0, u32(-result));
    return;
  }
  const object = directoryFind(name, bytes, item.aux != 0);
  if (changetype<usize>(object) == 0) {
    respond(from, message, 0, 0, u32(ENOENT));
    return;
  }
  const writer = messageTo(from, 16 + 16 + 16, message.linkid, message.msgid, command | RESPONSE);
  store<u64>(itemPut(writer, ITEM_OBJECT | REFERENCES, 0, 8), object.id);
  store<u64>(itemPut(writer, ITEM_SIZE, 0, 8), object.size);
  messageEnd();
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
      respond(from, message, ITEM_SIZE, object.size, 0);
      break;
    case COMMAND_EXTEND:
      object.size = max<u64>(object.size, size);
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

/** From the home. */
function memberMessage(object: SharedObject, message: MessageHeader, command: u32): void {
  if (command == COMMAND_FUTEX_WOKEN) {
    const item = itemFind(message, ITEM_FUTEX);
    futexWoken(object, item.aux);
  } else if (command == COMMAND_GONE && object.references == 0) forget(object);
}

function answered(client: Client, message: MessageHeader): void {
  if (client.command == ASK_LETTER) letterAnswered(client, message);
  const error = itemFind(message, ITEM_ERROR);
  if (changetype<usize>(error) != 0) {
    portReply(client, -i64(error.aux));
    return;
  }
  const size = itemFind(message, ITEM_SIZE);
  if (changetype<usize>(size) != 0) {
    client.size = load<u64>(itemData(size));
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
    object.references++;
    client.object = changetype<usize>(object);
    object.size = client.size;
    if (client.command == ASK_OPEN) nameIt(object, client.name, client.nameBytes);
  } else if (client.command == ASK_OPEN || client.command == ASK_JOIN) result = -EIO;
  portReply(client, result);
}

// --- Truncating for others: it takes pages back, hence waits, hence has a thread ---

@unmanaged
class Work extends Message {
  object: usize = 0;
  from: u32 = 0;
  msgid: u32 = 0;
  size: u64 = 0;
}

let helper: usize = 0;

/** On core 0. */
export function objectsStart(): void {
  criticalEnter();
  const thread = threadCreate(help.index, 0, "truncate", 0, PRIORITY_KERNEL);
  helper = changetype<usize>(portCreate(changetype<usize>(thread), 0));
  criticalExit();
}

function truncateLater(object: SharedObject, from: u32, msgid: u32, size: u64): void {
  const work = changetype<Work>(allocate(offsetof<Work>()));
  work.object = changetype<usize>(object);
  work.from = from;
  work.msgid = msgid;
  work.size = size;
  // It stays until the work is done.
  referenceGiven(object.id, clusterSelf());
  object.references++;
  portSend(changetype<Port>(helper), work);
}

function help(_argument: usize): void {
  while (true) {
    const work = changetype<Work>(portWait(changetype<Port>(helper)));
    truncateHere(changetype<SharedObject>(work.object), work.size, work.from, work.msgid);
    portReply(work, 0);
    release(changetype<usize>(work));
  }
}

function answerTruncate(client: Client): i64 {
  const object = changetype<SharedObject>(client.object);
  if (!isDead(client.machine)) {
    const writer = messageTo(client.machine, 16 + 16, object.id, client.msgid, COMMAND_TRUNCATE | RESPONSE);
    store<u64>(itemPut(writer, ITEM_SIZE, 0, 8), object.size);
    messageEnd();
  }
  return close(object);
}

// --- Death ---

/** Questions about objects that move now, and by names whose home is another one now: they are asked again. Linked by nextWaiter. */
export function questionsTake(): usize {
  let taken: usize = 0;
  let at = pending;
  pending = 0;
  while (at != 0) {
    const client = changetype<Client>(at);
    at = client.nextPending;
    if (client.command == ASK_FUTEX_WAIT && movesOn(client)) {
      client.nextPending = 0;
      portReply(client, 0); // it has been woken: it looks again
    } else if (movesOn(client)) {
      client.nextPending = 0;
      client.nextWaiter = taken;
      taken = changetype<usize>(client);
    } else {
      client.nextPending = pending;
      pending = changetype<usize>(client);
    }
  }
  return taken;
}

function movesOn(client: Client): bool {
  switch (client.command) {
    case ASK_OPEN:
    case ASK_UNLINK:
      return homeOf(nameHash(client.name, client.nameBytes)) != client.machine;
    case ASK_SIZE:
    case ASK_EXTEND:
    case ASK_TRUNCATE:
    case ASK_FUTEX_WAIT:
    case ASK_FUTEX_CANCEL:
    case ASK_FUTEX_WAKE:
      return changetype<SharedObject>(client.object).moving != 0;
    default:
      return false;
  }
}

/** Whether the client's question has to wait until objects that move have a home again. */
export function questionWaits(client: Client): bool {
  switch (client.command) {
    case ASK_OPEN:
    case ASK_UNLINK:
      return homesMove() || isDead(homeOf(nameHash(client.name, client.nameBytes)));
    case ASK_SIZE:
    case ASK_EXTEND:
    case ASK_TRUNCATE:
    case ASK_FUTEX_WAIT:
    case ASK_FUTEX_CANCEL:
    case ASK_FUTEX_WAKE:
      return changetype<SharedObject>(client.object).moving != 0;
    default:
      return false;
  }
}

/** What was asked of a machine (0: of any) fails. */
function questionsEnd(machine: u32, error: i64): void {
  while (true) {
    let at = pending;
    while (at != 0 && machine != 0 && changetype<Client>(at).machine != machine) {
      at = changetype<Client>(at).nextPending;
    }
    if (at == 0) break;
    portReply(pendingTake(changetype<Client>(at).machine, changetype<Client>(at).msgid), error);
  }
}

/** The cluster is out of reach. */
export function questionsFail(): void {
  questionsEnd(0, -ETIMEDOUT);
}

/** This machine begins anew: what it has open it has no more, as the home or otherwise. */
export function objectsForsaken(): void {
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) futexesDied(machine);
  let at = objects;
  while (at != 0) {
    const object = changetype<SharedObject>(at);
    at = object.next;
    object.dead = 1;
    object.moving = 0;
    release(object.name);
    object.name = 0;
    object.nameBytes = 0;
  }
}

/** After its pages were taken back: records that nobody here has open. */
export function objectsBury(): void {
  let at = objects;
  while (at != 0) {
    const object = changetype<SharedObject>(at);
    at = object.next;
    if (object.dead != 0 && object.references == 0) forget(object);
  }
}

/** LOSTLINK: what was asked of the dead machine fails; what it had open is closed; what it was the home of is dead. */
export function objectsMachineDied(machine: u32): void {
  questionsEnd(machine, -EIO);
  futexesDied(machine);
  let at = objects;
  while (at != 0) {
    const object = changetype<SharedObject>(at);
    at = object.next;
    if (object.dead != 0 || object.moving != 0 || (object.home == machine && object.hash != 0)) continue;
    if (object.home == clusterSelf()) {
      store<u32>(opensAt(object, machine), 0);
      perish(object);
    } else if (object.home == machine) {
      object.dead = 1;
      if (object.references == 0) forget(object);
    }
  }
}
