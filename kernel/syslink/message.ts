// SYSLINK messages (promises 19-29): a header and items, which may hold items. Little endian.
//
//   message   linkid[8] msgid[4] command[2] length[2] items...      command bit 15: a response
//   item      itemid[2] itemlen[2] aux[4] data or items...          itemid bit 15: holds items, bit 14: linkids inside
//
// `length` and `itemlen` are logical: they count from the start of the message or item and are not rounded up, but the next
// message or item begins at the next multiple of 8 and the bytes between are zero. An item that carries linkids (bit
// 14, data is whole linkids) marks every item around it, so that the core can count references without knowing what
// any item means. `aux` is the first four bytes of the item's data (the decision on item header).
//
// Invariant: messageCheck() looks at no byte outside what it was given, and everything else here may trust a message
// that it accepted. One meaning has one encoding: what the writer cannot write, the checker refuses.

@unmanaged
export class MessageHeader {
  linkid: u64 = 0;
  msgid: u32 = 0;
  command: u16 = 0;
  length: u16 = 0;
}

@unmanaged
export class MessageItem {
  id: u16 = 0;
  length: u16 = 0;
  aux: u32 = 0;
}

export const HEADER_BYTES: u32 = 16;
export const ITEM_BYTES: u32 = 8;
export const MESSAGE_BYTES_MAX: u32 = 65535;
/** What one item may carry behind its header (promise 26). More goes by a data cache object. */
export const BUFFER_BYTES_MAX: u32 = 32768;
export const RESPONSE: u32 = 0x8000;
export const RECURSION: u32 = 0x8000;
export const REFERENCES: u32 = 0x4000;
export const ITEM_NUMBER: u32 = 0x3fff;
export const DEPTH_MAX: u32 = 8;

/** Why messageCheck() refused. messageReason() has the words. */
export const GOOD: u32 = 0;
export const MISALIGNED: u32 = 1;
export const HEADER_CUT: u32 = 2;
export const LENGTH_SHORT: u32 = 3;
export const LENGTH_BEYOND: u32 = 4;
export const ITEM_CUT: u32 = 5;
export const ITEM_SHORT: u32 = 6;
export const ITEM_BEYOND: u32 = 7;
export const TOO_DEEP: u32 = 8;
export const BUFFER_TOO_LARGE: u32 = 9;
export const PADDING_DIRTY: u32 = 10;
export const REFERENCE_UNMARKED: u32 = 11;
export const REFERENCE_MISSING: u32 = 12;
export const REFERENCE_RAGGED: u32 = 13;
export const RECURSION_EMPTY: u32 = 14;

export function messageReason(code: u32): string {
  switch (code) {
    case GOOD:
      return "good";
    case MISALIGNED:
      return "not 8-aligned";
    case HEADER_CUT:
      return "shorter than a header";
    case LENGTH_SHORT:
      return "length smaller than the header";
    case LENGTH_BEYOND:
      return "length beyond what came";
    case ITEM_CUT:
      return "bytes left over that are no item";
    case ITEM_SHORT:
      return "itemlen smaller than the item's header";
    case ITEM_BEYOND:
      return "itemlen beyond what holds the item";
    case TOO_DEEP:
      return "items nested too deep";
    case BUFFER_TOO_LARGE:
      return "more than 32 KiB of data in one item";
    case PADDING_DIRTY:
      return "padding is not zero";
    case REFERENCE_UNMARKED:
      return "linkids inside an item that does not say so";
    case REFERENCE_MISSING:
      return "an item promises linkids and has none";
    case REFERENCE_RAGGED:
      return "linkids are not whole";
    case RECURSION_EMPTY:
      return "an item of items has none";
    default:
      return "unknown reason";
  }
}

/** Where the next message or item begins. */
export function padded(length: u32): u32 {
  return (length + 7) & ~7;
}

// --- Checking ---

/**
 * The shape of the last message of each kind that was accepted, also as a command (commands.ts): command and length, as they stand in its
 * header (0: of none), how many items, and id and length of each, a word each. All are whole words long, hold no items and no linkids: then
 * nothing else decides, and most messages are like the one before of their kind.
 */
@unmanaged
class Shape {
  header: u32 = 0;
  items: u32 = 0;
  item0: u32 = 0;
  item1: u32 = 0;
  item2: u32 = 0;
  item3: u32 = 0;
}
const SHAPE_ITEMS: u32 = 4;
const shapes: usize = memory.data(128 * 24, 4);
/** Where messageCheck() has found another one. */
let likeAt: usize = 0;

