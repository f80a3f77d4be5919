// Machines that fight over one page, for a given time. Usage: contend WHAT MICROSECONDS [PAUSE]; WHAT is
//   add      LOCK XADD on one word, as fast as it goes
//   think    the same with 20 us of work of its own after each addition
//   store    plain stores, each machine to a word of its own
//   lock     a ticket lock around a word in the same page
//   apart    each machine counts in a word of its own, 64 bytes from the next; PAUSE ns of work of its own after each count
//   near     the same, 8 bytes from the next
// Machine 1 prints `contend: WHAT MICROSECONDS total T least L most M counted C`: the operations of all machines, of the
// one that had fewest and most, and what the word says (of words of their own: all together). Status 1 when T and C differ.
import { pause, peek64, poke64, rdtsc } from "./arch";
import {
  argument,
  argumentIs,
  decimal,
  exit,
  mapShared,
  meet,
  node,
  nodes,
  now,
  numberAt,
  programStart,
  text,
  textAt,
} from "./libuser";

const PAGE: usize = 4096;
const NODES_MAX: u32 = 60;
const TIME: u64 = 10_000;
const TIME_MAX: u64 = 600_000_000;
const THINK: u64 = 20_000;
/** In the page: the word, the lock's two words, a line for each machine. */
const NEXT: usize = 8;
const SERVING: usize = 16;
const LINES: usize = 64;
const PAUSE_MAX: u64 = 1_000_000_000;

let common: usize = 0;
let word: usize = 0;
let results: usize = 0;
let micros: u64 = 0;
/** Bytes between the words of two machines that have words of their own, as a shift; they count in them by load and store. */
let apart: usize = 6;
let counts: bool = false;

export function start(stack: u64): void {
  programStart(stack);
  micros = numberAt(argument(2), TIME);
  counts = argumentIs(1, "apart") || argumentIs(1, "near");
  if (argumentIs(1, "near")) apart = 3;
  const known = argumentIs(1, "add") || argumentIs(1, "think") || argumentIs(1, "store") || counts;
  if ((!known && !argumentIs(1, "lock")) || micros === 0 || micros > TIME_MAX || nodes() > NODES_MAX) {
    text(
      "usage: contend add|think|store|lock|apart|near [MICROSECONDS [PAUSE]], from 1 to 600000000, on up to 60 machines\n",
    );
    exit(2);
  }
  common = mapShared("/shm/contend", PAGE);
  word = mapShared("/shm/contend.word", PAGE);
  results = mapShared("/shm/contend.results", PAGE);
  meet(common, nodes());
  contend();
  meet(common, nodes());
  exit(node() === 1 ? judge() : 0);
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
  const pauses = min<u64>(numberAt(argument(3), 0), PAUSE_MAX);
  const think: u64 = argumentIs(1, "think") ? stamps(THINK) : counts ? stamps(pauses) : 0;
  const stores = argumentIs(1, "store");
  const locks = argumentIs(1, "lock");
  const mine = lineOf(node());
  const time = stamps(micros * 1000);
  const begin = rdtsc();
  let done: u64 = 0;
  while (true) {
    const at = rdtsc();
    if (at - begin >= time) break;
    if (stores) store<u64>(mine, done);
    else if (counts) store<u64>(mine, load<u64>(mine) + 1);
    else if (locks) turn();
    else atomic.add<u64>(word, 1);
    done++;
    while (think !== 0 && rdtsc() - at < think) {}
  }
  poke64(u64(results + (usize(node()) << 3)), done);
}

function turn(): void {
  const ticket = atomic.add<u64>(word + NEXT, 1);
  while (atomic.load<u64>(word + SERVING) !== ticket) pause();
  store<u64>(word, load<u64>(word) + 1);
  atomic.store<u64>(word + SERVING, ticket + 1);
}

/** 1 when the word does not hold what the machines have counted. */
function judge(): i32 {
  let total: u64 = 0;
  let least: u64 = ~u64(0);
  let most: u64 = 0;
  for (let machine: u32 = 1; machine <= nodes(); machine++) {
    const done = peek64(u64(results + (usize(machine) << 3)));
    total += done;
    least = min<u64>(least, done);
    most = max<u64>(most, done);
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
  text(" total ");
  decimal(total);
  text(" least ");
  decimal(least);
  text(" most ");
  decimal(most);
  text(" counted ");
  decimal(counted);
  text("\n");
  return i32(counted !== total);
}
