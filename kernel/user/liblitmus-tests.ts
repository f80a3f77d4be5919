// The tests of a run of litmus.ts: read from the table (liblitmus.ts), whose letters are two bytes wide, or from an
// argument, of bytes. The notation is that of test/support/tso.ts.
import { peek8, peek16 } from "./arch";
import { SHAPES } from "./liblitmus";
import { exit, letter, mapPrivate, pageUp, text } from "./libuser";

// The notation, letter by letter.
export const NEWLINE: u32 = 0x0a;
export const BLANK: u32 = 0x20;
export const BANG: u32 = 0x21;
export const PLUS: u32 = 0x2b;
export const COMMA: u32 = 0x2c;
const DOT: u32 = 0x2e;
const SLASH: u32 = 0x2f;
export const DIGIT: u32 = 0x30;
const SEMICOLON: u32 = 0x3b;
export const EQUALS: u32 = 0x3d;
const BAR: u32 = 0x7c;
const TILDE: u32 = 0x7e;
const LOWER_B: u32 = 0x62;
const LOWER_Q: u32 = 0x71;
const LOWER_W: u32 = 0x77;
const LOWER_X: u32 = 0x78;
const LOWER_Z: u32 = 0x7a;

export const LOAD: u32 = 0;
export const STORE: u32 = 1;
export const EXCHANGE: u32 = 2;
const ADD: u32 = 3;
export const FENCE: u32 = 4;
/** Fences by number: nothing, then as `fenceName`. */
const FENCES: u32 = 4;
export const MFENCE: u32 = 1;
export const LOCK: u32 = 2;

@unmanaged
export class Step {
  kind: u32 = 0;
  /** x, y, z are 0, 1, 2. */
  cell: u32 = 0;
  offset: u32 = 0;
  bytes: u32 = 0;
  value: u64 = 0;
}
const STEP_BYTES: usize = 24;
const STEPS_MAX: u32 = 16;
export const THREADS_MAX: u32 = 4;
const FINALS_MAX: u32 = 4;

@unmanaged
export class Test {
  next: usize = 0;
  /** Its first letter in SHAPES or in an argument, the end of its name, the first letter of its steps. */
  name: u64 = 0;
  nameEnd: u64 = 0;
  body: u64 = 0;
  /** First letter of the allowed outcomes, of those with fences; 0: not judged. */
  allowed: u64 = 0;
  allowedFenced: u64 = 0;
  fence: u32 = 0;
  threads: u32 = 0;
  finals: u32 = 0;
  number: u32 = 0;
}
const TEST_BYTES: usize = 128;
/** Steps counted per thread, then the steps of all threads, then the final cells. */
const COUNTS_AT: usize = TEST_BYTES;
const STEPS_AT: usize = COUNTS_AT + 16;
const FINALS_AT: usize = STEPS_AT + usize(THREADS_MAX * STEPS_MAX) * STEP_BYTES;
const TEST_RECORD_BYTES: usize = FINALS_AT + usize(FINALS_MAX) * STEP_BYTES;

/** The tests of the run, linked by `next`. */
export let firstTest: usize = 0;
export let testCount: u32 = 0;
let last: usize = 0;
/** Of all machines: a test of more is left out. */
let threadsMost: u32 = 0;

export function testsFor(threads: u32): void {
  threadsMost = threads;
}

/** Every test that there are threads for, with every fence. */
export function addAll(): void {
  for (let at = shapes(); peek16(at) !== 0; at = lineAfter(at))
    for (let fence: u32 = 0; fence < FENCES; fence++) addShape(at, fence);
}

/** The test that an argument names or is. False: it is neither. */
export function addWord(word: u64): bool {
  if (!holds(word, EQUALS) && !holds(word, TILDE) && !holds(word, BAR)) return addNamed(word);
  addTest(word, wordEnd(word), word, 0);
  return true;
}

/** A name of the table, with or without a fence behind it. */
function addNamed(word: u64): bool {
  for (let at = shapes(); peek16(at) !== 0; at = lineAfter(at)) {
    const end = nameEndAt(at);
    let i: u64 = 0;
    while (at + 2 * i < end && peek8(word + i) === peek16(at + 2 * i)) i++;
    if (at + 2 * i < end) continue;
    for (let fence: u32 = 0; fence < FENCES; fence++) {
      const same = fence === 0 ? peek8(word + i) === 0 : suffixIs(word + i, fence);
      if (!same) continue;
      addShape(at, fence);
      return true;
    }
  }
  return false;
}

function suffixIs(at: u64, fence: u32): bool {
  const name = fenceName(fence);
  if (peek8(at) !== PLUS || !startsWith(at + 1, name)) return false;
  return peek8(at + 1 + u64(name.length)) === 0;
}

export function fenceName(fence: u32): string {
  if (fence === MFENCE) return "mfence";
  return fence === LOCK ? "lock" : "xchg";
}

/** A line of the table: name, steps, outcomes ! outcomes. Its letters are two bytes wide. */
function addShape(at: u64, fence: u32): void {
  const nameEnd = nameEndAt(at);
  const test = addTest(at, nameEnd, nameEnd + 2, 2);
  if (test === null) return;
  test.fence = fence;
  let end = test.body;
  while (peek16(end) !== BLANK) end += 2;
  test.allowed = end + 2;
  while (peek16(end) !== BANG) end += 2;
  test.allowedFenced = end + 4;
}

