// Machines that use a shared file step by step, so that an onlooker can tell what each step costs and leaves behind.
// Usage: steps FILE STEP...; the file is one of /shm. A step is MACHINES OPERATION FIRST[-LAST][xCOUNT], MACHINES a digit each:
//   r  reads the first word of each page            w  writes it: the step's number; z  writes 0
//   a  adds 1 to the first page's first word COUNT times, by LOCK XADD
//   t  COUNT times adds 1 to all words of the pages, by plain loads and stores
//   A, T  the same on memory of this process's own
//   s  sleeps FIRST milliseconds
// So `2w0 13r0-3 2a0x1000`: machine 2 writes page 0, then 1 and 3 read four pages, then 2 adds. All machines meet between
// two steps, by way of another file, and rest for a moment, so that nothing of a step is under way in the next one.
// Those of a step print `steps: K begins` and `steps: K ns TIME value V`, V the sum of what was read or the old value that came last.
import { peek8, peek64, poke64, syscall } from "./arch";
import {
  argument,
  argumentCount,
  decimal,
  exit,
  mapPrivate,
  mapShared,
  mapSharedAt,
  meet,
  node,
  nodes,
  now,
  programStart,
  text,
} from "./libuser";

const PAGE: u64 = 4096;
const PAGES_MAX: u64 = 4096;
const FIRST_STEP: u32 = 2;
const NANOSLEEP: u64 = 35;
/** Acknowledgements that ride on no answer go after 2 ms. */
const REST_MS: u64 = 3;

let common: usize = 0;
let shared: u64 = 0;
let own: u64 = 0;
const time: usize = memory.data(16, 8);

// The step that is being read: whose it is, what, where, how often.
let mine: bool = false;
let operation: u32 = 0;
let first: u64 = 0;
let last: u64 = 0;
let count: u64 = 0;
let at: u64 = 0;

function isDigit(code: u32): bool {
  return code - 0x30 <= 9;
}

function number(otherwise: u64): u64 {
  if (!isDigit(peek())) return otherwise;
  let value: u64 = 0;
  for (; isDigit(peek()); at++) value = value * 10 + u64(peek() - 0x30);
  return value;
}

function peek(): u32 {
  return peek8(at);
}

/** The next machines, operation, pages and count; false: that is none. */
function read(step: u32): bool {
  at = argument(step);
  mine = false;
  for (; isDigit(peek()); at++) if (peek() - 0x30 === node()) mine = true;
  operation = peek();
  at++;
  first = number(0);
  last = first;
  count = 1;
  if (peek() === 0x2d) {
    at++;
    last = number(first);
  }
  if (peek() === 0x78) {
    at++;
    count = number(1);
  }
  return peek() === 0 && known() && first <= last && last < PAGES_MAX;
}

function known(): bool {
  const letters = "rwzatATs";
  for (let i = 0; i < letters.length; i++) if (u32(letters.charCodeAt(i)) === operation) return true;
  return false;
}

function sleep(milliseconds: u64): void {
  store<u64>(time, milliseconds / 1000);
  store<u64>(time + 8, (milliseconds % 1000) * 1_000_000);
  syscall(NANOSLEEP, u64(time), 0, 0, 0, 0, 0);
}

function place(base: u64, page: u64): u64 {
  return base + page * PAGE;
}

function touch(base: u64): u64 {
  let sum: u64 = 0;
  for (let round: u64 = 0; round < count; round++)
    for (let word = place(base, first); word < place(base, last + 1); word += 8) {
      const value = load<u64>(usize(word)) + 1;
      store<u64>(usize(word), value);
      sum += value;
    }
  return sum;
}

function add(base: u64): u64 {
  let old: u64 = 0;
  for (let i: u64 = 0; i < count; i++) old = atomic.add<u64>(usize(place(base, first)), 1);
  return old;
}

function write(value: u64): void {
  for (let page = first; page <= last; page++) poke64(place(shared, page), value);
}

function perform(step: u32): u64 {
  let sum: u64 = 0;
  if (operation === 0x72) for (let page = first; page <= last; page++) sum += peek64(place(shared, page));
  else if (operation === 0x77) write(u64(step));
  else if (operation === 0x7a) write(0);
  else if (operation === 0x61) sum = add(shared);
  else if (operation === 0x41) sum = add(own);
  else if (operation === 0x74) sum = touch(shared);
  else if (operation === 0x54) sum = touch(own);
  else sleep(first);
  return sum;
}

function say(step: u32): void {
  text("steps: ");
  decimal(u64(step));
}

function take(step: u32): void {
  say(step);
  text(" begins\n");
  const from = now();
  const value = perform(step);
  const elapsed = now() - from;
  say(step);
  text(" ns ");
  decimal(elapsed);
  text(" value ");
  decimal(value);
  text("\n");
}

export function start(stack: u64): void {
  programStart(stack);
  const steps = argumentCount();
  let right = steps > FIRST_STEP;
  for (let step = FIRST_STEP; step < steps; step++) right = read(step) && right;
  if (!right) {
    text("usage: steps FILE MACHINES[r|w|z|a|t|A|T|s]FIRST[-LAST][xCOUNT]..., such as 2w0 13r0-3 2a0x1000\n");
    exit(2);
  }
  common = mapShared("/shm/steps.meeting", usize(PAGE));
  shared = u64(mapSharedAt(argument(1), usize(PAGES_MAX * PAGE)));
  own = u64(mapPrivate(usize(PAGES_MAX * PAGE)));
  for (let step = FIRST_STEP; step < steps; step++) {
    read(step);
    meet(common, nodes());
    sleep(REST_MS);
    if (mine) take(step - FIRST_STEP + 1);
    sleep(REST_MS);
  }
  meet(common, nodes());
  exit(0);
}
