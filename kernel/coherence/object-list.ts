// The records of shared objects on this machine: by id, at their home by name, how often each machine has them open, and
// their end. An object lives until its name is removed and no machine has it open. Its id carries the home's number and
// life, so that an id from before a reboot names nothing (promise 11).
import { allocate, release } from "../memory/slab";
import {
  clusterEpoch,
  clusterMachines,
  clusterSelf,
  isDead,
  messageEnd,
  messageTo,
} from "../syslink/cluster";
import { COMMAND_CLOSE, COMMAND_GONE } from "../syslink/commands";
import { objectRangesCreate, objectRangesDrop } from "./grants";
import { isLinkName, linkNameObject } from "./links";
import { indexAdd, indexByHash, indexById, indexRemove, objectHashed } from "./object-index";
import { locksDrop } from "./object-locks";
import { nameHash } from "./object-names";
import { SharedObject } from "./pager";
import { objectPagesDrop } from "./pages";
import { remainsKeep } from "./remains";
import { reportsDrop } from "./reports";
import { futexesDied } from "./shared-futex";
import { willDrop, willMake } from "./wills";

/** All records, linked by next. */
let objects: usize = 0;
let identities: u64 = 0;

/**
 * null (0) when there is none. One that is dead here, and still open, is not found: it may live at other machines, and come
 * back under its id as a record of its own.
 */
export function objectById(id: u64): SharedObject {
  let at = indexById(id);
  while (at != 0 && (changetype<SharedObject>(at).id != id || changetype<SharedObject>(at).dead != 0)) {
    at = changetype<SharedObject>(at).nextById;
  }
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
  if (objects != 0) changetype<SharedObject>(objects).previous = changetype<usize>(object);
  objects = changetype<usize>(object);
  indexAdd(object);
  objectRangesCreate(object);
  return object;
}

/** A linkid that came in a message of its home: open once more on this machine. */
export function objectGiven(id: u64, home: u32, size: u64): SharedObject {
  let object = objectById(id);
  if (changetype<usize>(object) == 0) object = objectMake(id, home);
  object.size = size;
  object.references++;
  return object;
}

/** The object of that name, made if wanted; 0 = there is none. */
export function objectByName(name: usize, bytes: u32, make: bool): SharedObject {
  let at = indexByHash(nameHash(name, bytes));
  while (at != 0) {
    const object = changetype<SharedObject>(at);
    const mine = object.home == clusterSelf() && object.dead == 0;
    if (mine && isNamed(object, name, bytes)) return object;
    at = object.nextByHash;
  }
  if (!make || isLinkName(name, bytes)) return changetype<SharedObject>(0);
  const object = objectCreate();
  objectName(object, name, bytes);
  willMake(object);
  return object;
}

function isNamed(object: SharedObject, name: usize, bytes: u32): bool {
  if (isLinkName(name, bytes)) return linkNameObject(name) == object.id;
  return object.name != 0 && object.nameBytes == bytes && memory.compare(object.name, name, bytes) == 0;
}

/** Every machine that opens it by name knows the name: any of them may be its home some day. */
export function objectName(object: SharedObject, name: usize, bytes: u32): void {
  objectHashed(object, nameHash(name, bytes));
  if (isLinkName(name, bytes)) object.links = max<u32>(object.links, 1);
  if (object.name != 0 || object.unlinked != 0 || isLinkName(name, bytes)) return;
  object.name = allocate(bytes);
  object.nameBytes = bytes;
  memory.copy(object.name, name, bytes);
}

/** No name leads to it any more. */
export function objectUnnamed(object: SharedObject): void {
  release(object.name);
  object.name = 0;
  object.nameBytes = 0;
  object.unlinked = 1;
}

export function objectCreate(): SharedObject {
  if (identities == 0) identities = (clusterEpoch() << 16) & 0x00ff_ffff_ffff_ff00;
  identities += 0x100;
  const object = objectMake(identities | <u64>clusterSelf(), clusterSelf());
  object.opens = allocate(clusterMachines() << 2);
  return object;
}

export function opensAt(object: SharedObject, machine: u32): usize {
  return object.opens + ((machine - 1) << 2);
}

/** A linkid went to a machine in some message: that machine has the object open once more. */
export function referenceGiven(linkid: u64, machine: usize): void {
  const object = objectById(linkid);
  assert(changetype<usize>(object) != 0 && object.opens != 0, "a linkid is given away that is not ours");
  const at = opensAt(object, <u32>machine);
  store<u32>(at, load<u32>(at) + 1);
}

export function referenceDropped(object: SharedObject, machine: u32): void {
  if (object.opens == 0) return;
  const at = opensAt(object, machine);
  if (load<u32>(at) != 0) store<u32>(at, load<u32>(at) - 1);
  perish(object);
}

/** Nameless and open nowhere: it ends, here and wherever its pages still are. */
export function perish(object: SharedObject): void {
  if (object.name != 0 || object.links != 0) return;
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (load<u32>(opensAt(object, machine)) != 0) return;
  }
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine == clusterSelf() || isDead(machine)) continue;
    messageTo(machine, 16, object.id, 0, COMMAND_GONE);
    messageEnd();
  }
  objectForget(object);
}

/** The record and its pages. */
export function objectForget(object: SharedObject): void {
  objectPagesDrop(object);
  locksDrop(object);
  if (objects == changetype<usize>(object)) objects = object.next;
  else changetype<SharedObject>(object.previous).next = object.next;
  if (object.next != 0) changetype<SharedObject>(object.next).previous = object.previous;
  indexRemove(object);
  release(object.name);
  release(object.opens);
  willDrop(object);
  reportsDrop(object);
  objectRangesDrop(object);
  release(changetype<usize>(object));
}

export function objectClose(object: SharedObject): i64 {
  assert(object.references > 0, "an object is closed once too often");
  object.references--;
  if (object.moving != 0) return 0; // the new home is told how often it is open
  if (object.dead != 0) {
    if (object.references == 0 && !remainsKeep(object)) objectForget(object);
  } else if (object.home == clusterSelf()) referenceDropped(object, clusterSelf());
  else {
    messageTo(object.home, 16, object.id, 0, COMMAND_CLOSE);
    messageEnd();
  }
  return 0;
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
    object.frozen = 0;
    reportsDrop(object);
    objectUnnamed(object);
  }
}

/** After its pages were taken back: records that nobody here has open. */
export function objectsBury(): void {
  let at = objects;
  while (at != 0) {
    const object = changetype<SharedObject>(at);
    at = object.next;
    if (object.dead != 0 && object.references == 0 && !remainsKeep(object)) objectForget(object);
  }
}