/** Takes in the test at `body`, of letters that are `wide` bytes wide (0: one); null when it has too many threads. */
function addTest(name: u64, nameEnd: u64, body: u64, width: u64): Test | null {
  const at = mapPrivate(pageUp(TEST_RECORD_BYTES));
  const test = changetype<Test>(at);
  test.name = name;
  test.nameEnd = nameEnd;
  test.body = body;
  readBody(test, body, width === 0 ? 1 : width);
  if (test.threads > threadsMost) return null;
  test.number = testCount++;
  if (last === 0) firstTest = at;
  else changetype<Test>(last).next = at;
  last = at;
  return test;
}

export function stepOf(test: Test, thread: u32, index: u32): Step {
  const at = changetype<usize>(test) + STEPS_AT;
  return changetype<Step>(at + usize(thread * STEPS_MAX + index) * STEP_BYTES);
}
export function countOf(test: Test, thread: u32): u32 {
  return load<u32>(changetype<usize>(test) + COUNTS_AT + (usize(thread) << 2));
}
export function finalOf(test: Test, index: u32): Step {
  return changetype<Step>(changetype<usize>(test) + FINALS_AT + usize(index) * STEP_BYTES);
}

function letterAt(at: u64, width: u64): u32 {
  return width === 1 ? peek8(at) : peek16(at);
}

function readBody(test: Test, body: u64, width: u64): void {
  let thread: u32 = 0;
  let inFinals = false;
  let at = body;
  for (;;) {
    const count = countOf(test, thread);
    const step = inFinals ? finalOf(test, test.finals++) : stepOf(test, thread, count);
    if (!inFinals) store<u32>(changetype<usize>(test) + COUNTS_AT + (usize(thread) << 2), count + 1);
    if (count + 1 > STEPS_MAX || test.finals > FINALS_MAX) usage();
    at = readStep(step, at, width);
    const next = letterAt(at, width);
    if (next === 0 || next === BLANK) break;
    if (next === BAR) thread++;
    else if (next === SLASH) inFinals = true;
    else if (next !== SEMICOLON && next !== COMMA) usage();
    if (thread === THREADS_MAX) usage();
    at += width;
  }
  test.threads = thread + 1;
}

/** Gives the place behind the step. */
function readStep(step: Step, from: u64, width: u64): u64 {
  let at = from;
  const cell = letterAt(at, width) - LOWER_X;
  const after = letterAt(at + width, width);
  step.bytes = 4;
  if (cell > LOWER_Z - LOWER_X || after === 0x63) {
    // mfence, lock, xchg: by the first letter
    step.kind = FENCE;
    step.value = letterAt(at, width) === 0x6d ? 1 : letterAt(at, width) === 0x6c ? 2 : 3;
    while (letterAt(at, width) >= 0x61 && letterAt(at, width) <= LOWER_Z) at += width;
    return at;
  }
  step.cell = cell;
  at += width;
  if (letterAt(at, width) === DOT) {
    const size = letterAt(at + width, width);
    step.bytes = size === LOWER_B ? 1 : size === LOWER_W ? 2 : size === LOWER_Q ? 8 : 4;
    step.offset = (letterAt(at + 2 * width, width) - DIGIT) & 7;
    at += 3 * width;
  }
  const what = letterAt(at, width);
  step.kind = what === EQUALS ? STORE : what === TILDE ? EXCHANGE : what === PLUS ? ADD : LOAD;
  if (step.kind === LOAD) return at;
  at += width;
  for (; letterAt(at, width) - DIGIT <= 9; at += width)
    step.value = step.value * 10 + u64(letterAt(at, width) - DIGIT);
  return at;
}

/** Says how the program is called, with the names of the table; never returns. */
export function usage(): void {
  text(
    "usage: litmus [ROUNDS] [place=0..6] [copied] [turned] [disturbed] [TEST ...], up to 10000 rounds, 40000 of all tests; tests:",
  );
  for (let at = shapes(); peek16(at) !== 0; at = lineAfter(at)) {
    letter(BLANK);
    wide(at, nameEndAt(at));
  }
  text("; with +mfence, +lock, +xchg; or x=1;y|y=1;x\n");
  exit(2);
}

// --- letters ---

/** The table's first line. */
function shapes(): u64 {
  return u64(changetype<usize>(SHAPES)) + 2;
}
function lineAfter(at: u64): u64 {
  let end = at;
  while (peek16(end) !== NEWLINE) end += 2;
  return end + 2 < u64(changetype<usize>(SHAPES)) + 2 * u64(SHAPES.length) ? end + 2 : endOfTable();
}
const nothing: usize = memory.data(8);
function endOfTable(): u64 {
  return u64(nothing);
}
function nameEndAt(at: u64): u64 {
  let end = at;
  while (peek16(end) !== BLANK) end += 2;
  return end;
}
function wordEnd(at: u64): u64 {
  let end = at;
  while (peek8(end) !== 0) end++;
  return end;
}
export function wide(from: u64, to: u64): void {
  for (let at = from; at < to; at += 2) letter(peek16(at));
}
export function startsWith(at: u64, word: string): bool {
  for (let i = 0; i < word.length; i++) if (peek8(at + u64(i)) !== u32(word.charCodeAt(i))) return false;
  return true;
}
function holds(word: u64, code: u32): bool {
  for (let at = word; peek8(at) !== 0; at++) if (peek8(at) === code) return true;
  return false;
}
