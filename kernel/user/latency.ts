// What one operation on a shared page costs between machines of one core each, of which machine 1 performs it.
// Usage: latency OPERATION [COUNT [FILE [each|prepare]]]; operations:
//   read       machine 1 reads pages that machine 2 has written
//   write      machine 1 writes pages that machine 2 has written
//   upgrade    machine 1 writes pages that machine 2 has written and all have read
//   read-busy, write-busy, upgrade-busy  the same while all other machines compute instead of sleeping
//   add        machines 1 and 2 add to one word at once with LOCK XADD; an operation is one addition
// The pages are of FILE, whose name chooses their home (coherence/homes.ts). With "prepare" all is done but the operation itself: what to
// subtract when counting messages. Machine 1 prints `latency: OPERATION COUNT ns N`, the time by CLOCK_MONOTONIC of all COUNT operations;
// with "each", which reads the clock after every one, also ` median N p99 N`, nanoseconds of one operation.
import { peek32, poke32 } from "./arch";
import {
  argument,
  argumentCount,
  argumentIs,
  decimal,
  exit,
  mapPrivate,
  mapShared,
  mapSharedAt,
  meet,
  node,
  nodes,
  now,
  numberArgument,
  programStart,
  text,
  textAt,
} from "./libuser";

const PAGE: usize = 4096;
const COUNT: u32 = 100;
const COUNT_MAX: u32 = 16384;
const ADDS_MAX: u32 = 1_000_000;

let common: usize = 0;
/** A page for each machine that computes, so that nobody else comes to it meanwhile: not 0 when it is to stop. */
let stops: usize = 0;
let pages: usize = 0;
let count: u32 = 0;
/** Where each operation's nanoseconds are kept; 0 when nobody asked. */
let times: usize = 0;
let operation: u32 = 0;
let last: u64 = 0;

function page(index: u32): u64 {
  return u64(pages + usize(index) * PAGE);
}

function stop(machine: u32): usize {
  return stops + usize(machine) * PAGE;
}

function writeAll(value: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    poke32(page(i), value);
    done();
  }
}

function readAll(): void {
  for (let i: u32 = 0; i < count; i++) {
    peek32(page(i));
    done();
  }
}

/** An operation ended: its time is kept where one was asked for. */
function done(): void {
  if (times === 0) return;
  const at = now();
  store<u64>(times + usize(operation) * 8, at - last);
  operation++;
  last = at;
}

/** Sorts the times that were kept, by insertion: there are some thousands at most. */
function sortTimes(): void {
  for (let i: u32 = 1; i < operation; i++) {
    const time = load<u64>(times + usize(i) * 8);
    let j = i;
    while (j > 0 && load<u64>(times + usize(j - 1) * 8) > time) {
      store<u64>(times + usize(j) * 8, load<u64>(times + usize(j - 1) * 8));
      j--;
    }
    store<u64>(times + usize(j) * 8, time);
  }
}

function percentile(percent: u32): u64 {
  return load<u64>(times + usize(((operation - 1) * percent) / 100) * 8);
}

function everybody(): void {
  meet(common, nodes());
}

export function start(stack: u64): void {
  programStart(stack);
  count = u32(numberArgument(2, COUNT));
  const reads = argumentIs(1, "read") || argumentIs(1, "read-busy");
  const writes = argumentIs(1, "write") || argumentIs(1, "write-busy");
  const upgrades = argumentIs(1, "upgrade") || argumentIs(1, "upgrade-busy");
  const busy = argumentIs(1, "read-busy") || argumentIs(1, "write-busy") || argumentIs(1, "upgrade-busy");
  const adds = argumentIs(1, "add");
  const each = argumentIs(4, "each");
  const prepares = argumentIs(4, "prepare");
  const known = (reads || writes || upgrades || adds) && (each || prepares || argumentCount() <= 4);
  if (!known || count === 0 || count > (adds && !each ? ADDS_MAX : COUNT_MAX) || nodes() < 2) {
    text(
      "usage: latency read|write|upgrade|read-busy|write-busy|upgrade-busy|add [COUNT [FILE [each|prepare]]], on 2 machines or more\n",
    );
    exit(2);
  }
  common = mapShared("/shm/latency", PAGE);
  stops = mapShared("/shm/latency.stops", usize(nodes() + 1) * PAGE);
  const bytes = usize(COUNT_MAX) * PAGE;
  pages = argumentCount() > 3 ? mapSharedAt(argument(3), bytes) : mapShared("/shm/latency.pages", bytes);
  everybody();
  if (!adds && node() === 2) writeAll(1);
  everybody();
  if (upgrades && node() !== 2) readAll();
  everybody();
  let elapsed: u64 = 0;
  if (node() === 1) {
    const before = now();
    if (each) times = mapPrivate(usize(count) * 8);
    last = before;
    if (!prepares) {
      if (reads) readAll();
      else if (adds) add();
      else writeAll(2);
    }
    elapsed = now() - before;
    if (busy) for (let each: u32 = 2; each <= nodes(); each++) atomic.store<u32>(stop(each), 1);
  } else if (busy) compute();
  else if (adds && node() === 2 && !prepares) add();
  everybody();
  if (node() === 1) {
    text("latency: ");
    textAt(argument(1));
    text(" ");
    decimal(u64(count));
    text(" ns ");
    decimal(elapsed);
    if (times !== 0) {
      sortTimes();
      text(" median ");
      decimal(percentile(50));
      text(" p99 ");
      decimal(percentile(99));
    }
    text("\n");
  }
  exit(0);
}

function add(): void {
  for (let i: u32 = 0; i < count; i++) {
    atomic.add<u64>(common + 128, 1);
    done();
  }
}

/** Keeps the core busy until machine 1 has done. */
function compute(): void {
  let x: u32 = 1;
  while (atomic.load<u32>(stop(node())) === 0)
    for (let i = 0; i < 1000; i++) x = x * 1_664_525 + 1_013_904_223;
  if (x === 0) text("");
}
