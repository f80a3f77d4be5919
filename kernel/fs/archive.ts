// The initial file system: module 0, a cpio archive in the "newc" format (Linux Documentation/driver-api/
// early-userspace/buffer-format.rst), read in place and never written.
//
// Invariant: every inode's name and data lie within the module; what is cut or foreign is refused at mount, with
// the offset where it went wrong, and the entries before it stay.
import { print, printDecimal } from "../console";
import { allocate } from "../memory/slab";
import { moduleAddress, moduleBytes } from "../options";

const HEADER_BYTES: usize = 110;
/** Fields of 8 hexadecimal digits behind the 6 of the magic. */
const FIELD_INODE: u32 = 0;
const FIELD_MODE: u32 = 1;
const FIELD_SIZE: u32 = 6;
const FIELD_NAME_BYTES: u32 = 11;

export const TYPE_MASK: u32 = 0o170000;
export const TYPE_REGULAR: u32 = 0o100000;
export const TYPE_DIRECTORY: u32 = 0o040000;
export const TYPE_CHARACTER: u32 = 0o020000;
export const TYPE_FIFO: u32 = 0o010000;

@unmanaged
export class Inode {
  next: usize = 0;
  /** Not terminated for sure: `nameBytes` long, no leading slash. */
  name: usize = 0;
  nameBytes: u32 = 0;
  mode: u32 = 0;
  data: usize = 0;
  bytes: u32 = 0;
  number: u32 = 0;
}

let firstInode: usize = 0;

/** Reads the archive's headers. Without a module the file system is empty. */
export function archiveMount(): void {
  const start = moduleAddress();
  if (start === 0) {
    print("initial file system: the loader gave no module\n");
    return;
  }
  const bytes = moduleBytes();
  let at: usize = 0;
  let last: usize = 0;
  while (true) {
    const inode = inodeAt(start, bytes, at);
    if (inode === 0) {
      refuse(at);
      return;
    }
    const entry = changetype<Inode>(inode);
    if (isTrailer(entry)) return;
    if (last) changetype<Inode>(last).next = inode;
    else firstInode = inode;
    last = inode;
    at = align4(entry.data - start + entry.bytes);
  }
}

function refuse(at: usize): void {
  print("initial file system: no whole newc entry at byte ");
  printDecimal(u64(at));
  print("\n");
}

function align4(offset: usize): usize {
  return (offset + 3) & ~3;
}

/** The entry at this offset, or 0 when it is not one or does not lie within the archive. */
function inodeAt(start: usize, bytes: usize, at: usize): usize {
  if (at > bytes || bytes - at < HEADER_BYTES) return 0;
  const header = start + at;
  // "070701", in memory order.
  if (load<u32>(header) !== 0x37303730 || load<u16>(header + 4) !== 0x3130) return 0;
  for (let digit: usize = 6; digit < HEADER_BYTES; digit++) if (hexDigit(header + digit) > 15) return 0;
  const nameBytes = usize(hexField(header, FIELD_NAME_BYTES));
  const size = usize(hexField(header, FIELD_SIZE));
  const name = at + HEADER_BYTES;
  if (nameBytes < 1 || nameBytes > bytes - name) return 0;
  const data = align4(name + nameBytes);
  if (data > bytes || size > bytes - data) return 0;
  const inode = changetype<Inode>(allocate(offsetof<Inode>()));
  inode.name = start + name;
  inode.nameBytes = u32(nameBytes - 1);
  skipLeading(inode);
  inode.mode = hexField(header, FIELD_MODE);
  inode.number = hexField(header, FIELD_INODE);
  inode.data = start + data;
  inode.bytes = u32(size);
  return changetype<usize>(inode);
}

/** "/bin/x", "./bin/x" and "bin/x" are one name. */
function skipLeading(inode: Inode): void {
  if (inode.nameBytes >= 1 && load<u8>(inode.name) === 0x2e) {
    if (inode.nameBytes === 1 || load<u8>(inode.name + 1) === 0x2f) cut(inode);
  }
  while (inode.nameBytes > 0 && load<u8>(inode.name) === 0x2f) cut(inode);
}

function cut(inode: Inode): void {
  inode.name++;
  inode.nameBytes--;
}

function isTrailer(inode: Inode): bool {
  // "TRAILER!!!"
  return (
    inode.nameBytes === 10 &&
    load<u32>(inode.name) === 0x49415254 &&
    load<u32>(inode.name + 4) === 0x2152454c &&
    load<u16>(inode.name + 8) === 0x2121 &&
    inode.bytes === 0
  );
}

function hexField(header: usize, field: u32): u32 {
  let value: u32 = 0;
  const digits = header + 6 + ((<usize>field) << 3);
  for (let i: usize = 0; i < 8; i++) value = (value << 4) | hexDigit(digits + i);
  return value;
}

/** 16 and more: not a digit. */
function hexDigit(at: usize): u32 {
  const c: u32 = load<u8>(at);
  if (c - 0x30 < 10) return c - 0x30;
  const letter = (c | 0x20) - 0x61;
  return letter < 6 ? letter + 10 : 16;
}

/** The inode of this path without leading slashes, or 0. Empty: the root, which need not be in the archive. */
export function archiveFind(name: usize, nameBytes: usize): usize {
  let at = firstInode;
  while (at !== 0) {
    const inode = changetype<Inode>(at);
    if (usize(inode.nameBytes) === nameBytes && memory.compare(inode.name, name, nameBytes) === 0) return at;
    at = inode.next;
  }
  return 0;
}

export function archiveFirst(): usize {
  return firstInode;
}