/** Command and length of a message, as one word. */
function kindOf(at: usize): u32 {
  return load<u32>(at, offsetof<MessageHeader>("command"));
}

/** Where a message's kind keeps its shape: commands and responses apart; kinds that share a place take it from one another. */
function shapeOf(kind: u32): Shape {
  return changetype<Shape>(shapes + ((kind & 63) | ((kind & RESPONSE) >> 9)) * offsetof<Shape>());
}

/** The `bytes` at `at` begin with another one. */
function isLike(at: usize, bytes: u32): bool {
  if (bytes < HEADER_BYTES) return false;
  const kind = kindOf(at);
  const shape = shapeOf(kind);
  if (kind != shape.header || kind >> 16 > bytes || (at & 7) != 0) return false;
  let item = at + HEADER_BYTES;
  const end = changetype<usize>(shape) + (shape.items << 2);
  for (let like = changetype<usize>(shape); like != end; like += 4) {
    const word = load<u32>(item);
    if (word != load<u32>(like, offsetof<Shape>("item0"))) return false;
    item += word >> 16;
  }
  return true;
}

/** messageCheck(), which looked at this message last, has found it like one that was accepted. */
export function messageIsLike(message: MessageHeader): bool {
  return changetype<usize>(message) == likeAt;
}

/** It was accepted: others like it are, if nothing but its shape decides. */
export function messageKeep(message: MessageHeader): void {
  const kind = kindOf(changetype<usize>(message));
  const shape = shapeOf(kind);
  shape.header = 0; // no message is so short
  if (message.length & 7) return;
  const end = changetype<usize>(message) + message.length;
  let items: u32 = 0;
  for (let at = changetype<usize>(message) + HEADER_BYTES; at < end; items++) {
    const item = changetype<MessageItem>(at);
    if (items == SHAPE_ITEMS || (item.length & 7) != 0 || (item.id & (RECURSION | REFERENCES)) != 0) return;
    store<u32>(changetype<usize>(shape) + (items << 2), load<u32>(at), offsetof<Shape>("item0"));
    at += item.length;
  }
  shape.items = items;
  shape.header = kind;
}

/** GOOD, or why the `bytes` at `at` do not begin with a well-formed message. */
export function messageCheck(at: usize, bytes: u32): u32 {
  likeAt = 0;
  if (!isLike(at, bytes)) return wellFormed(at, bytes);
  likeAt = at;
  return GOOD;
}

function wellFormed(at: usize, bytes: u32): u32 {
  if (at & 7) return MISALIGNED;
  if (bytes < HEADER_BYTES) return HEADER_CUT;
  const length = <u32>changetype<MessageHeader>(at).length;
  if (length < HEADER_BYTES) return LENGTH_SHORT;
  if (padded(length) > bytes) return LENGTH_BEYOND;
  if (dirty(at + length, at + padded(length))) return PADDING_DIRTY;
  const result = itemsCheck(at + HEADER_BYTES, at + length, 0);
  return result & CODE;
}

/** itemsCheck() returns a code, and beside it whether a linkid was met. */
const CODE: u32 = 0xff;
const MET_REFERENCE: u32 = 0x100;

function itemsCheck(first: usize, end: usize, depth: u32): u32 {
  let met: u32 = 0;
  let at = first;
  while (at < end) {
    const room = <u32>(end - at);
    if (room < ITEM_BYTES) return ITEM_CUT;
    const item = changetype<MessageItem>(at);
    const length = <u32>item.length;
    if (length < ITEM_BYTES) return ITEM_SHORT;
    if (length > room) return ITEM_BEYOND;
    if (<u32>item.id & (RECURSION | REFERENCES)) {
      const inner = itemCheck(item, depth);
      if (inner & CODE) return inner;
      met |= inner;
    } else if (length > ITEM_BYTES + BUFFER_BYTES_MAX) return BUFFER_TOO_LARGE;
    if (length == room) return met;
    at += length;
    if ((length & 7) == 0) continue;
    // Another item must follow, so the padding is within `end` or the rest is too short to be one.
    const padding = padded(length) - length;
    if (length + padding >= room) return ITEM_CUT;
    if (dirty(at, at + padding)) return PADDING_DIRTY;
    at += padding;
  }
  return met;
}

