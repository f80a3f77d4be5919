// Pipes (pipe(2), pipe(7)): bytes that one end writes and the other end reads, once. They are kept as on Linux, in a ring of 16 pages: what is written
// goes into the last page if all of it fits there, else into one of its own, so that a write of up to PIPE_BUF bytes is there as a
// whole or not at all. Nothing here waits for data or for room: that is -EAGAIN (process/stream.ts waits).
import { frameAllocate, frameFree } from "../memory/frames";
import { mayTakeFrame } from "../memory/reserve";
import { allocate, release } from "../memory/slab";
import { EAGAIN, ENOMEM, EPIPE } from "../process/errno";
import { SleepLock, sleepLockCreate, sleepLockDestroy } from "../process/lock";
import { TYPE_FIFO } from "./archive";
import { File, fileCreate, KIND_PIPE, O_RDONLY, O_WRONLY } from "./file";
import { ALWAYS, POLLERR, POLLHUP, READABLE, Source, tell, WRITABLE } from "./readiness";

export const PIPE_BUF: usize = 4096;
const SLOTS: u32 = 16;
/** F_GETPIPE_SZ */
export const PIPE_BYTES: i64 = i64(SLOTS) * i64(PIPE_BUF);
/** Pipe.ends */
const READER: u32 = 1;
const WRITER: u32 = 2;

@unmanaged
class Slot {
  page: usize = 0;
  /** Where in it unread bytes begin, and how many there are. */
  from: u32 = 0;
  bytes: u32 = 0;
}

/** The ring is under `lock`, which is held for a few steps and a page's copy; readiness is told of without it. */
@unmanaged
class Pipe {
  lock: usize = 0;
  slots: usize = 0;
  first: u32 = 0;
  used: u32 = 0;
  /** Which ends are open. */
  ends: u32 = 0;
  /** Ends that still touch this record. */
  references: u32 = 0;
  readSource: usize = 0;
  writeSource: usize = 0;
  number: u64 = 0;

  sleepLock(): SleepLock {
    return changetype<SleepLock>(this.lock);
  }
  /** The so manieth that is used. */
  slot(index: u32): Slot {
    return changetype<Slot>(this.slots + <usize>((this.first + index) % SLOTS) * offsetof<Slot>());
  }
}

/** Of the pipes that there were: st_ino. */
const numbers: usize = memory.data(8, 8);

function pipeOf(file: File): Pipe {
  return changetype<Pipe>(file.stream);
}

/** Both ends, as two Files at `into`, for reading and for writing. */
export function pipeCreate(flags: u32, into: usize): void {
  const pipe = changetype<Pipe>(allocate(offsetof<Pipe>()));
  pipe.lock = changetype<usize>(sleepLockCreate());
  pipe.slots = allocate(<usize>SLOTS * offsetof<Slot>());
  pipe.ends = READER | WRITER;
  pipe.references = 2;
  pipe.readSource = allocate(offsetof<Source>());
  pipe.writeSource = allocate(offsetof<Source>());
  pipe.number = u64(atomic.add<u32>(numbers, 1)) + 1;
  store<usize>(into, changetype<usize>(end(pipe, O_RDONLY | flags, pipe.readSource)));
  store<usize>(into + 4, changetype<usize>(end(pipe, O_WRONLY | flags, pipe.writeSource)));
}

function end(pipe: Pipe, flags: u32, source: usize): File {
  const file = fileCreate(KIND_PIPE, flags, 0, 0);
  file.stream = changetype<usize>(pipe);
  file.source = source;
  file.mode = TYPE_FIFO | 0o600;
  file.number = pipe.number;
  return file;
}

/** An end is open no more. */
export function pipeEnd(file: File): void {
  const pipe = pipeOf(file);
  const other = file.readable() ? pipe.writeSource : pipe.readSource;
  pipe.sleepLock().acquire();
  pipe.ends &= ~(file.readable() ? READER : WRITER);
  pipe.sleepLock().release();
  tell(changetype<Source>(other), READABLE | WRITABLE | ALWAYS);
  if (atomic.sub<u32>(changetype<usize>(pipe) + offsetof<Pipe>("references"), 1) === 1) destroy(pipe);
}

function destroy(pipe: Pipe): void {
  for (let i: u32 = 0; i < pipe.used; i++) frameFree(pipe.slot(i).page);
  sleepLockDestroy(pipe.sleepLock());
  release(pipe.slots);
  release(pipe.readSource);
  release(pipe.writeSource);
  release(changetype<usize>(pipe));
}

