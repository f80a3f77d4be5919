// What an object's home leaves behind when it dies (R2). Of what only the home knew, a name, a size, which pages it wrote
// itself, its heirs are told: the machines that the name prefers next, one of which is the home afterwards. There is one; mirrored,
// as many as there are mirrors, and a view has not healed before they have been told (commits.ts). So a file that nobody else
// had open is there still, what was in it is reported lost, and a page that was never written stays zeros.
//
// Notes wait until this machine says something else to anybody, or NOTE_TIME, so that many pages are one note. Nobody
// waits for a note to arrive. A home that dies together with another machine leaves no will that can be relied on, and one that
// dies before it has told all anew after a move leaves none: then every page below the object's end that nobody has counts as lost. Core 0 only.
import { nanoseconds } from "../machine/time";
import { allocate } from "../memory/slab";
import { bit, clusterSelf, isDead, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_WILL, ITEM_NAME, ITEM_PAGES, ITEM_SIZE } from "../syslink/commands";
import {
  itemData,
  itemDataBytes,
  itemFind,
  itemPut,
  MessageHeader,
  MessageItem,
  MessageWriter,
} from "../syslink/message";
import { rangesOf, rangesReady } from "./grants";
import { heirsOf } from "./homes";
import { Kept } from "./kept";
import { LINK_BYTES, linkCame, linkPut } from "./links";
import { objectHashed } from "./object-index";
import { objectById, objectMake, objectsFirst, objectUnnamed } from "./object-list";
import { pagesAsked } from "./page-index";
import { SharedObject } from "./pager";
import { setCreate, setDrop, setReady } from "./range-sets";
import { PAGE_LAST, RangeSet, rangeAt, rangesLose, rangesPutState } from "./ranges";
import { Page } from "./records";
import { EXCLUSIVE, INVALID } from "./table";

const NOTE_TIME: u64 = 2_000_000;
const NEVER: u64 = ~(<u64>0);
/** ITEM_NAME's aux: the object still has its name; what was told before counts no more. */
const NAMED: u32 = 2;
const ANEW: u32 = 4;

/** Of an object's `willDue`: pages have not been told, or its name or size. */
const PAGES_DUE: u32 = 1;
const OBJECT_DUE: u32 = 2;

/** Since when some note waits. */
let noteSince: u64 = NEVER;

// --- At the home ---

/** The object's name or size has changed. */
export function willChanged(object: SharedObject): void {
  due(object, OBJECT_DUE);
}

function due(object: SharedObject, what: u32): void {
  if (object.hash == 0 || object.heirs == 0) return;
  object.willDue |= what;
  if (noteSince == NEVER) noteSince = nanoseconds();
}

/** The page has bytes of its own from now on, here. */
export function pageStored(page: Page): void {
  page.former = 0;
  if (page.had != 0) return;
  page.had = 1;
  stored(changetype<SharedObject>(page.holder), page.index);
}

function stored(object: SharedObject, index: u64): void {
  if (object.home != clusterSelf() || object.heirs == 0 || object.moving != 0) return;
  if (object.willEnd != 0) {
    if (index == object.willEnd) {
      object.willEnd++;
      return;
    }
    if (index + 1 == object.willFirst) {
      object.willFirst--;
      return;
    }
    tell(object, 0);
  }
  object.willFirst = index;
  object.willEnd = index + 1;
  due(object, PAGES_DUE);
}

/** Before any other message: what was seen of this machine has its notes before it. */
export function willsTell(): void {
  if (noteSince == NEVER) return;
  noteSince = NEVER; // telling is a message, too
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    if (object.willDue != 0) tell(object, 0);
    object = changetype<SharedObject>(object.next);
  }
}

/** Something waits to be told before anything else is said. */
export function willsWait(): bool {
  return noteSince != NEVER;
}

/** When to look again. */
export function willsTick(now: u64): u64 {
  if (noteSince == NEVER) return NEVER;
  if (now < noteSince + NOTE_TIME) return noteSince + NOTE_TIME;
  willsTell();
  return NEVER;
}

function putObject(writer: MessageWriter, object: SharedObject, flags: u32): void {
  const aux = flags | (object.name != 0 ? NAMED : 0);
  memory.copy(itemPut(writer, ITEM_NAME, aux, max<u32>(object.nameBytes, 1)), object.name, object.nameBytes);
  store<u64>(itemPut(writer, ITEM_SIZE, 0, 8), object.size);
  linkPut(writer, object);
}

/** Only what is due; with a flag, name and size too. */
function tell(object: SharedObject, flags: u32): void {
  const whole = flags != 0 || (object.willDue & OBJECT_DUE) != 0;
  object.willDue = 0;
  for (let rest = object.heirs; rest != 0; rest &= rest - 1) {
    const heir = <u32>ctz(rest) + 1;
    if (isDead(heir)) continue;
    const writer = messageTo(heir, 16 + 8 + 256 + 16 + 24 + LINK_BYTES, object.id, object.hash, COMMAND_WILL);
    if (whole) putObject(writer, object, flags);
    if (object.willEnd != 0) {
      const range = itemPut(writer, ITEM_PAGES, 0, 16);
      store<u64>(range, object.willFirst);
      store<u64>(range, object.willEnd - 1, 8);
    }
    messageEnd();
  }
  object.willEnd = 0;
}

