// Litmus tests of memory order (Intel SDM vol. 3A, 9.2; Owens, Sarkar, Sewell: A better x86 memory model: x86-TSO),
// between the cores of one machine or of several: thread i of all machines plays role i of a test.
// Usage: litmus [ROUNDS [TEST]], 100 rounds of every test unless told.
//
// Each round has cells of its own that nobody has touched, so nothing is reset. Rounds take turns in where the two
// cells lie: in one cache line, in one page, in two pages. Between rounds all roles meet on a shared word by
// spinning, so that they start close together. At the end machine 1 counts the outcomes; one that x86-TSO forbids
// fails the test. Outcome letters are the registers in the order of the roles, then final values of x and y.
import { mfence, pause, peek32, poke32 } from "./arch";
import {
  argument,
  argumentIs,
  cores,
  decimal,
  exit,
  letter,
  mapPrivate,
  mapShared,
  meet,
  node,
  nodes,
  numberAt,
  pageUp,
  programStart,
  text,
  threadJoin,
  threadRun,
} from "./libuser";

const ROUNDS: u32 = 100;
const ROUNDS_MAX: u32 = 100_000;
const PAGE: usize = 4096;
const LINE: usize = 64;
/** A round's cells: a line for both, or the first words of two lines of one page, or of two pages. */
const ROUND_BYTES: usize = 128;
const RESULTS: u32 = 4;
const RESULT_BYTES: usize = 16;
/** In the common page: the word on which roles meet, and the meeting of whole machines. */
const SPIN: usize = 0;
const MEETINGS: usize = 512;
const VERDICT: usize = 1024;

// The tests. SB..., MP...: names as in the literature; suffixes say what stands between a role's two accesses.
const SB: u32 = 0;
const SB_MFENCE: u32 = 1;
const SB_XCHG: u32 = 2;
const SB_LOCK: u32 = 3;
const MP: u32 = 4;
const LB: u32 = 5;
const W22: u32 = 6;
const W22_MFENCE: u32 = 7;
const IRIW: u32 = 8;
const IRIW_MFENCE: u32 = 9;
const CORR: u32 = 10;
const TESTS: u32 = 11;

function rolesOf(test: u32): u32 {
  return test === IRIW || test === IRIW_MFENCE ? 4 : 2;
}

function nameOf(test: u32): string {
  switch (test) {
    case SB:
      return "SB";
    case SB_MFENCE:
      return "SB+mfence";
    case SB_XCHG:
      return "SB+xchg";
    case SB_LOCK:
      return "SB+lock";
    case MP:
      return "MP";
    case LB:
      return "LB";
    case W22:
      return "2+2W";
    case W22_MFENCE:
      return "2+2W+mfence";
    case IRIW:
      return "IRIW";
    case IRIW_MFENCE:
      return "IRIW+mfence";
    default:
      return "CoRR";
  }
}

/** Whether x86-TSO forbids this outcome; a..d are the results in order. */
function forbidden(test: u32, a: u32, b: u32, c: u32, d: u32): bool {
  switch (test) {
    case SB:
      return false; // both may read 0: each store waits in its core's buffer
    case SB_MFENCE:
    case SB_XCHG:
    case SB_LOCK:
      return a === 0 && b === 0;
    case MP:
    case CORR:
      return a === 1 && b === 0;
    case LB:
      return a === 1 && b === 1;
    case W22:
    case W22_MFENCE:
      return a === 1 && b === 1; // final x and y: each written first by the role that writes it last
    default:
      return a === 1 && b === 0 && c === 1 && d === 0;
  }
}

let rounds: u32 = 0;
let common: usize = 0;
let cells: usize = 0;
let results: usize = 0;
let regionBytes: usize = 0;
let firstThread: u32 = 0;
let threads: u32 = 0;
let chosen: u32 = TESTS;
/** This machine's own: what a LOCKed instruction that only orders works on. */
let scratch: usize = 0;

export function start(stack: u64): void {
  programStart(stack);
  rounds = u32(numberAt(argument(1), ROUNDS));
  for (let test: u32 = 0; test < TESTS; test++) if (argumentIs(2, nameOf(test))) chosen = test;
  if (rounds === 0 || rounds > ROUNDS_MAX || (argument(2) !== 0 && chosen === TESTS)) {
    text("usage: litmus [ROUNDS [TEST]], up to 100000 rounds; tests:");
    for (let test: u32 = 0; test < TESTS; test++) {
      text(" ");
      text(nameOf(test));
    }
    text("\n");
    exit(2);
  }
  const here = cores();
  scratch = mapPrivate(PAGE);
  threads = here * nodes();
  firstThread = here * (node() - 1);
  common = mapShared("/shm/litmus", PAGE);
  // x of every round, then y of every round: their pages are never the same.
  regionBytes = pageUp(usize(rounds) * ROUND_BYTES);
  cells = mapShared("/shm/litmus.cells", 2 * regionBytes * usize(TESTS));
  results = mapShared("/shm/litmus.results", pageUp(usize(rounds) * RESULT_BYTES) * usize(TESTS));
  meet(common + MEETINGS, nodes());
  const running = mapPrivate(PAGE);
  for (let i: u32 = 0; i < here; i++) store<usize>(running + (usize(i) << 2), threadRun(play.index, i));
  for (let i: u32 = 0; i < here; i++) threadJoin(load<usize>(running + (usize(i) << 2)));
  meet(common + MEETINGS, nodes());
  if (node() === 1) atomic.store<u32>(common + VERDICT, u32(judge()));
  meet(common + MEETINGS, nodes());
  exit(atomic.load<u32>(common + VERDICT) === 1 ? 0 : 1);
}