/** Of an item that holds items, or linkids. */
function itemCheck(item: MessageItem, depth: u32): u32 {
  const bytes = <u32>item.length - ITEM_BYTES;
  const marked = (item.id & REFERENCES) != 0;
  if (item.id & RECURSION) {
    if (depth == DEPTH_MAX) return TOO_DEEP;
    if (bytes == 0) return RECURSION_EMPTY;
    const inner = itemsCheck(itemData(item), itemData(item) + bytes, depth + 1);
    if (inner & CODE) return inner;
    if (!marked && inner & MET_REFERENCE) return REFERENCE_UNMARKED;
    if (marked && !(inner & MET_REFERENCE)) return REFERENCE_MISSING;
    return inner;
  }
  if (bytes > BUFFER_BYTES_MAX) return BUFFER_TOO_LARGE;
  if (bytes == 0) return REFERENCE_MISSING;
  if (bytes & 7) return REFERENCE_RAGGED;
  return MET_REFERENCE;
}

function dirty(from: usize, end: usize): bool {
  for (let at = from; at < end; at++) {
    if (load<u8>(at) != 0) return true;
  }
  return false;
}

// --- Reading a message that was checked ---

export function itemData(item: MessageItem): usize {
  return changetype<usize>(item) + ITEM_BYTES;
}

export function itemDataBytes(item: MessageItem): u32 {
  return <u32>item.length - ITEM_BYTES;
}

/** The first item, or 0. */
export function itemFirst(message: MessageHeader): MessageItem {
  return changetype<MessageItem>(
    <u32>message.length > HEADER_BYTES ? changetype<usize>(message) + HEADER_BYTES : 0,
  );
}

/** The item behind this one within the message, or 0. */
export function itemNext(message: MessageHeader, item: MessageItem): MessageItem {
  const next = changetype<usize>(item) + padded(item.length);
  const end = changetype<usize>(message) + message.length;
  return changetype<MessageItem>(next < end ? next : 0);
}

/** The first item within an item of items. */
export function itemInside(item: MessageItem): MessageItem {
  assert((item.id & RECURSION) != 0, "itemInside: a plain item");
  return changetype<MessageItem>(itemData(item));
}

/** The item behind `item` within `outer`, or 0. */
export function itemNextInside(outer: MessageItem, item: MessageItem): MessageItem {
  const next = changetype<usize>(item) + padded(item.length);
  const end = changetype<usize>(outer) + outer.length;
  return changetype<MessageItem>(next < end ? next : 0);
}

/** The first item of this number (flags aside) at the top of the message, or 0. */
export function itemFind(message: MessageHeader, number: u32): MessageItem {
  let item = itemFirst(message);
  while (changetype<usize>(item) != 0) {
    if ((<u32>item.id & ITEM_NUMBER) == number) return item;
    item = itemNext(message, item);
  }
  return item;
}

/** Calls `visit` (table index of (linkid: u64, argument: usize) => void) for every linkid that the message carries. */
export function messageReferences(message: MessageHeader, visit: u32, argument: usize): u32 {
  let met: u32 = 0;
  let item = itemFirst(message);
  while (changetype<usize>(item) != 0) {
    met += itemReferences(item, visit, argument);
    item = itemNext(message, item);
  }
  return met;
}

function itemReferences(item: MessageItem, visit: u32, argument: usize): u32 {
  if (!(item.id & REFERENCES)) return 0;
  let met: u32 = 0;
  if (item.id & RECURSION) {
    let inner = itemInside(item);
    while (changetype<usize>(inner) != 0) {
      met += itemReferences(inner, visit, argument);
      inner = itemNextInside(item, inner);
    }
    return met;
  }
  const bytes = itemDataBytes(item);
  for (let offset: u32 = 0; offset < bytes; offset += 8) {
    call_indirect<void>(visit, load<u64>(itemData(item) + offset), argument);
    met++;
  }
  return met;
}

// --- Writing, in place ---

/** One message being written. A record of the caller's: it lives as long as he likes and writes one message at a time. */
@unmanaged
export class MessageWriter {
  start: usize = 0;
  /** Logical end so far. */
  at: usize = 0;
  /** End of the room. */
  limit: usize = 0;
  depth: u32 = 0;
  /** Set by whatever did not fit or was out of order; writerEnd() then returns 0. */
  failed: u32 = 0;
  /** Linkids written so far. */
  references: u32 = 0;
  /** Begins of the open items. */
  open0: usize = 0;
  open1: usize = 0;
  open2: usize = 0;
  open3: usize = 0;
  open4: usize = 0;
  open5: usize = 0;
  open6: usize = 0;
  open7: usize = 0;
}

