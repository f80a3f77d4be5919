// The file systems that there are: one row of functions each. A row says what the file system has by itself, and nothing about other machines: the
// layer above (tree.ts over names.ts) makes names of any of them coherent over the cluster, and all that is changed in it.
import { allocate } from "../memory/slab";
import { SleepLock, sleepLockCreate } from "../process/lock";
import {
  archiveByOrdinal,
  archiveChild,
  archiveDigest,
  archiveNext,
  archiveTree,
  Inode,
  TYPE_CHARACTER,
  TYPE_DIRECTORY,
} from "./archive";
import { namesAre, Place, ROOT_NUMBER, ROOT_ORDER } from "./names";

/** The archive at the root; memory, empty in the beginning; devices; shared objects by name (objects.ts), which has no directories. */
export const SYSTEM_ROOT: u32 = 0;
export const SYSTEM_MEMORY: u32 = 1;
export const SYSTEM_DEVICES: u32 = 2;
export const SYSTEM_SHARED: u32 = 3;
const SYSTEMS: u32 = 4;

@unmanaged
class FileSystem {
  /** In the root directory; 0 = it is the root. */
  name: usize = 0;
  /** Names are coherent and can be changed (names.ts). */
  changes: u32 = 0;
  /** () => usize: the root directory's Inode, 0 = there is nothing in it. */
  root: u32 = 0;
  /** (directory: usize, name: usize, bytes: usize) => usize: Inode, 0 = there is none of that name. */
  child: u32 = 0;
  /** (directory: usize, least: u32) => usize: the first Inode in it whose ordinal is `least` or more, 0 = none. */
  next: u32 = 0;
  /** (ordinal: u32) => usize */
  byOrdinal: u32 = 0;
  /** () => u32: what tells its contents from those of a file system that other machines have here. */
  digest: u32 = 0;
  /** What names.ts opens for it, 0 = not asked for yet. */
  number: u64 = 0;
}

const rows: usize = memory.data(192, 8);

function rowAt(system: u32): FileSystem {
  assert(system < SYSTEMS, "a file system of no number");
  return changetype<FileSystem>(rows + <usize>system * offsetof<FileSystem>());
}

function row(
  system: u32,
  name: string,
  changes: bool,
  root: u32,
  child: u32,
  next: u32,
  byOrdinal: u32,
  digest: u32,
): void {
  const at = rowAt(system);
  at.name = changetype<usize>(name);
  at.changes = u32(changes);
  at.root = root;
  at.child = child;
  at.next = next;
  at.byOrdinal = byOrdinal;
  at.digest = digest;
}

export function fileSystemsPrepare(): void {
  assert(SYSTEMS * u32(offsetof<FileSystem>()) <= 192, "the table of file systems is larger than its memory");
  //  system          name    changes root              child              next              byOrdinal               digest
  row(
    SYSTEM_ROOT,
    "",
    true,
    archiveRoot.index,
    archiveChild.index,
    archiveNext.index,
    archiveByOrdinal.index,
    archiveDigest.index,
  );
  row(
    SYSTEM_MEMORY,
    "tmp",
    true,
    nothing.index,
    noChild.index,
    noNext.index,
    noOrdinal.index,
    noDigest.index,
  );
  row(
    SYSTEM_DEVICES,
    "dev",
    false,
    deviceRoot.index,
    deviceChild.index,
    deviceNext.index,
    noOrdinal.index,
    noDigest.index,
  );
  row(
    SYSTEM_SHARED,
    "shm",
    false,
    nothing.index,
    noChild.index,
    noNext.index,
    noOrdinal.index,
    noDigest.index,
  );
}

// --- What the layer above asks ---

export function systemChanges(system: u32): bool {
  return rowAt(system).changes !== 0;
}

/** Its root directory, with its names open; or an error. */
export function systemRoot(system: u32, into: Place): i64 {
  const at = rowAt(system);
  into.system = system;
  into.order = ROOT_ORDER;
  into.first = 0;
  into.number = at.changes !== 0 ? ROOT_NUMBER : 0;
  into.node = call_indirect<usize>(at.root);
  if (at.changes === 0) return 0;
  if (at.number === 0) at.number = (u64(call_indirect<u32>(at.digest)) << 8) | u64(system) | 0x80;
  namesAre(system, at.number);
  return 0;
}

