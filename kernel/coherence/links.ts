// Names beside an object's own (link(2)). A file of /shm has its home where its name says, so another name of it, with a home of its own, is a record there that says which object
// is meant and where that one's home is found: a link. It is followed by asking there, by a name of the object that no program can spell. The object counts its
// links and lives as long as there is one; a name in a directory that stands for a file is counted in the same way (fs/tree-link.ts).
//
// Counted first, then made; removed first, then counted: whoever dies in between leaves a file that nobody finds, never a name without its file.
// Core 0 only.
import { ITEM_LINK } from "../syslink/commands";
import { itemData, itemFind, itemPut, MessageHeader, MessageItem, MessageWriter } from "../syslink/message";
import { isNumbered, NUMBERED_LINK, numberedKind, numberedName, numberedNumber } from "./object-names";
import { SharedObject } from "./pager";

export function linkName(at: usize, hash: u32, object: u64): void {
  numberedName(at, NUMBERED_LINK, object, hash);
}

export function isLinkName(name: usize, bytes: u32): bool {
  return isNumbered(name, bytes) && numberedKind(name) == NUMBERED_LINK;
}

/** The id of the object that such a name is of. */
export function linkNameObject(name: usize): u64 {
  return numberedNumber(name);
}

/** Bytes of an item that linkPut() adds. */
export const LINK_BYTES: u32 = 24;

/** What somebody else has to know to be its home: to which object it is a link, 0 = it is one, with so many links to it. */
export function linkPut(writer: MessageWriter, object: SharedObject): void {
  if (object.links != 0 || object.linkHash != 0)
    linkSay(writer, object.links, object.linkTo, object.linkHash);
}

export function linkSay(writer: MessageWriter, aux: u32, to: u64, hash: u32): void {
  const item = itemPut(writer, ITEM_LINK, aux, 16);
  store<u64>(item, to);
  store<u64>(item, u64(hash), 8);
}

export function linkSaidTo(item: MessageItem): u64 {
  return load<u64>(itemData(item));
}
export function linkSaidHash(item: MessageItem): u32 {
  return u32(load<u64>(itemData(item), 8));
}

/** From its home. */
export function linkCame(object: SharedObject, message: MessageHeader): void {
  const item = itemFind(message, ITEM_LINK);
  const some = changetype<usize>(item) != 0;
  object.links = some ? item.aux : 0;
  object.linkTo = some ? linkSaidTo(item) : 0;
  object.linkHash = some ? linkSaidHash(item) : 0;
}

/** From who has it open, where nothing better is known: by how many links it was opened, at least. */
export function linkHeard(object: SharedObject, message: MessageHeader): void {
  const item = itemFind(message, ITEM_LINK);
  if (changetype<usize>(item) != 0) object.links = max<u32>(object.links, item.aux);
}