function openItem(writer: MessageWriter, depth: u32): usize {
  return changetype<usize>(writer) + offsetof<MessageWriter>("open0") + ((<usize>depth) << 2);
}

export function writerBegin(
  writer: MessageWriter,
  at: usize,
  room: u32,
  linkid: u64,
  msgid: u32,
  command: u32,
): void {
  assert((at & 7) == 0, "a message is written at a multiple of 8");
  writer.start = at;
  writer.limit = at + min<u32>(room & ~7, MESSAGE_BYTES_MAX + 1);
  writer.depth = 0;
  writer.failed = 0;
  writer.references = 0;
  writer.at = at;
  if (take(writer, HEADER_BYTES) == 0) return;
  const header = changetype<MessageHeader>(at);
  header.linkid = linkid;
  header.msgid = msgid;
  header.command = <u16>command;
}

/** `bytes` more, whose padding fits as well; 0 when there is no room. */
function take(writer: MessageWriter, bytes: u32): usize {
  const at = writer.at;
  if (writer.failed != 0 || <u32>(writer.limit - at) < bytes) {
    writer.failed = 1;
    return 0;
  }
  writer.at = at + bytes;
  return at;
}

/** Zero bytes up to the next multiple of 8. */
function align(writer: MessageWriter): void {
  while (writer.at & 7) store<u8>(writer.at++, 0);
}

/** An item of `bytes` of data, which the caller fills in: where they go, or 0 when the message has failed. */
export function itemPut(writer: MessageWriter, id: u32, aux: u32, bytes: u32): usize {
  if (bytes > BUFFER_BYTES_MAX || (id & RECURSION) != 0 || (id & REFERENCES && (bytes == 0 || bytes & 7))) {
    writer.failed = 1;
    return 0;
  }
  if (id & REFERENCES) {
    markOpen(writer);
    writer.references += bytes >> 3;
  }
  align(writer);
  const at = take(writer, ITEM_BYTES + bytes);
  if (at == 0) return 0;
  const item = changetype<MessageItem>(at);
  item.id = <u16>id;
  item.length = <u16>(ITEM_BYTES + bytes);
  item.aux = aux;
  return at + ITEM_BYTES;
}

/** The message's last item, which is no deeper than it and whole words long, gets `bytes` more: where they go, or 0. */
export function itemGrow(writer: MessageWriter, item: usize, bytes: u32): usize {
  const header = changetype<MessageItem>(item - ITEM_BYTES);
  const length = <u32>header.length;
  assert(writer.at == item - ITEM_BYTES + length, "only a message's last item grows");
  if (length - ITEM_BYTES + bytes > BUFFER_BYTES_MAX || (length & 7) != 0) {
    writer.failed = 1;
    return 0;
  }
  const at = take(writer, bytes);
  if (at != 0) header.length = <u16>(length + bytes);
  return at;
}

/** Every item around a linkid says that it holds one. */
function markOpen(writer: MessageWriter): void {
  for (let depth: u32 = 0; depth < writer.depth; depth++) {
    const item = changetype<MessageItem>(load<usize>(openItem(writer, depth)));
    item.id |= <u16>REFERENCES;
  }
}

export function itemBegin(writer: MessageWriter, id: u32, aux: u32): void {
  align(writer);
  if (writer.depth == DEPTH_MAX || (id & (RECURSION | REFERENCES)) != 0) writer.failed = 1;
  const at = take(writer, ITEM_BYTES);
  if (at == 0) return;
  const item = changetype<MessageItem>(at);
  item.id = <u16>(id | RECURSION);
  item.aux = aux;
  store<usize>(openItem(writer, writer.depth++), at);
}

export function itemEnd(writer: MessageWriter): void {
  if (writer.failed != 0) return;
  assert(writer.depth > 0, "itemEnd without itemBegin");
  const at = load<usize>(openItem(writer, --writer.depth));
  const length = <u32>(writer.at - at);
  if (length == ITEM_BYTES || length > MESSAGE_BYTES_MAX) writer.failed = 1;
  changetype<MessageItem>(at).length = <u16>length;
}

/** The bytes that the message takes up, padding included; 0 when something did not fit. */
export function writerEnd(writer: MessageWriter): u32 {
  const length = <u32>(writer.at - writer.start);
  if (writer.failed != 0 || writer.depth != 0 || length > MESSAGE_BYTES_MAX) return 0;
  changetype<MessageHeader>(writer.start).length = <u16>length;
  align(writer);
  return padded(length);
}
