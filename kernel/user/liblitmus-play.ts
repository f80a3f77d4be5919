// How litmus.ts plays: each thread goes through all rounds of all tests, at its own pace, in half of them with random waits
// before its steps. What a step does is worked out before the first.
import { mfence, pause, peek8, peek16, peek32, peek64, poke8, poke16, poke32, poke64, rdtsc } from "./arch";
import {
  addressOf,
  besideCell,
  CELL_BYTES,
  cells,
  cellsApart,
  copied,
  disturbed,
  LENT,
  LINE,
  onlyPlace,
  PAGE,
  resultOf,
  rounds,
  turned,
} from "./liblitmus-places";
import {
  countOf,
  EXCHANGE,
  FENCE,
  firstTest,
  LOAD,
  LOCK,
  MFENCE,
  STORE,
  stepOf,
  Test,
  THREADS_MAX,
} from "./liblitmus-tests";
import { cores, mapPrivate, node, nodes } from "./libuser";

/** So often, and in pieces, so that looks at what the loans cost fall in between. */
const OWN_WRITES: u32 = 40;

/** So often somebody writes beside a round's cells. */
const DISTURBED: u32 = 8;

/** One machine plays. */
let alone: bool = false;
export let threads: u32 = 0;
let firstThread: u32 = 0;
/** The word on which threads meet. */
let spin: usize = 0;
/** This machine's own: what fences work on, a line a thread. */
let scratch: usize = 0;
/** A page a thread: its Acts. */
let plans: usize = 0;

export function playersCount(): void {
  threads = cores() * nodes();
  alone = nodes() === 1;
  firstThread = cores() * (node() - 1);
}

export function playPrepare(meetingWord: usize): void {
  spin = meetingWord;
  scratch = mapPrivate(PAGE);
  plans = mapPrivate(usize(THREADS_MAX) * PAGE);
}

/** One thread, through all tests in which it has a part. */
export function play(index: usize): void {
  const player = firstThread + u32(index);
  for (let at = firstTest; at !== 0; at = changetype<Test>(at).next) {
    const test = changetype<Test>(at);
    for (let round: u32 = 0; round < rounds; round++) {
      const number = test.number * rounds + round;
      const thread = partOf(player, round);
      // Cores of one machine meet in a few nanoseconds; between machines that takes longer than a round.
      if (copied) copyCells(test, number, round);
      else if (turned) ownCells(test, thread, number, round);
      else if (alone) together(number + 1);
      else if (round === 0) together(test.number + 1);
      if ((round === 0 && !alone && !turned) || copied) linger(START_WAIT);
      if (onlyPlace === LENT && thread < test.threads) writeOwn(test, thread);
      if (thread < test.threads) act(test, thread, player, round);
      else if (disturbed) disturb(test, number, round);
    }
  }
}

/** Which thread of a test a player is in a round: none of those that the test has, where there are more players. */
function partOf(player: u32, round: u32): u32 {
  return turned ? (player + round) % threads : player;
}
export function playerOf(thread: u32, round: u32): u32 {
  return turned ? (thread + threads - (round % threads)) % threads : thread;
}

/** All threads meet, those without a part too, for the time with that number; the first is 1. */
function together(meeting: u32): void {
  atomic.add<u32>(spin, 1);
  while (i32(peek32(u64(spin)) - meeting * threads) < 0) pause();
}

/** Every machine has read the cells of the round, and nobody has written them, before it begins. */
function copyCells(test: Test, number: u32, round: u32): void {
  together(2 * number + 1);
  for (let thread: u32 = 0; thread < test.threads; thread++) {
    const steps = countOf(test, thread);
    for (let i: u32 = 0; i < steps; i++) {
      const step = stepOf(test, thread, i);
      if (step.kind !== FENCE) peek8(addressOf(step, number, round));
    }
  }
  together(2 * number + 2);
}

/** Who plays in the round has written beside its cells before it begins: if all are of one machine, it owns their pages. */
function ownCells(test: Test, thread: u32, number: u32, round: u32): void {
  together(2 * number + 1);
  if (thread < test.threads) writeBeside(test, thread, number, round);
  together(2 * number + 2);
}

/** In the lines of the cells of a thread's part. */
function writeBeside(test: Test, thread: u32, number: u32, round: u32): void {
  for (let i: u32 = 0; i < countOf(test, thread); i++) {
    const step = stepOf(test, thread, i);
    if (step.kind !== FENCE) poke8(besideCell(addressOf(step, number, round)), 1);
  }
}

/** Longest waits, in ticks of the time-stamp counter: before a step, and before a test, since some hear late of its start. */
const STEP_WAIT: u32 = 0x3fff;
/** So short that a store may wait in its buffer as long. */
const SHORT_WAIT: u32 = 0x3ff;
const START_WAIT: u32 = 0xffff;