function wanted(test: u32): bool {
  return (chosen === TESTS || chosen === test) && rolesOf(test) <= threads;
}

function xOf(test: u32, round: u32): u64 {
  return u64(cells + usize(test) * 2 * regionBytes + usize(round) * ROUND_BYTES);
}

function yOf(test: u32, round: u32): u64 {
  const x = xOf(test, round);
  const where = round % 3;
  if (where === 0) return x + 4;
  return where === 1 ? x + u64(LINE) : x + u64(regionBytes);
}

function resultOf(test: u32, round: u32, index: u32): u64 {
  const region = results + usize(test) * pageUp(usize(rounds) * RESULT_BYTES);
  return u64(region + usize(round) * RESULT_BYTES + (usize(index) << 2));
}

/** One thread, through all tests and rounds in which it has a role. Roles of a test meet before each round. */
function play(index: usize): void {
  const role = firstThread + u32(index);
  let met: u32 = 0;
  for (let test: u32 = 0; test < TESTS; test++) {
    if (!wanted(test)) continue;
    for (let round: u32 = 0; round < rounds; round++) {
      // All threads meet, those without a role too: the count of arrivals tells the round.
      met += threads;
      atomic.add<u32>(common + SPIN, 1);
      while (i32(peek32(u64(common + SPIN)) - met) < 0) pause();
      if (role < rolesOf(test)) act(test, role, round);
    }
  }
}

function act(test: u32, role: u32, round: u32): void {
  const x = xOf(test, round);
  const y = yOf(test, round);
  const mine = role === 0 ? x : y;
  const other = role === 0 ? y : x;
  switch (test) {
    case SB:
      poke32(mine, 1);
      poke32(resultOf(test, round, role), peek32(other));
      return;
    case SB_MFENCE:
      poke32(mine, 1);
      mfence();
      poke32(resultOf(test, round, role), peek32(other));
      return;
    case SB_XCHG:
      atomic.xchg<u32>(usize(mine), 1);
      poke32(resultOf(test, round, role), peek32(other));
      return;
    case SB_LOCK:
      poke32(mine, 1);
      atomic.add<u32>(scratch + (usize(role) << 6), 1);
      poke32(resultOf(test, round, role), peek32(other));
      return;
    case MP:
      if (role === 0) {
        poke32(x, 1);
        poke32(y, 1);
      } else {
        const first = peek32(y);
        const second = peek32(x);
        poke32(resultOf(test, round, 0), first);
        poke32(resultOf(test, round, 1), second);
      }
      return;
    case LB: {
      const seen = peek32(mine);
      poke32(other, 1);
      poke32(resultOf(test, round, role), seen);
      return;
    }
    case W22:
      poke32(mine, 1);
      poke32(other, 2);
      return;
    case W22_MFENCE:
      poke32(mine, 1);
      mfence();
      poke32(other, 2);
      return;
    case CORR:
      if (role === 0) poke32(x, 1);
      else {
        const first = peek32(x);
        const second = peek32(x);
        poke32(resultOf(test, round, 0), first);
        poke32(resultOf(test, round, 1), second);
      }
      return;
    default:
      independentReads(test, role, round, x, y);
  }
}

/** IRIW: roles 0 and 1 write, 2 and 3 read both in opposite orders. */
function independentReads(test: u32, role: u32, round: u32, x: u64, y: u64): void {
  if (role < 2) {
    poke32(role === 0 ? x : y, 1);
    return;
  }
  const first = peek32(role === 2 ? x : y);
  if (test === IRIW_MFENCE) mfence();
  const second = peek32(role === 2 ? y : x);
  poke32(resultOf(test, round, (role - 2) * 2), first);
  poke32(resultOf(test, round, (role - 2) * 2 + 1), second);
}

/** By machine 1: one line a test, and whether nothing forbidden was seen. */
function judge(): bool {
  let good = true;
  for (let test: u32 = 0; test < TESTS; test++) {
    if (!wanted(test)) continue;
    const wrong = judgeTest(test);
    if (wrong !== 0) good = false;
  }
  text("litmus: machines ");
  decimal(u64(nodes()));
  text(" threads ");
  decimal(u64(threads));
  text(good ? " forbidden outcomes: none\n" : " forbidden outcomes: SEEN\n");
  return good;
}

/** Outcomes as numbers in base 3 of four results. */
const OUTCOMES: u32 = 81;
const counts: usize = memory.data(324);

function judgeTest(test: u32): u32 {
  memory.fill(counts, 0, usize(OUTCOMES) << 2);
  let wrong: u32 = 0;
  for (let round: u32 = 0; round < rounds; round++) {
    const last = test === W22 || test === W22_MFENCE;
    const a = last ? peek32(xOf(test, round)) : peek32(resultOf(test, round, 0));
    const b = last ? peek32(yOf(test, round)) : peek32(resultOf(test, round, 1));
    const c = peek32(resultOf(test, round, 2));
    const d = peek32(resultOf(test, round, 3));
    if (forbidden(test, a, b, c, d)) wrong++;
    const at = counts + (usize(a + 3 * b + 9 * c + 27 * d) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
  text("litmus ");
  text(nameOf(test));
  text(":");
  for (let code: u32 = 0; code < OUTCOMES; code++) {
    const count = load<u32>(counts + (usize(code) << 2));
    if (count === 0) continue;
    letter(0x20);
    let rest = code;
    for (let i: u32 = 0; i < (rolesOf(test) === 4 ? RESULTS : 2); i++, rest /= 3) letter(0x30 + (rest % 3));
    text("=");
    decimal(u64(count));
  }
  text(" forbidden ");
  decimal(u64(wrong));
  text("\n");
  return wrong;
}
