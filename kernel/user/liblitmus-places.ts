// Where the cells of litmus.ts lie, and what its threads loaded: shared objects, of which each round of each test has bytes
// of its own that nobody has touched.
import { Step, testCount } from "./liblitmus-tests";
import { mapShared, pageUp } from "./libuser";

export const PAGE: usize = 4096;
export const LINE: usize = 64;

const ONE_LINE: u32 = 0;
const TWO_PAGES: u32 = 2;
const PLACES: u32 = 3;
export const SPLIT_LINE: u32 = 3;
export const SPLIT_PAGE: u32 = 4;
/** Two in one page, the third in another; by turns: the first in one page, the others in another. */
export const LENT: u32 = 5;
/** As in two pages, but of one object, which has one home. */
export const ONE_HOME: u32 = 6;
export const EVERY_PLACE: u32 = 7;
/** Of a page: the lines that threads write to before each round, and those of a round's cells. */
const OWN_LINES: u32 = 8;
export const ROUNDS_LENT: u32 = 18;
/** Of the first object: x, and y and z of its lines. Of the second: y, and z in another page. */
const ROUND_BYTES: usize = 3 * LINE;
export const CELL_BYTES: usize = 8;

/** Loaded values of a thread in a round: slots of 8 bytes. */
const SLOTS: u32 = 4;

export let rounds: u32 = 0;
export let onlyPlace: u32 = EVERY_PLACE;
/** All threads read the cells of a round before it begins. */
export let copied: bool = false;
/** Players of a test's threads take turns, round by round. */
export let turned: bool = false;
/** Who has no part in a round writes beside its cells. */
export let disturbed: bool = false;
/** The two objects that hold cells; their names have different homes in clusters of two and of four. */
export let cells: usize = 0;
export let cellsApart: usize = 0;
let apartBytes: usize = 0;
let results: usize = 0;
let resultBytes: usize = 0;

export function placesChoose(count: u32, place: u32, copies: bool, turns: bool, disturbs: bool): void {
  rounds = count;
  onlyPlace = place;
  copied = copies;
  turned = turns;
  disturbed = disturbs;
}

/** Once the tests are known. */
export function placesMap(threads: u32): void {
  const split = onlyPlace === SPLIT_PAGE;
  const total = usize(testCount * rounds);
  // An operand that is split over pages needs a page's end for each cell.
  if (onlyPlace === LENT) {
    cells = mapShared("/shm/litmus.cells", usize(testCount) * PAGE);
    apartBytes = usize(testCount) * PAGE;
  } else {
    const bytes: usize = split ? (3 * total + 1) * PAGE : pageUp((total + 1) * ROUND_BYTES);
    apartBytes = pageUp(total * LINE);
    cells = mapShared("/shm/litmus.cells", onlyPlace === ONE_HOME ? bytes + 2 * apartBytes : bytes);
    cellsApart = cells + bytes;
  }
  if (onlyPlace !== ONE_HOME) cellsApart = mapShared("/shm/litmus.more", 2 * apartBytes);
  resultBytes = pageUp(total * usize(SLOTS) * CELL_BYTES);
  results = mapShared("/shm/litmus.results", resultBytes * usize(threads));
}

/** Where a step's operand lies in round `number` of all tests' rounds. */
export function addressOf(step: Step, number: u32, round: u32): u64 {
  const place = onlyPlace === EVERY_PLACE ? round % PLACES : onlyPlace;
  if (place === LENT) return u64(lentCell(step.cell, number / rounds, round)) + u64(step.offset);
  return u64(cellAt(swapped(step.cell, round), usize(number), place)) + u64(step.offset);
}

/** In every other round that begins with copies x and y change places, so that each machine is once the home of what it writes. */
function swapped(cell: u32, round: u32): u32 {
  return copied && round % 2 !== 0 && cell < 2 ? 1 - cell : cell;
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
  if (place !== TWO_PAGES && place !== ONE_HOME) return round + usize(cell) * LINE;
  return cellsApart + number * LINE + (cell === 1 ? 0 : apartBytes);
}

/** Of a cell's line: a byte that no operand has. */
export function besideCell(at: u64): u64 {
  return (at & ~u64(LINE - 1)) + u64(LINE / 2);
}

export function resultOf(player: u32, number: u32): usize {
  return results + usize(player) * resultBytes + usize(number) * usize(SLOTS) * CELL_BYTES;
}
