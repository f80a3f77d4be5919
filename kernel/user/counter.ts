// The headline: one word in a file that all machines map, incremented by every core of every machine with LOCK XADD.
// Usage: counter [ADDS], 10000 unless told.
//
// Each thread keeps the old values that its additions returned, in pages of its own. If additions are atomic across
// machines, the old values of all threads together are a permutation of 0 .. n-1: a lost or doubled one shows.
//
//   /shm/counter, page 0: the word
//                 page 1: cores of machine k at 4(k-1); the meetings at MEETINGS; the verdict
//   /shm/counter.old:     a page-aligned region of ADDS x 8 bytes per thread, machine by machine
import {
  cores,
  decimal,
  exit,
  mapPrivate,
  mapShared,
  meet,
  node,
  nodes,
  numberArgument,
  pageUp,
  programStart,
  text,
  threadJoin,
  threadRun,
} from "./libuser";

const ADDS: u64 = 10_000;
const ADDS_MAX: u64 = 1_000_000;
const NODES_MAX: u32 = 64;
const CORES_MAX: u32 = 64;
const PAGE: usize = 4096;
const MEETINGS: usize = 512;
const VERDICT: usize = 1024;
/** Progress is printed at each of so many parts of the way, but the last. */
const STEPS: u64 = 4;

let adds: u64 = 0;
let total: u64 = 0;
let word: usize = 0;
let common: usize = 0;
let oldValues: usize = 0;
let regionBytes: usize = 0;
let threadsBefore: u32 = 0;

export function start(stack: u64): void {
  programStart(stack);
  adds = numberArgument(1, ADDS);
  if (adds === 0 || adds > ADDS_MAX || nodes() > NODES_MAX) {
    text("usage: counter [ADDS], from 1 to 1000000, on up to 64 machines\n");
    exit(2);
  }
  word = mapShared("/shm/counter", 2 * PAGE);
  common = word + PAGE;
  const coresHere = min<u32>(cores(), CORES_MAX);
  atomic.store<u32>(common + (usize(node() - 1) << 2), coresHere);
  meet(common + MEETINGS, nodes());
  layOut();
  const threads = mapPrivate(PAGE);
  for (let i: u32 = 0; i < coresHere; i++) store<usize>(threads + ((<usize>i) << 2), threadRun(add.index, i));
  for (let i: u32 = 0; i < coresHere; i++) threadJoin(load<usize>(threads + ((<usize>i) << 2)));
  meet(common + MEETINGS, nodes());
  if (node() === 1) atomic.store<u32>(common + VERDICT, u32(judge()));
  meet(common + MEETINGS, nodes());
  // Every machine's status is node 1's verdict.
  exit(atomic.load<u32>(common + VERDICT) === 1 ? 0 : 1);
}

function coresOf(machine: u32): u32 {
  return atomic.load<u32>(common + (usize(machine - 1) << 2));
}

/** Where each thread's old values go: known once every machine has said how many cores it has. */
function layOut(): void {
  let threads: u32 = 0;
  for (let machine: u32 = 1; machine <= nodes(); machine++) {
    if (machine === node()) threadsBefore = threads;
    threads += coresOf(machine);
  }
  total = u64(threads) * adds;
  regionBytes = pageUp(usize(adds) << 3);
  oldValues = mapShared("/shm/counter.old", usize(threads) * regionBytes);
}

function regionOf(thread: u32): usize {
  return oldValues + usize(thread) * regionBytes;
}

/** One thread's work. Machine 1's first thread says now and then how far all are. */
function add(thread: usize): void {
  const mine = regionOf(threadsBefore + u32(thread));
  const reports = node() === 1 && thread === 0;
  const step = max<u64>(adds / STEPS, 1);
  let next = step;
  for (let i: u64 = 0; i < adds; i++) {
    const old = atomic.add<u64>(word, 1);
    store<u64>(mine + (usize(i) << 3), old);
    if (!reports || i + 1 !== next || next >= step * STEPS || adds < STEPS) continue;
    next += step;
    progress(old + 1);
  }
}

function progress(count: u64): void {
  text("counter: node 1 ");
  decimal(count);
  text("/");
  decimal(total);
  text("\n");
}

/** By machine 1: are the counts right? */
function judge(): bool {
  const counted = atomic.load<u64>(word);
  const permutation = isPermutation();
  text("counter: machines ");
  decimal(u64(nodes()));
  text(" cores ");
  decimal(u64(coresOf(1)));
  text(" expected ");
  decimal(total);
  text(" counted ");
  decimal(counted);
  text(" old values a permutation: ");
  text(permutation ? "yes\n" : "no\n");
  return permutation && counted === total;
}

/** A bit per value seen: none twice, none beyond, hence each of 0 .. total-1 once. */
function isPermutation(): bool {
  const seen = mapPrivate(pageUp(usize((total + 7) >> 3)));
  const threads = u32(total / adds);
  for (let thread: u32 = 0; thread < threads; thread++) {
    const values = regionOf(thread);
    for (let i: u64 = 0; i < adds; i++) {
      const value = load<u64>(values + (usize(i) << 3));
      if (value >= total) return false;
      const at = seen + usize(value >> 3);
      const bit = u32(1) << u32(value & 7);
      if (load<u8>(at) & bit) return false;
      store<u8>(at, u8(load<u8>(at) | bit));
    }
  }
  return true;
}
