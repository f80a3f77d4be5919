// Which pages machines fight over, and what is done about it: sending an operation to the page instead of fetching
// the page. All of it is advice; whatever is answered here, the protocol is right. Core 0 only, like pages.ts.
//
// A page is hot when it was taken from this machine shortly after it came, several times in a row. Of a hot page the owner
// does operations for others (one round trip and no page), until it tells one of them to take the page: the one that
// has used it `patience` times in a row, since moving pays for whoever uses it alone, or whoever comes when all together have
// used it twice as often, since the owner's own accesses are cheaper and each machine shall have them. Patience grows when the
// former owner wants the page back soon, and shrinks when it does not.
//
// A hot page is also held for a while after it came (hold.ts).
import { bootNumber } from "../options";
import { wireTime } from "../syslink/peers";
import { holdMost, holdTake } from "./hold";
import { migratoryLost, migratoryStart } from "./migratory";
import { SharedObject } from "./pager";
import { Page } from "./records";
import { turnsCame } from "./turns";

const MILLISECOND: u64 = 1_000_000;
/** Whoever loses a page sooner than that has fought for it; who does not want it for so long has stopped. */
const SOON: u64 = 2 * MILLISECOND;
const QUIET: u64 = 20 * MILLISECOND;
/** So many times in a row. */
const HOT: u32 = 2;
const HEAT_MAX: u32 = 8;
const PATIENCE: u32 = 8;
const PATIENCE_MIN: u32 = 2;
const PATIENCE_MAX: u32 = 16;

/** So many operations move the page after one that should have. */
const MOVES: u32 = 8;

let ships: bool = true;
let holds: bool = true;
let differs: bool = true;

/** For comparisons, on the command line: `ship=0`: every operation moves its page; `hold=0`: no page is held; `difference=0`: pages go whole. */
export function contentionStart(): void {
  migratoryStart();
  ships = bootNumber("ship", 1) != 0;
  holds = bootNumber("hold", 1) != 0;
  differs = bootNumber("difference", 1) != 0;
}

function patienceOf(page: Page): u32 {
  return page.patience == 0 ? PATIENCE : page.patience;
}

/** This machine wants the page, and an operation would do. Send it? */
export function operationPays(page: Page, now: u64): bool {
  if (page.advisedAt != 0) {
    // It was given away on our advice: too early, or just right?
    const early = now - page.advisedAt < QUIET;
    page.patience = early
      ? min<u32>(PATIENCE_MAX, patienceOf(page) * 2)
      : max<u32>(PATIENCE_MIN, patienceOf(page) / 2);
    page.advisedAt = 0;
  }
  if (page.toTake != 0) {
    page.toTake = 0;
    return false;
  }
  if (now - page.lostAt > QUIET) page.heat = 0;
  if (!ships || page.heat < HOT) return false;
  if (page.movesNext == 0) return true;
  page.movesNext--;
  return false;
}

/** It was done. */
export function operationDone(page: Page): void {
  page.operatedLast = 1;
}

/** A thread wants more of the page than an operation: had the page come instead of the last one, this would need no message. */
export function pageItselfWanted(page: Page): void {
  if (page.operatedLast != 0) page.movesNext = MOVES;
  page.operatedLast = 0;
}

/** Others have taken it soon after it came, several times in a row, and not long ago. */
export function isHot(page: Page, now: u64): bool {
  return page.heat >= HOT && now - page.lostAt <= QUIET;
}

/** It was taken from here too soon, the last time; or machines have fought over its object, and threads here read it to write it. */
export function isContended(page: Page, now: u64): bool {
  if (page.heat != 0 && now - page.lostAt <= QUIET) return true;
  return page.migratory != 0 || changetype<SharedObject>(page.holder).fought != 0;
}

/** pageShare() of all the time. */
export const SHARE_ONE: u64 = 1024;

/**
 * The part of the time in which a machine has a page that goes to and fro between two: its hold window, of a round of two
 * windows and two ways. Without windows that is next to nothing.
 */
export function pageShare(): u64 {
  if (!holds) return 0;
  const fetch = max<u64>(wireTime(), 1000);
  const window = holdMost();
  return (window * SHARE_ONE) / (2 * window + fetch);
}

/** Taken soon after it came, the last time. */
export function isFoughtOver(page: Page): bool {
  return differs && page.heat != 0;
}

/** Nobody could do it: the page is shared, or on its way. */
export function operationDeclined(page: Page): void {
  page.movesNext = MOVES;
}

/** The right to write has come. */
export function pageCame(page: Page, now: u64): void {
  if (page.ownedAt != 0) return;
  page.ownedAt = now;
  page.cameSerial = page.serial;
  page.heldUntil = 0;
  if (holds && page.heat >= HOT) holdTake(page);
  page.performed = 0;
  page.performedInRow = 0;
  turnsCame(page);
}

/** Another machine takes the page, or the right to write. `written`: meanwhile, by this machine. */
export function rightLost(page: Page, now: u64, written: bool): void {
  migratoryLost(page, written);
  if (page.ownedAt == 0) return;
  if (page.advised != 0) {
    page.advised = 0;
    page.advisedAt = now;
    page.heat = max<u32>(page.heat, HOT); // others use it, or the advice would not have been given
  } else if (now - page.ownedAt < SOON) page.heat = min<u32>(HEAT_MAX, page.heat + 1);
  else page.heat = 0;
  if (page.heat != 0) changetype<SharedObject>(page.holder).fought = 1;
  page.ownedAt = 0;
  page.lostAt = now;
}

/** An operation is done for another machine. True: it should take the page when it needs it again. */
export function operationServed(page: Page, machine: u32): bool {
  page.performed++;
  page.performedInRow = page.performedFor == machine ? page.performedInRow + 1 : 1;
  page.performedFor = machine;
  const patience = patienceOf(page);
  if (page.performedInRow < patience && page.performed < 2 * patience) return false;
  page.performed = 0;
  page.performedInRow = 0;
  page.advised = 1;
  return true;
}
