// Machines that fight over one page, for a given time. Usage: contend WHAT MICROSECONDS [PAUSE]; WHAT is
//   add      LOCK XADD on one word, as fast as it goes
//   think    the same with 20 us of work of its own after each addition
//   store    plain stores, each machine to a word of its own
//   lock     a ticket lock around a word in the same page
//   apart    each machine counts in a word of its own, 64 bytes from the next; PAUSE ns of work of its own after each count
//   near     the same, 8 bytes from the next
//   tas      the same by a lock that is taken by XCHG again and again
//   ttas     the same by XCHG once a load has seen the lock free
//   futex    the same by a lock whose waiters sleep
// Machine 1 prints `contend: WHAT MICROSECONDS total T least L most M counted C median A p99 B handovers H`: the
// operations of all machines, of the one that had fewest and most (of locks: hand-overs to it, since who is left over at the end
// takes the lock from nobody), and what the word says (of words of their own: all together); nanoseconds of one operation, of
// locks those from one machine's release until another that waited has it; and how often another machine than before took
// the lock. Status 1 when T and C differ.
import { pause, peek64, poke64, rdtsc } from "./arch";
import { HISTOGRAM_BYTES, histogramAdd, histogramCount, histogramPercentile } from "./libhistogram";
import {
  argument,
  argumentIs,
  decimal,
  exit,
  mapPrivate,
  mapShared,
  meet,
  node,
  nodes,
  now,
  numberArgument,
  pageUp,
  programStart,
  text,
  textAt,
  waitWhile,
  wakeOne,
} from "./libuser";

const PAGE: usize = 4096;
const NODES_MAX: u32 = 60;
const TIME: u64 = 10_000;
const TIME_MAX: u64 = 600_000_000;
const THINK: u64 = 20_000;
/** In the page: the word, the locks' words, who had the lock last and when he let go, a line for each machine. */
const NEXT: usize = 8;
const SERVING: usize = 16;
const LOCK: usize = 24;
const HOLDER: usize = 32;
const RELEASED: usize = 40;
const LINES: usize = 64;
const PAUSE_MAX: u64 = 1_000_000_000;
/** Of a machine's line in the results: operations, hand-overs to it. */
const RESULT_BYTES: usize = 16;

const OTHER: u32 = 0;
const TICKET: u32 = 1;
const EXCHANGE: u32 = 2;
const LOOK_FIRST: u32 = 3;
const SLEEP: u32 = 4;

let me: u32 = 0;
let common: usize = 0;
let word: usize = 0;
let results: usize = 0;
let times: usize = 0;
let micros: u64 = 0;
/** Bytes between the words of two machines that have words of their own, as a shift; they count in them by load and store. */
let apart: usize = 6;
let counts: bool = false;
let lock: u32 = OTHER;
let handovers: u64 = 0;
/** Time stamps in a millisecond. */
let rate: u64 = 0;

export function start(stack: u64): void {
  programStart(stack);
  micros = numberArgument(2, TIME);
  lock = lockOf();
  me = node();
  counts = argumentIs(1, "apart") || argumentIs(1, "near");
  if (argumentIs(1, "near")) apart = 3;
  const known = argumentIs(1, "add") || argumentIs(1, "think") || argumentIs(1, "store") || counts;
  if ((!known && lock === OTHER) || micros === 0 || micros > TIME_MAX || nodes() > NODES_MAX) {
    text("usage: contend add|think|store|lock|tas|ttas|futex|apart|near [MICROSECONDS [PAUSE]]\n");
    text("from 1 to 600000000, on up to 60 machines\n");
    exit(2);
  }
  common = mapShared("/shm/contend", PAGE);
  word = mapShared("/shm/contend.word", PAGE);
  results = mapShared("/shm/contend.results", PAGE);
  const all = mapShared("/shm/contend.times", usize(nodes()) * pageUp(HISTOGRAM_BYTES));
  times = mapPrivate(HISTOGRAM_BYTES);
  rate = stamps(1_000_000);
  meet(common, nodes());
  contend();
  memory.copy(all + usize(node() - 1) * pageUp(HISTOGRAM_BYTES), times, HISTOGRAM_BYTES);
  meet(common, nodes());
  exit(node() === 1 ? judge(all) : 0);
}

function lockOf(): u32 {
  if (argumentIs(1, "lock")) return TICKET;
  if (argumentIs(1, "tas")) return EXCHANGE;
  if (argumentIs(1, "ttas")) return LOOK_FIRST;
  return argumentIs(1, "futex") ? SLEEP : OTHER;
}