export function nodeChild(system: u32, directory: usize, name: usize, bytes: u32): usize {
  return directory === 0 ? 0 : call_indirect<usize>(rowAt(system).child, directory, name, usize(bytes));
}

export function nodeNext(system: u32, directory: usize, least: u32): usize {
  return directory === 0 ? 0 : call_indirect<usize>(rowAt(system).next, directory, least);
}

export function nodeByOrdinal(system: u32, ordinal: u32): usize {
  return ordinal === 0 ? 0 : call_indirect<usize>(rowAt(system).byOrdinal, ordinal);
}

/** The file system whose root this name in the root directory is; SYSTEM_ROOT: none. */
export function mountedAt(name: usize, bytes: u32): u32 {
  for (let system: u32 = 1; system < SYSTEMS; system++) if (isNamed(system, name, bytes)) return system;
  return SYSTEM_ROOT;
}

function isNamed(system: u32, name: usize, bytes: u32): bool {
  const text = changetype<string>(rowAt(system).name);
  if (u32(text.length) !== bytes) return false;
  for (let i = 0; i < text.length; i++)
    if (u32(load<u8>(name + usize(i))) !== u32(text.charCodeAt(i))) return false;
  return true;
}

/** Copies the name by which a file system is mounted; its length. */
export function mountName(system: u32, into: usize): u32 {
  const text = changetype<string>(rowAt(system).name);
  for (let i = 0; i < text.length; i++) store<u8>(into + usize(i), u8(text.charCodeAt(i)));
  return u32(text.length);
}

/** The next file system that is mounted, from this one on; SYSTEM_ROOT: there are no more. */
export function mountNext(system: u32): u32 {
  return system + 1 < SYSTEMS ? system + 1 : SYSTEM_ROOT;
}

// --- The rows' functions ---

function archiveRoot(): usize {
  return changetype<usize>(archiveTree());
}
function nothing(): usize {
  return 0;
}
function noChild(_directory: usize, _name: usize, _bytes: usize): usize {
  return 0;
}
function noNext(_directory: usize, _least: u32): usize {
  return 0;
}
function noOrdinal(_ordinal: u32): usize {
  return 0;
}
function noDigest(): u32 {
  return 0;
}

/** Linked by next, each the ordinal and the kind of file (file.ts) as its number. */
let devices: usize = 0;
let devicesLock = changetype<SleepLock>(0);
let devicesMaker: u32 = 0;

/** `maker`, () => void, adds all devices when somebody first looks for one. */
export function devicesFrom(maker: u32): void {
  devicesLock = sleepLockCreate();
  devicesMaker = maker;
}

function deviceRoot(): usize {
  devicesLock.acquire();
  if (devices === 0) call_indirect(devicesMaker);
  devicesLock.release();
  return devices;
}

/** A device that programs find in /dev; `kind` a row of file.ts. The names of its row. */
export function deviceAdd(name: string, kind: u32): void {
  if (devices === 0) {
    const root = changetype<Inode>(allocate(offsetof<Inode>()));
    root.mode = TYPE_DIRECTORY | 0o755;
    root.ordinal = 1;
    devices = changetype<usize>(root);
  }
  const inode = changetype<Inode>(allocate(offsetof<Inode>()));
  inode.base = allocate(usize(name.length));
  for (let i = 0; i < name.length; i++) store<u8>(inode.base + usize(i), u8(name.charCodeAt(i)));
  inode.baseBytes = u32(name.length);
  inode.mode = TYPE_CHARACTER | 0o666;
  inode.number = kind;
  inode.parent = devices;
  let last = changetype<Inode>(devices);
  while (last.next !== 0) last = changetype<Inode>(last.next);
  inode.ordinal = last.ordinal + 1;
  last.next = changetype<usize>(inode);
}

function deviceChild(directory: usize, name: usize, bytes: usize): usize {
  for (let at = changetype<Inode>(directory).next; at !== 0; at = changetype<Inode>(at).next) {
    const inode = changetype<Inode>(at);
    if (usize(inode.baseBytes) === bytes && memory.compare(inode.base, name, bytes) === 0) return at;
  }
  return 0;
}

function deviceNext(directory: usize, least: u32): usize {
  let at = changetype<Inode>(directory).next;
  while (at !== 0 && changetype<Inode>(at).ordinal < least) at = changetype<Inode>(at).next;
  return at;
}
