// Litmus tests of memory order between the cores of one machine or of several: thread i of all machines plays thread i
// of a test. The tests, their notation and what x86-TSO allows of them are data (liblitmus.ts).
// Usage: litmus [ROUNDS] [place=PLACE] [TEST ...]: 100 rounds of every test, with nothing, MFENCE, a LOCKed instruction
// and XCHG between its steps, unless told. TEST is a name, a name with a fence (SB+mfence), or a test itself, of which
// the outcomes are counted but not judged.
//
// Each round has cells of its own that nobody has touched, so nothing is reset. All threads meet on a shared word, by
// spinning, before a test's first round, on one machine before each; then each goes through the rounds at its own pace,
// in half of them with random waits before its steps, so that lines and pages move between two steps as well. Rounds
// take turns in where the cells lie (PLACE for only one of them): in one line, in one page, in two pages of two objects;
// or, when asked for, so that an operand of four bytes is split over two lines or two pages; or in chunks of pages that the
// machines lend one another, of which each thread writes to one of its own before each round. At the end machine 1 counts
// the outcomes; one that x86-TSO forbids fails the run.
import { mfence, pause, peek8, peek16, peek32, peek64, poke8, poke16, poke32, poke64, rdtsc } from "./arch";
import { SHAPES } from "./liblitmus";
import {
  argument,
  argumentCount,
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
const ROUNDS_MAX: u32 = 10_000;
const PAGE: usize = 4096;
const LINE: usize = 64;
/** In the common page: the word on which threads meet, and the meeting of whole machines. */
const SPIN: usize = 0;
const MEETINGS: usize = 512;
const VERDICT: usize = 1024;

// --- the notation, letter by letter ---
const NEWLINE: u32 = 0x0a;
const BLANK: u32 = 0x20;
const BANG: u32 = 0x21;
const PLUS: u32 = 0x2b;
const COMMA: u32 = 0x2c;
const DOT: u32 = 0x2e;
const SLASH: u32 = 0x2f;
const DIGIT: u32 = 0x30;
const SEMICOLON: u32 = 0x3b;
const EQUALS: u32 = 0x3d;
const BAR: u32 = 0x7c;
const TILDE: u32 = 0x7e;
const LOWER_B: u32 = 0x62;
const LOWER_Q: u32 = 0x71;
const LOWER_W: u32 = 0x77;
const LOWER_X: u32 = 0x78;
const LOWER_Z: u32 = 0x7a;

// --- places: where a round's cells lie ---
const ONE_LINE: u32 = 0;
const TWO_PAGES: u32 = 2;
const PLACES: u32 = 3;
const SPLIT_LINE: u32 = 3;
const SPLIT_PAGE: u32 = 4;
/** Two in one page, the third in another; by turns: the first in one page, the others in another. */
const LENT: u32 = 5;
const EVERY_PLACE: u32 = 6;
/** Of a page: the lines that threads write to before each round, and those of a round's cells. */
const OWN_LINES: u32 = 8;
const ROUNDS_LENT: u32 = 18;
/** So often, and in pieces, so that looks at what the loans cost fall in between. */
const OWN_WRITES: u32 = 40;
/** Of the first object: x, and y and z of its lines. Of the second: y, and z in another page. */
const ROUND_BYTES: usize = 3 * LINE;
const CELL_BYTES: usize = 8;

// --- tests ---
const LOAD: u32 = 0;
const STORE: u32 = 1;
const EXCHANGE: u32 = 2;
const ADD: u32 = 3;
const FENCE: u32 = 4;
/** Fences by number: nothing, then as `fenceName`. */
const FENCES: u32 = 4;
const MFENCE: u32 = 1;
const LOCK: u32 = 2;

@unmanaged
class Step {
  kind: u32 = 0;
  /** x, y, z are 0, 1, 2. */
  cell: u32 = 0;
  offset: u32 = 0;
  bytes: u32 = 0;
  value: u64 = 0;
}
const STEP_BYTES: usize = 24;
const STEPS_MAX: u32 = 16;
const THREADS_MAX: u32 = 4;
const FINALS_MAX: u32 = 4;
/** Loaded values of a thread in a round: slots of 8 bytes. */
const SLOTS: u32 = 4;

@unmanaged
class Test {
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

let first: usize = 0;
let last: usize = 0;
let tests: u32 = 0;
let rounds: u32 = 0;
/** One machine plays. */
let alone: bool = false;
let onlyPlace: u32 = EVERY_PLACE;
let threads: u32 = 0;
let firstThread: u32 = 0;
let common: usize = 0;
/** The two objects that hold cells; their names have different homes in clusters of two and of four. */
let cells: usize = 0;
let cellsApart: usize = 0;
let apartBytes: usize = 0;
let results: usize = 0;
let resultBytes: usize = 0;
/** This machine's own: what fences work on, a line a thread. */
let scratch: usize = 0;
/** A page a thread: its Acts. */
let plans: usize = 0;

export function start(stack: u64): void {
  programStart(stack);
  const here = cores();
  threads = here * nodes();
  alone = nodes() === 1;
  firstThread = here * (node() - 1);
  scratch = mapPrivate(PAGE);
  plans = mapPrivate(usize(THREADS_MAX) * PAGE);
  readArguments();
  common = mapShared("/shm/litmus", PAGE);
  mapCells();
  meet(common + MEETINGS, nodes());
  text("litmus: ready\n");
  const running = mapPrivate(PAGE);
  for (let i: u32 = 0; i < here; i++) store<usize>(running + (usize(i) << 2), threadRun(play.index, i));
  for (let i: u32 = 0; i < here; i++) threadJoin(load<usize>(running + (usize(i) << 2)));
  meet(common + MEETINGS, nodes());
  if (node() === 1) atomic.store<u32>(common + VERDICT, u32(judge()));
  meet(common + MEETINGS, nodes());
  exit(atomic.load<u32>(common + VERDICT) === 1 ? 0 : 1);
}

function mapCells(): void {
  const split = onlyPlace === SPLIT_PAGE;
  const total = usize(tests * rounds);
  // An operand that is split over pages needs a page's end for each cell.
  if (onlyPlace === LENT) {
    cells = mapShared("/shm/litmus.cells", usize(tests) * PAGE);
    apartBytes = usize(tests) * PAGE;
  } else
    cells = mapShared(
      "/shm/litmus.cells",
      split ? (3 * total + 1) * PAGE : pageUp((total + 1) * ROUND_BYTES),
    );
  if (onlyPlace !== LENT) apartBytes = pageUp(total * LINE);
  cellsApart = mapShared("/shm/litmus.more", 2 * apartBytes);
  resultBytes = pageUp(total * usize(SLOTS) * CELL_BYTES);
  results = mapShared("/shm/litmus.results", resultBytes * usize(threads));
}

// --- which tests ---

function readArguments(): void {
  let at: u32 = 1;
  rounds = u32(numberAt(argument(1), ROUNDS));
  if (at < argumentCount() && peek8(argument(1)) - DIGIT <= 9) at++;
  if (rounds === 0 || rounds > ROUNDS_MAX) usage();
  if (at < argumentCount() && startsWith(argument(at), "place=")) {
    onlyPlace = peek8(argument(at) + 6) - DIGIT;
    if (onlyPlace > LENT || (onlyPlace === LENT && rounds > ROUNDS_LENT)) usage();
    at++;
  }
  if (at === argumentCount()) addAll();
  for (; at < argumentCount(); at++) {
    const word = argument(at);
    if (holds(word, EQUALS) || holds(word, TILDE)) {
      addTest(word, wordEnd(word), word, 0);
    } else if (!addNamed(word)) usage();
  }
  if (tests === 0 || tests * rounds > 4 * ROUNDS_MAX) usage();
}

function usage(): void {
  text("usage: litmus [ROUNDS] [place=0..5] [TEST ...], up to 10000 rounds, 40000 of all tests; tests:");
  for (let at = shapes(); peek16(at) !== 0; at = lineAfter(at)) {
    letter(BLANK);
    wide(at, nameEndAt(at));
  }
  text("; with +mfence, +lock, +xchg; or x=1;y|y=1;x\n");
  exit(2);
}

/** Every test that there are threads for, with every fence. */
function addAll(): void {
  for (let at = shapes(); peek16(at) !== 0; at = lineAfter(at))
    for (let fence: u32 = 0; fence < FENCES; fence++) addShape(at, fence);
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

function fenceName(fence: u32): string {
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
  if (test.threads > threads) return null;
  test.number = tests++;
  if (last === 0) first = at;
  else changetype<Test>(last).next = at;
  last = at;
  return test;
}

function stepOf(test: Test, thread: u32, index: u32): Step {
  const at = changetype<usize>(test) + STEPS_AT;
  return changetype<Step>(at + usize(thread * STEPS_MAX + index) * STEP_BYTES);
}
function countOf(test: Test, thread: u32): u32 {
  return load<u32>(changetype<usize>(test) + COUNTS_AT + (usize(thread) << 2));
}
function finalOf(test: Test, index: u32): Step {
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
function wide(from: u64, to: u64): void {
  for (let at = from; at < to; at += 2) letter(peek16(at));
}
function startsWith(at: u64, word: string): bool {
  for (let i = 0; i < word.length; i++) if (peek8(at + u64(i)) !== u32(word.charCodeAt(i))) return false;
  return true;
}
function holds(word: u64, code: u32): bool {
  for (let at = word; peek8(at) !== 0; at++) if (peek8(at) === code) return true;
  return false;
}

// --- playing ---

/** One thread, through all tests in which it has a part. */
function play(index: usize): void {
  const thread = firstThread + u32(index);
  for (let at = first; at !== 0; at = changetype<Test>(at).next) {
    const test = changetype<Test>(at);
    for (let round: u32 = 0; round < rounds; round++) {
      // Cores of one machine meet in a few nanoseconds; between machines that takes longer than a round.
      if (round === 0 || alone) together(test.number * rounds + round + 1);
      if (round === 0 && !alone) linger(START_WAIT);
      if (onlyPlace === LENT && thread < test.threads) writeOwn(test, thread);
      if (thread < test.threads) act(test, thread, round);
    }
  }
}

/** All threads meet, those without a part too; `meetings` is above those of all meetings before. */
function together(meetings: u32): void {
  const spin = u64(common + SPIN);
  const met = alone ? meetings : (meetings + rounds - 1) / rounds;
  atomic.add<u32>(usize(spin), 1);
  while (i32(peek32(spin) - met * threads) < 0) pause();
}

/** Longest waits, in ticks of the time-stamp counter: before a step, and before a test, since some hear late of its start. */
const STEP_WAIT: u32 = 0x3fff;
const START_WAIT: u32 = 0xffff;

/** Waits every other time, for a while that the low bits of the time draw. */
function linger(longest: u32): void {
  const begin = rdtsc();
  const drawn = u32(begin) * 0x9e37_79b1;
  if (drawn >> 31 !== 0) return;
  const wait = u64((drawn >> 8) & longest);
  while (rdtsc() - begin < wait) pause();
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

function act(test: Test, thread: u32, round: u32): void {
  const number = test.number * rounds + round;
  const acts = plans + usize(thread) * PAGE;
  const end = acts + usize(planned(test, thread, number, round, acts)) * ACT_BYTES;
  const tight = (u32(rdtsc()) * 0x9e37_79b1) >> 30 < 2;
  const own = scratch + usize(thread) * LINE;
  let result = resultOf(thread, number);
  for (let at = acts; at < end; at += ACT_BYTES) {
    const next = changetype<Act>(at);
    if (!tight) linger(STEP_WAIT);
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

function take(at: u64, bytes: u32): u64 {
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

/** Where a step's operand lies in round `number` of all tests' rounds. */
function addressOf(step: Step, number: u32, round: u32): u64 {
  const place = onlyPlace === EVERY_PLACE ? round % PLACES : onlyPlace;
  if (place === LENT) return u64(lentCell(step.cell, number / rounds, round)) + u64(step.offset);
  return u64(cellAt(step.cell, usize(number), place)) + u64(step.offset);
}

function lentCell(cell: u32, test: u32, round: u32): usize {
  const here = round % 2 === 0 ? cell < 2 : cell === 0;
  const line = OWN_LINES + round * 3 + cell;
  return (here ? cells : cellsApart) + usize(test) * PAGE + usize(line) * LINE;
}

function cellAt(cell: u32, number: usize, place: u32): usize {
  if (place === SPLIT_PAGE) return cells + (3 * number + usize(cell) + 1) * PAGE - 2;
  const round = cells + number * ROUND_BYTES;
  if (place === SPLIT_LINE) return round + (usize(cell) + 1) * LINE - 2;
  if (cell === 0) return round;
  if (place === ONE_LINE) return round + usize(cell) * CELL_BYTES;
  if (place !== TWO_PAGES) return round + usize(cell) * LINE;
  return cellsApart + number * LINE + (cell === 1 ? 0 : apartBytes);
}

function resultOf(thread: u32, number: u32): usize {
  return results + usize(thread) * resultBytes + usize(number) * usize(SLOTS) * CELL_BYTES;
}

// --- judging ---

/** By machine 1: one line a test, and whether nothing forbidden was seen. */
function judge(): bool {
  let good = true;
  for (let at = first; at !== 0; at = changetype<Test>(at).next) {
    if (judgeTest(changetype<Test>(at)) !== 0) good = false;
  }
  text("litmus: machines ");
  decimal(u64(nodes()));
  text(" threads ");
  decimal(u64(threads));
  text(good ? " forbidden outcomes: none\n" : " forbidden outcomes: SEEN\n");
  return good;
}

/** Outcomes as they are written, and how often each came. */
const OUTCOME_BYTES: usize = 128;
const OUTCOMES_MAX: u32 = 128;
const COUNT_AT: usize = 120;
let outcomes: usize = 0;
let spelled: usize = 0;

function judgeTest(test: Test): u32 {
  if (outcomes === 0) outcomes = mapPrivate(usize(OUTCOMES_MAX + 1) * OUTCOME_BYTES);
  memory.fill(outcomes, 0, usize(OUTCOMES_MAX + 1) * OUTCOME_BYTES);
  let wrong: u32 = 0;
  let different: u32 = 0;
  for (let round: u32 = 0; round < rounds; round++) {
    spell(test, round, outcomes + usize(different) * OUTCOME_BYTES);
    let known: u32 = 0;
    const mine = outcomes + usize(different) * OUTCOME_BYTES;
    while (!same(outcomes + usize(known) * OUTCOME_BYTES, mine)) known++;
    const counter = outcomes + usize(known) * OUTCOME_BYTES + COUNT_AT;
    store<u32>(counter, load<u32>(counter) + 1);
    if (known === different && different < OUTCOMES_MAX) different++;
    else memory.fill(mine, 0, COUNT_AT);
    if (!isAllowed(test, outcomes + usize(known) * OUTCOME_BYTES)) wrong++;
  }
  text("litmus ");
  if (test.allowed !== 0) wide(test.name, test.nameEnd);
  else for (let at = test.name; at < test.nameEnd; at++) letter(peek8(at));
  if (test.fence !== 0) {
    letter(PLUS);
    text(fenceName(test.fence));
  }
  letter(0x3a);
  for (let i: u32 = 0; i < different; i++) {
    const outcome = outcomes + usize(i) * OUTCOME_BYTES;
    letter(BLANK);
    for (let at = outcome; load<u8>(at) !== 0; at++) letter(u32(load<u8>(at)));
    letter(EQUALS);
    decimal(u64(load<u32>(outcome + COUNT_AT)));
  }
  text(" forbidden ");
  decimal(u64(wrong));
  text("\n");
  return wrong;
}

/** Writes a round's outcome to `to`: loaded values thread by thread, then final ones, with commas. */
function spell(test: Test, round: u32, to: usize): void {
  spelled = to;
  const number = test.number * rounds + round;
  for (let thread: u32 = 0; thread < test.threads; thread++) {
    let result = u64(resultOf(thread, number));
    for (let i: u32 = 0; i < countOf(test, thread); i++) {
      const kind = stepOf(test, thread, i).kind;
      if (kind === STORE || kind === FENCE) continue;
      spellValue(to, peek64(result));
      result += u64(CELL_BYTES);
    }
  }
  for (let i: u32 = 0; i < test.finals; i++) {
    const final = finalOf(test, i);
    spellValue(to, take(addressOf(final, number, round), final.bytes));
  }
}

function spellValue(from: usize, value: u64): void {
  if (spelled !== from) store<u8>(spelled++, u8(COMMA));
  spellDecimal(value);
}
function spellDecimal(value: u64): void {
  if (value >= 10) spellDecimal(value / 10);
  store<u8>(spelled++, u8(DIGIT + u32(value % 10)));
}

function same(a: usize, b: usize): bool {
  for (let i: usize = 0; i < COUNT_AT; i++) {
    if (load<u8>(a + i) !== load<u8>(b + i)) return false;
    if (load<u8>(a + i) === 0) return true;
  }
  return true;
}

/** Whether the outcome stands in the test's line. */
function isAllowed(test: Test, outcome: usize): bool {
  if (test.allowed === 0 || onlyPlace === SPLIT_LINE || onlyPlace === SPLIT_PAGE) return true;
  let at = test.fence === 0 ? test.allowed : test.allowedFenced;
  let found: bool = false;
  for (let more = true; more && !found; at += 2) {
    let i: u64 = 0;
    while (peek8(u64(outcome) + i) !== 0 && peek16(at + 2 * i) === peek8(u64(outcome) + i)) i++;
    found = peek8(u64(outcome) + i) === 0 && ends(at + 2 * i);
    while (!ends(at)) at += 2;
    more = peek16(at) === BLANK && peek16(at + 2) !== BANG;
  }
  return found;
}

function ends(at: u64): bool {
  return peek16(at) === BLANK || peek16(at) === NEWLINE;
}
