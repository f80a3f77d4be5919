// A ring of SYSLINK messages with one writer and one reader (promises 18, 28, 29): what a link keeps until the other
// side has it, and what a shared-memory FIFO between two address spaces would be.
//
// Invariant: a message is 8-aligned and in one piece: one that does not fit before the end of the ring begins at its
// start, and a filler message (command FILLER, linkid 0) takes up the rest. Positions count bytes for ever, modulo
// 2^32; the ring's size is a power of two.
import { HEADER_BYTES, MessageHeader, padded } from "./message";

export const FILLER: u32 = 0;

@unmanaged
export class Fifo {
  base: usize = 0;
  size: u32 = 0;
  /** Written by the writer only. */
  head: u32 = 0;
  /** Written by the reader only. */
  tail: u32 = 0;
}

export function fifoCreate(fifo: Fifo, base: usize, size: u32): void {
  assert(
    (base & 7) == 0 && size >= 64 && (size & (size - 1)) == 0,
    "a ring is 8-aligned, its size a power of two",
  );
  fifo.base = base;
  fifo.size = size;
  fifo.head = 0;
  fifo.tail = 0;
}

export function fifoAddress(fifo: Fifo, position: u32): usize {
  return fifo.base + (position & (fifo.size - 1));
}

export function fifoUsed(fifo: Fifo): u32 {
  return fifo.head - fifo.tail;
}

/** Room for a message of up to `bytes` in one piece, or 0. It belongs to the writer until fifoCommit. */
export function fifoReserve(fifo: Fifo, bytes: u32): usize {
  const need = padded(bytes);
  const free = fifo.size - fifoUsed(fifo);
  const toEnd = fifo.size - (fifo.head & (fifo.size - 1));
  if (need <= toEnd) return need <= free ? fifoAddress(fifo, fifo.head) : 0;
  if (toEnd + need > free) return 0;
  fill(fifo, toEnd);
  return fifoAddress(fifo, fifo.head);
}

/** The message at the address that fifoReserve gave is complete and `bytes` long, padding included. */
export function fifoCommit(fifo: Fifo, bytes: u32): void {
  assert(
    bytes != 0 && (bytes & 7) == 0 && bytes <= fifo.size - fifoUsed(fifo),
    "fifoCommit: more than reserved",
  );
  fifo.head += bytes;
}

/** Eight bytes are too short for a header: there reader and writer both go on at the start. */
function fill(fifo: Fifo, bytes: u32): void {
  if (bytes >= HEADER_BYTES) {
    const header = changetype<MessageHeader>(fifoAddress(fifo, fifo.head));
    header.linkid = 0;
    header.msgid = 0;
    header.command = <u16>FILLER;
    header.length = <u16>bytes;
  }
  fifo.head += bytes;
}

/** The first position at or behind `position` where a real message begins; may be `head`. */
export function fifoSkip(fifo: Fifo, position: u32): u32 {
  if (position == fifo.head) return position;
  const toEnd = fifo.size - (position & (fifo.size - 1));
  if (toEnd < HEADER_BYTES) return position + toEnd;
  const header = changetype<MessageHeader>(fifoAddress(fifo, position));
  return <u32>header.command == FILLER && header.linkid == 0 ? position + padded(header.length) : position;
}

/** The oldest message, or 0. */
export function fifoFirst(fifo: Fifo): MessageHeader {
  fifo.tail = fifoSkip(fifo, fifo.tail);
  return changetype<MessageHeader>(fifo.tail == fifo.head ? <usize>0 : fifoAddress(fifo, fifo.tail));
}

/** The reader is done with everything before `position`. */
export function fifoRelease(fifo: Fifo, position: u32): void {
  assert(position - fifo.tail <= fifoUsed(fifo), "fifoRelease: beyond what was written");
  fifo.tail = position;
}