/** Waits every other time, for a while that the low bits of the time draw. */
function linger(longest: u32): void {
  const begin = rdtsc();
  const drawn = u32(begin) * 0x9e37_79b1;
  if (drawn >> 31 !== 0) return;
  const wait = u64((drawn >> 8) & longest);
  while (rdtsc() - begin < wait) pause();
}

/** Has the pages of a round's cells leave whoever plays with them, a few times. */
function disturb(test: Test, number: u32, round: u32): void {
  for (let times: u32 = 0; times < DISTURBED; times++) {
    linger(SHORT_WAIT);
    for (let thread: u32 = 0; thread < test.threads; thread++) writeBeside(test, thread, number, round);
  }
}

/** In both pages of the test, for a while: they are lent by then, and others' writes go on while a round begins here. */
function writeOwn(test: Test, thread: u32): void {
  const line = usize(test.number) * PAGE + usize(thread) * LINE;
  for (let i: u32 = 0; i < OWN_WRITES; i++) {
    poke64(u64(cells + line), u64(i));
    poke64(u64(cellsApart + line), u64(i));
    for (let wait: u32 = 0; wait < 100; wait++) pause();
  }
}

/** What a thread is about to do, worked out before the first step: steps with `at`, fences among them. */
@unmanaged
class Act {
  kind: u32 = 0;
  bytes: u32 = 0;
  at: u64 = 0;
  value: u64 = 0;
}
const ACT_BYTES: usize = 24;

function act(test: Test, thread: u32, player: u32, round: u32): void {
  const number = test.number * rounds + round;
  const acts = plans + usize(thread) * PAGE;
  const end = acts + usize(planned(test, thread, number, round, acts)) * ACT_BYTES;
  const tight = (u32(rdtsc()) * 0x9e37_79b1) >> 30 < 2;
  const own = scratch + usize(thread) * LINE;
  let result = resultOf(player, number);
  for (let at = acts; at < end; at += ACT_BYTES) {
    const next = changetype<Act>(at);
    if (!tight) linger(turned ? SHORT_WAIT : STEP_WAIT);
    if (next.kind === STORE) put(next.at, next.bytes, next.value);
    else if (next.kind === FENCE) fence(u32(next.value), own);
    else {
      store<u64>(result, next.kind === LOAD ? take(next.at, next.bytes) : change(next));
      result += CELL_BYTES;
    }
  }
}

/** Writes a thread's part of a round to `acts`; gives how many. */
function planned(test: Test, thread: u32, number: u32, round: u32, acts: usize): u32 {
  const steps = countOf(test, thread);
  let count: u32 = 0;
  for (let i: u32 = 0; i < steps; i++) {
    if (i > 0 && test.fence !== 0) {
      const between = changetype<Act>(acts + usize(count++) * ACT_BYTES);
      between.kind = FENCE;
      between.value = u64(test.fence);
    }
    const step = stepOf(test, thread, i);
    const next = changetype<Act>(acts + usize(count++) * ACT_BYTES);
    next.kind = step.kind;
    next.bytes = step.bytes;
    next.value = step.value;
    if (step.kind !== FENCE) next.at = addressOf(step, number, round);
  }
  return count;
}

function fence(fence: u32, own: usize): void {
  if (fence === MFENCE) mfence();
  else if (fence === LOCK) atomic.add<u32>(own, 1);
  else atomic.xchg<u32>(own, 1);
}

export function take(at: u64, bytes: u32): u64 {
  if (bytes === 4) return u64(peek32(at));
  if (bytes === 8) return peek64(at);
  return u64(bytes === 1 ? peek8(at) : peek16(at));
}

function put(at: u64, bytes: u32, value: u64): void {
  if (bytes === 4) poke32(at, u32(value));
  else if (bytes === 8) poke64(at, value);
  else if (bytes === 1) poke8(at, u32(value));
  else poke16(at, u32(value));
}

/** XCHG and LOCK XADD; the value that was there. */
function change(step: Act): u64 {
  const at = usize(step.at);
  const value = step.value;
  if (step.kind === EXCHANGE) {
    if (step.bytes === 4) return u64(atomic.xchg<u32>(at, u32(value)));
    if (step.bytes === 8) return atomic.xchg<u64>(at, value);
    if (step.bytes === 2) return u64(atomic.xchg<u16>(at, u16(value)));
    return u64(atomic.xchg<u8>(at, u8(value)));
  }
  if (step.bytes === 4) return u64(atomic.add<u32>(at, u32(value)));
  if (step.bytes === 8) return atomic.add<u64>(at, value);
  if (step.bytes === 2) return u64(atomic.add<u16>(at, u16(value)));
  return u64(atomic.add<u8>(at, u8(value)));
}
