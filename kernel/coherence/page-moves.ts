// What is told of a page whose object's home moves (R8), what of it goes along with a machine that leaves, and what the new home makes of it when
// all have handed in: page by page, around takeover.ts. Pure, as engine.ts; hand-in.ts says it to others, homes.ts when.
import { rangesOf } from "./holdings";
import { moveGives } from "./moves";
import { rangesCarve } from "./ranges";
import { Engine, Page } from "./records";
import { serialReverted } from "./serials";
import { SharedObject } from "./shared-object";
import { CLEAN_SHARED, HELD, LOST, UNUSED } from "./table";
import {
  engineAsked,
  engineGive,
  engineOffers,
  engineRebuild,
  engineReport,
  engineRestore,
  engineSettle,
  engineThaw,
  REPORT_AWAY,
  REPORT_HAD,
  REPORT_NOTHING,
  UNTOLD,
} from "./takeover";

/** What the new home says to a machine of the page: what is left of it there becomes it; nobody else has a copy of it. */
export const RESTORE: u32 = 1;
export const ALONE: u32 = 2;
/** Or: the newest bytes of it are there only, and are to come here, since that machine leaves. */
export const FETCH: u32 = 4;
/** Or: that machine is to tell of a loss whoever has the page next. */
export const TELL: u32 = 8;

/** What pageRebuilds() wants done: what is in the page's frame is none of its bytes; or it is the newest on the shelf that becomes them. */
export const EMPTIES: u32 = 1;
export const RESTORES: u32 = 2;

// --- By who hands in ---

/** REPORT_NOTHING: there is nothing to be told. `had`: it has bytes of the page, or had. */
export function pageReports(engine: Engine, page: Page, had: bool): u32 {
  let report = engineReport(engine, page);
  if (report == REPORT_NOTHING) {
    if (!had && engineAsked(page) == 0 && page.broken == 0) return REPORT_NOTHING;
    report = REPORT_HAD;
  }
  return report | untoldOf(page, report);
}

/** Who has nothing of the page can tell nobody of its loss: the new home does. */
function untoldOf(page: Page, report: u32): u32 {
  return page.broken != 0 && (report == REPORT_HAD || report == REPORT_AWAY) ? UNTOLD : 0;
}

/** This machine leaves: is the page, which it reports so, to be given away? */
export function mayGive(report: u32): bool {
  return (report & ~UNTOLD) != REPORT_AWAY;
}

/** It is, and is here no more. What is told of it: REPORT_HAD, and nothing goes along; or else. */
export function pageGives(object: SharedObject, page: Page, doubts: bool): u32 {
  const report = engineGive(page, doubts);
  const untold: u32 = page.broken != 0 ? UNTOLD : 0;
  if (report == REPORT_HAD) return report | untold;
  page.broken = 0; // it goes along
  moveGives(object);
  return report | untold;
}

/** The new home has heard all that this machine handed in. */
export function pageHandedIn(engine: Engine, page: Page): void {
  const report = engineReport(engine, page);
  if (report == REPORT_NOTHING || report == REPORT_AWAY) page.broken = 0;
}

// --- At the new home ---

/** All have reported. The machine that offered the page in vain, and is to be told so, for pageRebuilds(); 0 = none. The engine may want something done. */
export function pageRebuildBegins(engine: Engine, page: Page): u32 {
  page.ranged = 0;
  const offers = engineOffers(engine, page);
  engineThaw(engine, page, engine.self);
  return offers;
}

let chosen: u32 = 0;
let chosenFlags: u32 = 0;

/** Of the page that was rebuilt last: the machine whose copy counts now, 0 = none, and what it is to be told: RESTORE or ALONE, or neither. */
export function pageChosen(): u32 {
  return chosen;
}
export function pageChosenFlags(): u32 {
  return chosenFlags;
}

/**
 * `lost`: what nobody has is, also without ranges; `doubts`: as engineRebuild(); `mirrors`: bytes have numbers by which what nobody has is found
 * again, or, `trusted`, all of them that somebody has seen. What is to be done: EMPTIES, RESTORES.
 */
export function pageRebuilds(
  engine: Engine,
  object: SharedObject,
  page: Page,
  offers: u32,
  lost: bool,
  doubts: bool,
  mirrors: bool,
  trusted: bool,
  ours: bool,
): u32 {
  chosen = engineRebuild(engine, page, lost, doubts);
  if (chosen == 0) chosen = offers;
  chosenFlags = !mirrors && engineSettle(engine, page) ? ALONE : 0;
  if (trusted && page.directory == UNUSED && page.best != 0) {
    chosen = engineRestore(engine, page);
    chosenFlags = RESTORE;
    if (chosen == 0) {
      if (page.ranges != 0) rangesCarve(rangesOf(object), page.index);
      return RESTORES;
    }
  }
  page.roomless = 0;
  return nobodys(engine, object, page, ours);
}

/** A stale copy is no backing store: others may have been told already that its bytes are lost. */
function nobodys(engine: Engine, object: SharedObject, page: Page, ours: bool): u32 {
  const unused = page.directory == UNUSED;
  const stale = !ours && (unused || page.directory == LOST) && page.frame != 0;
  if (page.directory == LOST) serialReverted(engine, page);
  if (!unused) {
    if (page.ranges != 0) rangesCarve(rangesOf(object), page.index);
    return stale ? EMPTIES : 0;
  }
  if (page.ranges != 0) page.ranged = 1; // nobody has it: as its range says
  if (object.renumbered != 0 || stale) serialReverted(engine, page);
  // What remains of a former life here (remains.ts) is not what others would read.
  const former = page.former != 0;
  page.former = 0;
  return stale || former ? EMPTIES : 0;
}

/** Of a page whose directory is made: who has it now, and is to tell of its loss whoever has it next; 0 = nobody, or this machine. */
export function pageTells(engine: Engine, page: Page): u32 {
  if (page.broken == 0 || page.directory == UNUSED || page.directory == CLEAN_SHARED) return 0;
  if (page.directory == HELD && <u32>page.owner == engine.self) return 0;
  page.broken = 0; // LOST: whoever asks is told anyway
  return page.directory == HELD ? page.owner : 0;
}
