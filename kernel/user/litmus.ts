// Litmus tests of memory order between the cores of one machine or of several: thread i of all machines plays thread i
// of a test. The tests and what x86-TSO allows of them are data (liblitmus.ts).
// Usage: litmus [ROUNDS] [place=PLACE] [copied] [turned] [disturbed] [TEST ...]: 100 rounds of every test, with nothing, MFENCE, a LOCKed instruction
// and XCHG between its steps, unless told. TEST is a name, a name with a fence (SB+mfence), or a test itself, of which
// the outcomes are counted but not judged.
//
// Each round has cells of its own that nobody has touched, so nothing is reset. All threads meet on a shared word, by
// spinning, before a test's first round, on one machine before each; then each goes through the rounds at its own pace,
// in half of them with random waits before its steps, so that lines and pages move between two steps as well. Rounds
// take turns in where the cells lie (PLACE for only one of them): in one line, in one page, in two pages of two objects;
// or, when asked for, so that an operand of four bytes is split over two lines or two pages; or in chunks of pages that the
// machines lend one another, of which each thread writes to one of its own before each round; or in pages of one object,
// which has one home. With "copied" all threads meet before each round, read its cells and meet again, so that machines begin it with
// copies of the pages (with the kernel's word migrate=0: else whoever reads them takes them). With "turned" all threads meet before each round, and who plays
// which thread of a test turns by one each round, so that its threads are now in one machine and now in several. With "disturbed" who has no part
// in a round writes beside its cells, so that their pages leave meanwhile. At the end machine 1 counts the outcomes; one that x86-TSO forbids fails the run.
import { peek8 } from "./arch";
import { judge } from "./liblitmus-judge";
import { EVERY_PLACE, LENT, ONE_HOME, PAGE, placesChoose, placesMap, ROUNDS_LENT } from "./liblitmus-places";
import { play, playersCount, playPrepare, threads } from "./liblitmus-play";
import { addAll, addWord, DIGIT, startsWith, testCount, testsFor, usage } from "./liblitmus-tests";
import {
  argument,
  argumentCount,
  argumentIs,
  cores,
  exit,
  mapPrivate,
  mapShared,
  meet,
  node,
  nodes,
  numberAt,
  programStart,
  text,
  threadJoin,
  threadRun,
} from "./libuser";

const ROUNDS: u32 = 100;
const ROUNDS_MAX: u32 = 10_000;
/** In the common page: the word on which threads meet, the meeting of whole machines, and machine 1's verdict. */
const SPIN: usize = 0;
const MEETINGS: usize = 512;
const VERDICT: usize = 1024;

export function start(stack: u64): void {
  programStart(stack);
  playersCount();
  testsFor(threads);
  readArguments();
  const common = mapShared("/shm/litmus", PAGE);
  playPrepare(common + SPIN);
  placesMap(threads);
  meet(common + MEETINGS, nodes());
  text("litmus: ready\n");
  const running = mapPrivate(PAGE);
  for (let i: u32 = 0; i < cores(); i++) store<usize>(running + (usize(i) << 2), threadRun(play.index, i));
  for (let i: u32 = 0; i < cores(); i++) threadJoin(load<usize>(running + (usize(i) << 2)));
  meet(common + MEETINGS, nodes());
  if (node() === 1) atomic.store<u32>(common + VERDICT, u32(judge()));
  meet(common + MEETINGS, nodes());
  exit(atomic.load<u32>(common + VERDICT) === 1 ? 0 : 1);
}

function readArguments(): void {
  let at: u32 = 1;
  let place = EVERY_PLACE;
  const rounds = u32(numberAt(argument(1), ROUNDS));
  if (at < argumentCount() && peek8(argument(1)) - DIGIT <= 9) at++;
  if (rounds === 0 || rounds > ROUNDS_MAX) usage();
  if (at < argumentCount() && startsWith(argument(at), "place=")) {
    place = peek8(argument(at) + 6) - DIGIT;
    if (place > ONE_HOME || (place === LENT && rounds > ROUNDS_LENT)) usage();
    at++;
  }
  const copies = at < argumentCount() && argumentIs(at, "copied");
  if (copies) at++;
  const turns = at < argumentCount() && argumentIs(at, "turned");
  if (turns) at++;
  const disturbs = at < argumentCount() && argumentIs(at, "disturbed");
  if (disturbs) at++;
  if (at === argumentCount()) addAll();
  for (; at < argumentCount(); at++) if (!addWord(argument(at))) usage();
  if (testCount === 0 || testCount * rounds > 4 * ROUNDS_MAX) usage();
  placesChoose(rounds, place, copies, turns, disturbs);
}
