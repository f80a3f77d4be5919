// Records that are longer than a page and lie across pages, written by one pwrite() and read by one pread() on every machine at once: each
// must be seen whole. Usage: records HOW COUNT [BYTES]; HOW is
//   same      all machines write and read one record
//   overlap   two records, the second from the middle of the first on
//   apart     every machine has a record of its own
//   add       every machine adds COUNT records at the end of the file (O_APPEND)
// Machine 1 prints `records: HOW COUNT torn T backwards B`: reads that were not whole, and reads of a machine that saw an older record of
// some machine than it had seen before. Status 1 when one of them is not 0.
import { syscall } from "./arch";
import {
  argument,
  argumentIs,
  decimal,
  exit,
  fail,
  mapPrivate,
  mapShared,
  meet,
  node,
  nodes,
  numberArgument,
  programStart,
  text,
  textAt,
} from "./libuser";

const PREAD: u64 = 17;
const PWRITE: u64 = 18;
const WRITE: u64 = 1;
const OPEN: u64 = 2;
const LSEEK: u64 = 8;
const SEEK_END: u64 = 2;
const O_RDWR_CREAT: u64 = 0o102;
const O_APPEND: u64 = 0o2000;
/** Three pages and some. */
const BYTES: u64 = 3 * 4096 + 45;
const FIRST_AT: u64 = 101;
/** In the meeting page. */
const TORN: usize = 512;
const BACKWARDS: usize = 520;
/** Stamps: kind of record, machine, number. */
const SECOND: u64 = (<u64>1) << 62;
const MACHINE_SHIFT: u64 = 48;

let common: usize = 0;
let fd: u64 = 0;
let bytes: u64 = 0;
let buffer: usize = 0;
/** By machine and kind, the newest number seen. */
let seen: usize = 0;

export function start(stack: u64): void {
  programStart(stack);
  const count = numberArgument(2, 0);
  bytes = numberArgument(3, BYTES) & ~7;
  const known =
    argumentIs(1, "same") || argumentIs(1, "overlap") || argumentIs(1, "apart") || argumentIs(1, "add");
  if (!known || count === 0 || bytes < 64) {
    text("usage: records same|overlap|apart|add COUNT [BYTES]\n");
    exit(2);
  }
  common = mapShared("/shm/records.meeting", 4096);
  buffer = mapPrivate(usize(bytes) + 4096);
  seen = mapPrivate(4096);
  const name = mapPrivate(4096);
  const path = "/shm/records";
  for (let i = 0; i < path.length; i++) store<u8>(name + usize(i), u8(path.charCodeAt(i)));
  const flags = argumentIs(1, "add") ? O_RDWR_CREAT | O_APPEND : O_RDWR_CREAT;
  const opened = syscall(OPEN, u64(name), flags, 0o600, 0, 0, 0);
  if (opened < 0) fail(path, opened);
  fd = u64(opened);
  meet(common, nodes());
  if (argumentIs(1, "add")) add(count);
  else writeAndRead(count);
  meet(common, nodes());
  if (argumentIs(1, "add") && node() === 1) lookAll(count);
  exit(node() === 1 ? judge(count) : 0);
}

function at(second: bool): u64 {
  if (argumentIs(1, "apart")) return FIRST_AT + u64(node()) * (bytes + 8192);
  return second ? FIRST_AT + half() : FIRST_AT;
}

function half(): u64 {
  return (bytes >> 1) & ~7;
}

function fill(stamp: u64): void {
  for (let i: usize = 0; i < usize(bytes); i += 8) store<u64>(buffer + i, stamp);
}

function writeAndRead(count: u64): void {
  const overlap = argumentIs(1, "overlap");
  for (let i: u64 = 1; i <= count; i++) {
    const second = overlap && ((i ^ u64(node())) & 1) !== 0;
    fill((second ? SECOND : 0) | (u64(node()) << MACHINE_SHIFT) | i);
    done(syscall(PWRITE, fd, u64(buffer), bytes, at(second), 0, 0));
    const got = syscall(PREAD, fd, u64(buffer), bytes, at(false), 0, 0);
    // In front of a first write there may be nothing, or only the bytes before the second record.
    if (got === 0) continue;
    done(got);
    look(overlap);
  }
}

function done(result: i64): void {
  if (result < 0) fail("records", result);
  if (u64(result) !== bytes) atomic.add<u64>(common + TORN, 1);
}

/** Of the first record: all of it by one write, or its second half by one that wrote the second record. */
function look(overlap: bool): void {
  const first = load<u64>(buffer);
  const middle = overlap ? usize(half()) : 0;
  const second = load<u64>(buffer + middle);
  let torn = second !== first && (second & SECOND) === 0;
  if (first & SECOND) torn = true;
  for (let i: usize = 0; i < usize(bytes); i += 8) {
    const word = load<u64>(buffer + i);
    if (word !== (i < middle ? first : second)) torn = true;
  }
  if (torn) atomic.add<u64>(common + TORN, 1);
  remember(first, 0);
  if (second !== first) remember(second, 512);
}

function remember(stamp: u64, kind: usize): void {
  const number = stamp & 0xffff_ffff;
  const slot = seen + kind + (usize((stamp >> MACHINE_SHIFT) & 0x3f) << 3);
  if (number < load<u64>(slot)) atomic.add<u64>(common + BACKWARDS, 1);
  store<u64>(slot, number);
}

// --- Adding ---

function add(count: u64): void {
  for (let i: u64 = 1; i <= count; i++) {
    fill((u64(node()) << MACHINE_SHIFT) | i);
    done(syscall(WRITE, fd, u64(buffer), bytes, 0, 0, 0));
  }
}

/** Every record of every machine is there once, whole, in its order. */
function lookAll(count: u64): void {
  const end = syscall(LSEEK, fd, 0, SEEK_END, 0, 0, 0);
  if (end !== i64(count * u64(nodes()) * bytes)) atomic.add<u64>(common + TORN, 1);
  for (let place: u64 = 0; i64(place) < end; place += bytes) {
    done(syscall(PREAD, fd, u64(buffer), bytes, place, 0, 0));
    const slot = seen + (usize((load<u64>(buffer) >> MACHINE_SHIFT) & 0x3f) << 3);
    if ((load<u64>(buffer) & 0xffff_ffff) !== load<u64>(slot) + 1) atomic.add<u64>(common + BACKWARDS, 1);
    look(false);
  }
}

function judge(count: u64): i32 {
  const torn = load<u64>(common + TORN);
  const backwards = load<u64>(common + BACKWARDS);
  text("records: ");
  textAt(argument(1));
  text(" ");
  decimal(count);
  text(" torn ");
  decimal(torn);
  text(" backwards ");
  decimal(backwards);
  text("\n");
  return i32(torn !== 0 || backwards !== 0);
}
