// One machine fills the pages of a shared file, and others come to them. Usage: scan HOW PAGES [WRITER]; HOW is
//   own      only the writer comes to them
//   split    another machine adds to the page in the middle, then the writer fills all of them once more
//   read     every other machine reads all pages in order, one after the other
//   again    the same twice; in between the writer changes one page
//   late     the writer fills every other page and looks at the rest, in turn; another machine comes to all of them each time, and
//            behind it those that came before
//   share    each machine fills its share of the pages; then all but the "writer" read all of them
//   grown    the writer fills a file of an eighth of the pages; then the file grows, and every other machine reads all pages in order
// Machine 1 prints `scan: HOW PAGES wrong W nanoseconds T`: pages that were not as they should be, and how long the first
// reader took for all of them (0: nobody read). Of more than 1,024 pages the first reader prints before what each 1,024 took, in
// microseconds. Status 1 when W is not 0.
import { peek64, poke64 } from "./arch";
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
  numberArgument,
  programStart,
  text,
  textAt,
} from "./libuser";

const PAGE: usize = 4096;
const PAGES: u64 = 64;
const PAGES_MAX: u64 = 131_072;
/** Pages whose time is taken apart. */
const STRETCH: usize = 1024;
/** In the meeting page: pages found wrong, the first reader's time. */
const WRONG: usize = 512;
const TIME: usize = 520;

let common: usize = 0;
let file: usize = 0;
let pages: usize = 0;
/** Those behind were never written. */
let filled: usize = 0;
const stretches: usize = memory.data(8 * 129);

export function start(stack: u64): void {
  programStart(stack);
  const count = numberArgument(2, PAGES);
  const writer = <u32>numberArgument(3, 1);
  const known =
    argumentIs(1, "own") ||
    argumentIs(1, "split") ||
    argumentIs(1, "read") ||
    argumentIs(1, "again") ||
    argumentIs(1, "late") ||
    argumentIs(1, "share") ||
    argumentIs(1, "grown");
  if (!known || count === 0 || count > PAGES_MAX || writer === 0 || writer > nodes()) {
    text("usage: scan own|split|read|again|late|share|grown [PAGES [WRITER]], of up to 131072 pages\n");
    exit(2);
  }
  pages = usize(count);
  common = mapShared("/shm/scan.meeting", PAGE);
  const grown = argumentIs(1, "grown");
  filled = grown ? pages / 8 : pages;
  file = mapShared("/shm/scan", filled * PAGE);
  const mine = node() === writer;
  const share = argumentIs(1, "share");
  const reads = share || grown || argumentIs(1, "read") || argumentIs(1, "again");
  meet(common, nodes());
  if (argumentIs(1, "late")) {
    late(writer);
    exit(node() === 1 ? judge() : 0);
  }
  if (share) fill(1, nodes());
  else if (mine) fill(1, 1);
  meet(common, nodes());
  if (grown) file = mapShared("/shm/scan", pages * PAGE);
  if (argumentIs(1, "split")) {
    const other = (writer % nodes()) + 1;
    const at = file + (pages / 2) * PAGE;
    if (node() === other) poke64(u64(at), peek64(u64(at)) + 1);
    meet(common, nodes());
    if (mine) {
      if (peek64(u64(at)) !== markOf(pages / 2, 1) + 1) wrong(1);
      fill(2, 1);
    }
  }
  if (reads) readers(writer, 1, 0);
  if (argumentIs(1, "again")) {
    if (mine) poke64(u64(file + (pages / 2) * PAGE), markOf(pages / 2, 1) + 1);
    meet(common, nodes());
    readers(writer, 1, 1);
  }
  if (mine && !share) wrong(badPages(argumentIs(1, "split") ? 2 : 1, u64(argumentIs(1, "again"))));
  meet(common, nodes());
  exit(node() === 1 ? judge() : 0);
}

function markOf(page: usize, round: u64): u64 {
  return (round << 32) | u64(page + 1);
}

/** Every page, or every so many, beginning with this machine's. */
function fill(round: u64, step: u32): void {
  for (let page: usize = step === 1 ? 0 : usize(node() - 1); page < filled; page += step) {
    const at = file + page * PAGE;
    poke64(u64(at), markOf(page, round));
    poke64(u64(at + PAGE - 8), ~markOf(page, round));
  }
}

/** How many pages are not what fill(round) made of them; the one in the middle is so much more. */
function badPages(round: u64, more: u64): u64 {
  let bad: u64 = 0;
  for (let page: usize = 0; page < pages; page++) {
    const at = u64(file + page * PAGE);
    const value = page < filled ? markOf(page, round) : 0;
    const first = page === pages / 2 ? value + more : value;
    const last = page < filled ? ~value : 0;
    if (peek64(at) !== first || peek64(at + PAGE - 8) !== last) bad++;
    if ((page + 1) % STRETCH === 0) store<u64>(stretches + ((page + 1) / STRETCH) * 8, now());
  }
  return bad;
}

/** The round in which a page was written last; 0: it was not yet. */
function roundOf(page: usize, round: u64): u64 {
  return ((u64(page) + round) & 1) === 1 ? round : round - 1;
}

function late(writer: u32): void {
  for (let round: u32 = 1; round < nodes(); round++) {
    if (node() === writer) {
      for (let page: usize = 0; page < pages; page++)
        if (roundOf(page, round) === round) poke64(u64(file + page * PAGE), markOf(page, round));
      wrong(latePages(round));
    }
    meet(common, nodes());
    // The newest first: machine w + round of w + 1, w + 2 and so on.
    for (let back: u32 = 0; back < round; back++) {
      if (node() === ((writer - 1 + round - back) % nodes()) + 1) wrong(latePages(round));
      meet(common, nodes());
    }
  }
}

function latePages(round: u64): u64 {
  let bad: u64 = 0;
  for (let page: usize = 0; page < pages; page++) {
    const last = roundOf(page, round);
    const value = peek64(u64(file + page * PAGE));
    if (value !== (last === 0 ? 0 : markOf(page, last))) bad++;
  }
  return bad;
}

/** One machine after the other, so that each has the wire for itself. */
function readers(writer: u32, round: u64, more: u64): void {
  for (let machine: u32 = 1; machine <= nodes(); machine++) {
    if (machine === node() && machine !== writer) {
      const from = now();
      store<u64>(stretches, from);
      wrong(badPages(round, more));
      if (peek64(u64(common + TIME)) === 0) {
        poke64(u64(common + TIME), now() - from);
        if (pages > STRETCH) printStretches();
      }
    }
    meet(common, nodes());
  }
}

function printStretches(): void {
  text("scan: microseconds each 1024");
  for (let stretch: usize = 1; stretch <= pages / STRETCH; stretch++) {
    const end = stretches + stretch * 8;
    text(" ");
    decimal((load<u64>(end) - load<u64>(end - 8)) / 1000);
  }
  text("\n");
}

function wrong(count: u64): void {
  if (count !== 0) atomic.add<u64>(common + WRONG, count);
}

function judge(): i32 {
  const bad = peek64(u64(common + WRONG));
  text("scan: ");
  textAt(argument(1));
  text(" ");
  decimal(u64(pages));
  text(" wrong ");
  decimal(bad);
  text(" nanoseconds ");
  decimal(peek64(u64(common + TIME)));
  text("\n");
  return i32(bad !== 0);
}