/** Of the first page; they stay there until pipeTaken(). */
export function pipeRead(file: File, _offset: u64, buffer: usize, bytes: usize): i64 {
  if (bytes === 0) return 0;
  const pipe = pipeOf(file);
  let result: i64 = 0;
  pipe.sleepLock().acquire();
  if (pipe.used > 0) {
    const slot = pipe.slot(0);
    result = i64(min<usize>(bytes, usize(slot.bytes)));
    memory.copy(buffer, slot.page + usize(slot.from), usize(result));
  } else if (pipe.ends & WRITER) result = -EAGAIN;
  pipe.sleepLock().release();
  return result;
}

/** So many bytes, which were read, go out. The open file's lock has been held since. */
export function pipeTaken(file: File, bytes: usize): void {
  assert(file.sleepLock().held(), "bytes of a pipe are taken that another one has read");
  const pipe = pipeOf(file);
  pipe.sleepLock().acquire();
  const wasFull = pipe.used === SLOTS;
  const slot = pipe.slot(0);
  slot.from += u32(bytes);
  slot.bytes -= u32(bytes);
  if (slot.bytes === 0) drop(pipe);
  const room = wasFull && pipe.used < SLOTS;
  pipe.sleepLock().release();
  if (room) tell(changetype<Source>(pipe.writeSource), WRITABLE);
}

function drop(pipe: Pipe): void {
  frameFree(pipe.slot(0).page);
  pipe.first = (pipe.first + 1) % SLOTS;
  pipe.used--;
}

/** Up to PIPE_BUF bytes, all of them or none. */
export function pipeWrite(file: File, _offset: u64, buffer: usize, bytes: usize): i64 {
  if (bytes === 0) return 0;
  const pipe = pipeOf(file);
  pipe.sleepLock().acquire();
  let result: i64 = i64(bytes);
  if (!(pipe.ends & READER)) result = -EPIPE;
  else if (fits(pipe, bytes)) append(pipe.slot(pipe.used - 1), buffer, bytes);
  else if (pipe.used === SLOTS) result = -EAGAIN;
  else if (!add(pipe, buffer, bytes)) result = -ENOMEM;
  pipe.sleepLock().release();
  if (result > 0) tell(changetype<Source>(pipe.readSource), READABLE);
  return result;
}

/** Into the last page. */
function fits(pipe: Pipe, bytes: usize): bool {
  if (pipe.used === 0) return false;
  const last = pipe.slot(pipe.used - 1);
  return usize(last.from + last.bytes) + bytes <= PIPE_BUF;
}

function append(slot: Slot, buffer: usize, bytes: usize): void {
  memory.copy(slot.page + usize(slot.from + slot.bytes), buffer, bytes);
  slot.bytes += u32(bytes);
}

function add(pipe: Pipe, buffer: usize, bytes: usize): bool {
  const page = mayTakeFrame() ? frameAllocate() : 0;
  if (page === 0) return false;
  const slot = pipe.slot(pipe.used++);
  slot.page = page;
  slot.from = 0;
  slot.bytes = 0;
  append(slot, buffer, bytes);
  return true;
}

/** With how many of so many bytes a write is to begin: what fills no page goes into the last one first. */
export function pipeBegin(file: File, bytes: u64): usize {
  const pipe = pipeOf(file);
  const odd = usize(bytes % u64(PIPE_BUF));
  pipe.sleepLock().acquire();
  const first = odd !== 0 && fits(pipe, odd);
  pipe.sleepLock().release();
  return first ? odd : usize(min<u64>(bytes, u64(PIPE_BUF)));
}

/** FIONREAD */
export function pipeUnread(file: File): u32 {
  const pipe = pipeOf(file);
  let bytes: u32 = 0;
  pipe.sleepLock().acquire();
  for (let i: u32 = 0; i < pipe.used; i++) bytes += pipe.slot(i).bytes;
  pipe.sleepLock().release();
  return bytes;
}

/** The lock of readiness is held, not the pipe's. */
export function pipeReady(file: File): u32 {
  const pipe = pipeOf(file);
  if (file.readable()) return (pipe.used > 0 ? READABLE : 0) | (pipe.ends & WRITER ? 0 : POLLHUP);
  return (pipe.used < SLOTS ? WRITABLE : 0) | (pipe.ends & READER ? 0 : POLLERR);
}
