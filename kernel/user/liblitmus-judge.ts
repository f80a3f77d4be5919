// How litmus.ts judges: outcomes counted, test by test, against those that the table allows.
import { peek8, peek16, peek64 } from "./arch";
import {
  addressOf,
  CELL_BYTES,
  onlyPlace,
  resultOf,
  rounds,
  SPLIT_LINE,
  SPLIT_PAGE,
} from "./liblitmus-places";
import { playerOf, take, threads } from "./liblitmus-play";
import {
  BANG,
  BLANK,
  COMMA,
  countOf,
  DIGIT,
  EQUALS,
  FENCE,
  fenceName,
  finalOf,
  firstTest,
  NEWLINE,
  PLUS,
  STORE,
  stepOf,
  Test,
  wide,
} from "./liblitmus-tests";
import { decimal, letter, mapPrivate, nodes, text } from "./libuser";

/** By machine 1: one line a test, and whether nothing forbidden was seen. */
export function judge(): bool {
  let good = true;
  for (let at = firstTest; at !== 0; at = changetype<Test>(at).next) {
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
    let result = u64(resultOf(playerOf(thread, round), number));
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