/** Time stamps in so many nanoseconds, after a look at how fast they go. */
function stamps(nanoseconds: u64): u64 {
  const from = now();
  const stamp = rdtsc();
  while (now() - from < 20_000) {}
  return ((nanoseconds / 1000) * (rdtsc() - stamp)) / ((now() - from) / 1000);
}

function lineOf(machine: u32): usize {
  return word + LINES + (usize(machine - 1) << apart);
}

function contend(): void {
  const pauses = min<u64>(numberArgument(3, 0), PAUSE_MAX);
  const think = ((argumentIs(1, "think") ? THINK : counts ? pauses : 0) * rate) / 1_000_000;
  const stores = argumentIs(1, "store");
  const mine = lineOf(node());
  const time = (micros * rate) / 1000;
  const begin = rdtsc();
  let done: u64 = 0;
  while (true) {
    const at = rdtsc();
    if (at - begin >= time) break;
    if (lock !== OTHER) turn(at);
    else {
      if (stores) store<u64>(mine, done);
      else if (counts) store<u64>(mine, load<u64>(mine) + 1);
      else atomic.add<u64>(word, 1);
      took(rdtsc() - at);
    }
    done++;
    while (think !== 0 && rdtsc() - at < think) {}
  }
  const line = results + usize(node()) * RESULT_BYTES;
  poke64(u64(line), done);
  poke64(u64(line + 8), handovers);
}

/** So many time stamps, into the histogram as nanoseconds. */
function took(passed: u64): void {
  histogramCount(times, (passed * 1_000_000) / rate);
}

function turn(from: u64): void {
  const ticket = take();
  const at = rdtsc();
  if (load<u64>(word + HOLDER) !== u64(me)) {
    const released = load<u64>(word + RELEASED);
    // Who came after the release did not wait for it.
    if (released > from && at > released) took(at - released);
    handovers++;
    store<u64>(word + HOLDER, u64(me));
  }
  store<u64>(word, load<u64>(word) + 1);
  store<u64>(word + RELEASED, rdtsc());
  letGo(ticket);
}

function take(): u64 {
  if (lock === TICKET) {
    const ticket = atomic.add<u64>(word + NEXT, 1);
    while (atomic.load<u64>(word + SERVING) !== ticket) pause();
    return ticket;
  }
  if (lock === SLEEP) {
    // 0 free, 1 taken, 2 taken and somebody may sleep.
    if (atomic.cmpxchg<u32>(word + LOCK, 0, 1) === 0) return 0;
    while (atomic.xchg<u32>(word + LOCK, 2) !== 0) waitWhile(word + LOCK, 2);
    return 0;
  }
  while (true) {
    if (lock === LOOK_FIRST) while (atomic.load<u32>(word + LOCK) !== 0) pause();
    if (atomic.xchg<u32>(word + LOCK, 1) === 0) return 0;
    pause();
  }
}

function letGo(ticket: u64): void {
  if (lock === TICKET) atomic.store<u64>(word + SERVING, ticket + 1);
  else if (lock !== SLEEP) atomic.store<u32>(word + LOCK, 0);
  else if (atomic.xchg<u32>(word + LOCK, 0) === 2) wakeOne(word + LOCK);
}

/** 1 when the word does not hold what the machines have counted. */
function judge(all: usize): i32 {
  let total: u64 = 0;
  let least: u64 = ~u64(0);
  let most: u64 = 0;
  handovers = 0;
  memory.fill(times, 0, HISTOGRAM_BYTES);
  for (let machine: u32 = 1; machine <= nodes(); machine++) {
    const line = results + usize(machine) * RESULT_BYTES;
    const done = peek64(u64(line));
    const taken = peek64(u64(line + 8));
    const share = lock === OTHER ? done : taken;
    total += done;
    least = min<u64>(least, share);
    most = max<u64>(most, share);
    handovers += taken;
    histogramAdd(times, all + usize(machine - 1) * pageUp(HISTOGRAM_BYTES));
  }
  let counted: u64 = 0;
  if (argumentIs(1, "store") || counts) {
    // The last store of each machine is still there.
    const first: u64 = counts ? 0 : 1;
    for (let machine: u32 = 1; machine <= nodes(); machine++) counted += peek64(u64(lineOf(machine))) + first;
  } else counted = peek64(u64(word));
  text("contend: ");
  textAt(argument(1));
  text(" ");
  decimal(micros);
  said(" total ", total);
  said(" least ", least);
  said(" most ", most);
  said(" counted ", counted);
  said(" median ", histogramPercentile(times, 50));
  said(" p99 ", histogramPercentile(times, 99));
  said(" handovers ", handovers);
  text("\n");
  return i32(counted !== total);
}

function said(what: string, value: u64): void {
  text(what);
  decimal(value);
}