/** A new object, a new home or other machines: whoever the heirs are now is told everything. */
export function willMake(object: SharedObject): void {
  const heirs = object.hash != 0 ? heirsOf(object.hash) : 0;
  if (heirs == object.heirs) return;
  object.heirs = heirs;
  object.willEnd = 0;
  if (heirs == 0) return;
  tell(object, ANEW);
  pagesAsked(object);
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject)
    if (changetype<Page>(at).had != 0) stored(object, changetype<Page>(at).index);
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    if (kept.had != 0 && kept.former == 0) stored(object, kept.index);
  }
}

/** What it was told is gone: a new life with its number, which may be here by the next view, has to be told everything. */
export function willsMachineDied(machine: u32): void {
  for (let at = changetype<usize>(objectsFirst()); at != 0; at = changetype<SharedObject>(at).next)
    changetype<SharedObject>(at).heirs &= ~bit(machine);
}

/** Everything that is waiting to be told is said. The machines that are heirs of something here. */
export function willsHeirs(): u64 {
  willsTell();
  let heirs: u64 = 0;
  for (let object = objectsFirst(); changetype<usize>(object) != 0; ) {
    if (object.home == clusterSelf() && object.dead == 0) heirs |= object.heirs;
    object = changetype<SharedObject>(object.next);
  }
  for (let rest = heirs; rest != 0; rest &= rest - 1) {
    if (isDead(<u32>ctz(rest) + 1)) heirs &= ~(rest & (0 - rest));
  }
  return heirs;
}

// --- At the heir ---

export function willCame(from: u32, message: MessageHeader): void {
  const name = itemFind(message, ITEM_NAME);
  const anew = changetype<usize>(name) != 0 && (name.aux & ANEW) != 0;
  let object = objectById(message.linkid);
  // Frozen, its beginning is forgotten, until the home that freezes as well makes it anew: without it all that the home may have had counts as lost.
  if (!anew && (changetype<usize>(object) == 0 || object.willOf != from)) return;
  if (changetype<usize>(object) == 0) object = objectMake(message.linkid, from);
  if (object.home != from || object.dead != 0) return;
  objectHashed(object, message.msgid);
  if (anew) willDrop(object);
  if (object.will == 0) object.will = setCreate();
  object.willOf = from;
  if (changetype<usize>(name) != 0) {
    nameCame(object, name);
    linkCame(object, message);
  }
  const size = itemFind(message, ITEM_SIZE);
  if (changetype<usize>(size) != 0) object.size = load<u64>(itemData(size));
  const end = (object.size + 4095) >> 12;
  let cut = changetype<usize>(size) != 0;
  const pages = itemFind(message, ITEM_PAGES);
  if (changetype<usize>(pages) != 0) {
    const first = load<u64>(itemData(pages));
    const last = load<u64>(itemData(pages), 8);
    if (first <= last && last <= PAGE_LAST) put(object, first, last, EXCLUSIVE);
    if (last >= end) cut = true;
  }
  if (cut && end <= PAGE_LAST) put(object, end, PAGE_LAST, INVALID);
}

function nameCame(object: SharedObject, name: MessageItem): void {
  if (!(name.aux & NAMED)) objectUnnamed(object);
  else if (object.name == 0) {
    object.nameBytes = itemDataBytes(name);
    object.name = allocate(object.nameBytes);
    memory.copy(object.name, itemData(name), object.nameBytes);
  }
}

function setOf(object: SharedObject): RangeSet {
  return changetype<RangeSet>(object.will);
}

/** EXCLUSIVE: the home has touched them. */
function put(object: SharedObject, first: u64, last: u64, state: u8): void {
  const set = setOf(object);
  setReady(set);
  rangesPutState(set, first, last, state);
}

export function willDrop(object: SharedObject): void {
  object.willOf = 0;
  setDrop(object.will);
  object.will = 0;
}

/** The home `died`, and this machine is the home now: of what the will names nothing is left. False: there is no such will. */
export function willRead(object: SharedObject, died: u32): bool {
  if (object.will == 0 || object.willOf != died) return false;
  const from = setOf(object);
  for (let number: u32 = 0; number < from.count; number++) {
    const range = rangeAt(from, number);
    if (range.state == EXCLUSIVE) objectLoses(object, range.first, range.last);
  }
  return true;
}

/** These pages are lost, unless somebody turns out to have them. */
export function objectLoses(object: SharedObject, first: u64, last: u64): void {
  rangesReady(object);
  rangesLose(rangesOf(object), first, last);
}
