// The initial file system: module 0, a cpio archive in the "newc" format (Linux Documentation/driver-api/
// early-userspace/buffer-format.rst), read in place and never written.
//
// Invariant: every inode's name and data lie within the module; what is cut or foreign is refused at mount, with
// the offset where it went wrong, and the entries before it stay.
import { print, printDecimal } from "../console";
import { allocate } from "../memory/slab";
import { moduleAddress, moduleBytes } from "../options";
import { SleepLock, sleepLockCreate } from "../process/lock";
import { CHECK_START, check } from "../syslink/check";

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
  // The tree (archiveTree): the directory that it lies in, 0 = it is the root; the last part of its name; its place in the list, from 1 on.
  parent: usize = 0;
  base: usize = 0;
  baseBytes: u32 = 0;
  ordinal: u32 = 0;
  /** A program that runs here: nobody writes to it. */
  runs: u32 = 0;
}

let firstInode: usize = 0;
let lastInode: usize = 0;
let root: usize = 0;
let treeLock = changetype<SleepLock>(0);

/** Reads the archive's headers. Without a module the file system is empty. */
export function archiveMount(): void {
  treeLock = sleepLockCreate();
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
    last = lastInode = inode;
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

// --- As a tree ---

/**
 * The root directory. The first call finds which entry lies in which, and makes those directories that the archive only implies; the same archive
 * gives the same ordinals on every machine.
 */
export function archiveTree(): Inode {
  treeLock.acquire();
  if (root === 0) {
    let ordinal: u32 = 0;
    for (let at = firstInode; at !== 0; at = changetype<Inode>(at).next)
      changetype<Inode>(at).ordinal = ++ordinal;
    root = archiveFind(0, 0);
    if (root === 0) root = imply(0, 0);
    for (let at = firstInode; at !== 0; at = changetype<Inode>(at).next)
      if (at !== root) place(changetype<Inode>(at));
  }
  treeLock.release();
  return changetype<Inode>(root);
}

/** What it lies in is made behind it in the list, and then placed in turn. */
function place(inode: Inode): void {
  let slash = inode.nameBytes;
  while (slash > 0 && load<u8>(inode.name + slash - 1) !== 0x2f) slash--;
  inode.base = inode.name + slash;
  inode.baseBytes = inode.nameBytes - slash;
  if (slash === 0) {
    inode.parent = root;
    return;
  }
  const parent = archiveFind(inode.name, slash - 1);
  inode.parent = parent !== 0 ? parent : imply(inode.name, slash - 1);
}

function imply(name: usize, nameBytes: u32): usize {
  const inode = changetype<Inode>(allocate(offsetof<Inode>()));
  inode.name = name;
  inode.nameBytes = nameBytes;
  inode.mode = TYPE_DIRECTORY | 0o755;
  inode.ordinal = lastInode !== 0 ? changetype<Inode>(lastInode).ordinal + 1 : 1;
  if (lastInode !== 0) changetype<Inode>(lastInode).next = changetype<usize>(inode);
  else firstInode = changetype<usize>(inode);
  lastInode = changetype<usize>(inode);
  return lastInode;
}

/** Of a directory of the tree, by the last part of the name; 0 = there is none. */
export function archiveChild(directory: usize, name: usize, nameBytes: usize): usize {
  for (let at = firstInode; at !== 0; at = changetype<Inode>(at).next) {
    const inode = changetype<Inode>(at);
    if (inode.parent !== directory || usize(inode.baseBytes) !== nameBytes) continue;
    if (memory.compare(inode.base, name, nameBytes) === 0) return at;
  }
  return 0;
}

/** The first entry in a directory whose ordinal is `least` or more; 0 = there is none. */
export function archiveNext(directory: usize, least: u32): usize {
  let at = firstInode;
  while (at !== 0 && (changetype<Inode>(at).parent !== directory || changetype<Inode>(at).ordinal < least)) {
    at = changetype<Inode>(at).next;
  }
  return at;
}

export function archiveByOrdinal(ordinal: u32): usize {
  let at = firstInode;
  while (at !== 0 && changetype<Inode>(at).ordinal !== ordinal) at = changetype<Inode>(at).next;
  return at;
}

/** Of all bytes of the archive: machines with other ones have other files. */
export function archiveDigest(): u32 {
  return check(CHECK_START, moduleAddress(), u32(moduleBytes() & ~7));
}
