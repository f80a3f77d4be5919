// A process's table of file descriptors. `lock` is a spinlock held for a few steps; a File taken from the table is
// referenced before the lock goes, so that another thread's close() cannot free it under a read.
import { SpinLock } from "../lwkt/spinlock";
import { allocate, release } from "../memory/slab";
import { EBADF, EMFILE } from "../process/errno";
import { File, fileClosed, fileReference } from "./file";

export const DESCRIPTORS_MAX: u32 = 1024;
const FIRST_CAPACITY: u32 = 64;

@unmanaged
export class Descriptors {
  lock: usize = 0;
  /** Per descriptor a pair: File address (0 = free), FD_CLOEXEC. */
  slots: usize = 0;
  capacity: u32 = 0;

  spinLock(): SpinLock {
    return changetype<SpinLock>(this.lock);
  }
}

const SLOT_SHIFT: usize = 3;

export function descriptorsCreate(): Descriptors {
  const table = changetype<Descriptors>(allocate(offsetof<Descriptors>()));
  table.lock = allocate(offsetof<SpinLock>());
  table.slots = allocate((<usize>FIRST_CAPACITY) << SLOT_SHIFT);
  table.capacity = FIRST_CAPACITY;
  return table;
}

/** By the process's last thread. */
export function descriptorsDestroy(table: Descriptors): void {
  for (let fd: u32 = 0; fd < table.capacity; fd++) {
    const file = load<usize>(table.slots + ((<usize>fd) << SLOT_SHIFT));
    if (file) fileClosed(changetype<File>(file), changetype<usize>(table));
  }
  release(table.slots);
  release(table.lock);
  release(changetype<usize>(table));
}

/** The open file with a reference for the caller, or 0. */
export function descriptorFile(table: Descriptors, fd: u64): usize {
  table.spinLock().acquire();
  const file = slotFile(table, fd);
  if (file) fileReference(changetype<File>(file));
  table.spinLock().release();
  return file;
}

function slotFile(table: Descriptors, fd: u64): usize {
  return fd < u64(table.capacity) ? load<usize>(table.slots + (usize(fd) << SLOT_SHIFT)) : 0;
}

/** The lowest free descriptor from `least` on for this file, whose reference it takes over; -EMFILE. */
export function descriptorAdd(table: Descriptors, file: File, least: u64, closeOnExec: bool): i64 {
  table.spinLock().acquire();
  let fd = least;
  while (fd < u64(DESCRIPTORS_MAX) && slotFile(table, fd)) fd++;
  const found = fd < u64(DESCRIPTORS_MAX);
  if (found) put(table, u32(fd), file, closeOnExec);
  table.spinLock().release();
  return found ? i64(fd) : -EMFILE;
}

export function descriptorsFull(table: Descriptors): bool {
  table.spinLock().acquire();
  let fd: u64 = 0;
  while (fd < u64(DESCRIPTORS_MAX) && slotFile(table, fd)) fd++;
  table.spinLock().release();
  return fd === u64(DESCRIPTORS_MAX);
}

/** dup2: the file at exactly this number; what was there is closed. Takes the reference over. */
export function descriptorSet(table: Descriptors, fd: u64, file: File, closeOnExec: bool): i64 {
  if (fd >= u64(DESCRIPTORS_MAX)) return -EBADF;
  table.spinLock().acquire();
  const old = slotFile(table, fd);
  put(table, u32(fd), file, closeOnExec);
  table.spinLock().release();
  if (old) fileClosed(changetype<File>(old), changetype<usize>(table));
  return i64(fd);
}

export function descriptorClose(table: Descriptors, fd: u64): i64 {
  table.spinLock().acquire();
  const old = slotFile(table, fd);
  if (old) store<u64>(table.slots + (usize(fd) << SLOT_SHIFT), 0);
  table.spinLock().release();
  if (!old) return -EBADF;
  fileClosed(changetype<File>(old), changetype<usize>(table));
  return 0;
}

/** FD_CLOEXEC of an open descriptor, or -EBADF. */
export function descriptorFlags(table: Descriptors, fd: u64): i64 {
  table.spinLock().acquire();
  const flags = slotFile(table, fd) ? i64(load<u32>(table.slots + (usize(fd) << SLOT_SHIFT) + 4)) : -EBADF;
  table.spinLock().release();
  return flags;
}

export function descriptorSetFlags(table: Descriptors, fd: u64, flags: u32): i64 {
  table.spinLock().acquire();
  const open = slotFile(table, fd) !== 0;
  if (open) store<u32>(table.slots + (usize(fd) << SLOT_SHIFT) + 4, flags);
  table.spinLock().release();
  return open ? 0 : -EBADF;
}

/** Lock held; `fd` is below DESCRIPTORS_MAX. */
function put(table: Descriptors, fd: u32, file: File, closeOnExec: bool): void {
  while (fd >= table.capacity) {
    const larger = allocate((<usize>table.capacity) << (SLOT_SHIFT + 1));
    memory.copy(larger, table.slots, (<usize>table.capacity) << SLOT_SHIFT);
    release(table.slots);
    table.slots = larger;
    table.capacity <<= 1;
  }
  const slot = table.slots + ((<usize>fd) << SLOT_SHIFT);
  store<usize>(slot, changetype<usize>(file));
  store<u32>(slot + 4, u32(closeOnExec));
}
