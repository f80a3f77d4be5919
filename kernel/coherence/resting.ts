// Pages at rest: nothing is under way with them, in the engine or in the kernel. Their records merge into ranges again (merge.ts), and
// they may be given up (giving.ts) when records (budget.ts) or frames (relief.ts) run short. Core 0 only.

import { membersLossTime } from "../syslink/members";
import { rangesReady } from "./grants";
import { hasLoans } from "./loans";
import { pageMayMerge, pageMerge, pageRests } from "./merge";
import { objectsFirst } from "./object-list";
import { pageMerged } from "./page-index";
import { SharedObject } from "./pager";
import { engine } from "./pages";
import { Page } from "./records";
import { INVALID } from "./table";

/** A page that was offered to its home and is still here counts again. */
export const PATIENCE: u64 = 100_000_000;

/**
 * The record says still to whom the page was offered (early.ts): if its home has died meanwhile, this machine may be the only one that has its
 * bytes. It is noticed in that time, if all goes well.
 */
function isOffered(page: Page, now: u64): bool {
  return page.offered != 0 && now - page.lostAt < 2 * membersLossTime();
}

export function isSettledObject(object: SharedObject): bool {
  return object.dead == 0 && object.moving == 0;
}

/** Nothing is under way with the page, in the engine or in the kernel. */
export function isIdle(page: Page, now: u64): bool {
  if ((page.waiters | page.operator) != 0 || (page.holds | page.revoking) != 0) return false;
  if (atomic.load<u32>(changetype<usize>(page) + offsetof<Page>("pins")) != 0) return false;
  if (!pageRests(page) || hasLoans(page)) return false;
  if (page.state == INVALID) page.givenAt = 0;
  return page.givenAt == 0 || now - page.givenAt > PATIENCE;
}

/** Pages that have rested since the last time, or all that do now. */
export function mergeResting(now: u64, all: bool): void {
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    if (isSettledObject(object)) mergeObject(object, now, all);
    object = changetype<SharedObject>(object.next);
  }
}

function mergeObject(object: SharedObject, now: u64, all: bool): void {
  let before: usize = 0;
  let at = object.pages;
  while (at != 0) {
    const page = changetype<Page>(at);
    const next = page.nextInObject;
    if (
      (all || (page.resting != 0 && !isOffered(page, now))) &&
      isIdle(page, now) &&
      pageMayMerge(engine, page)
    ) {
      rangesReady(object);
      pageMerge(engine, page);
      if (before != 0) changetype<Page>(before).nextInObject = next;
      else object.pages = next;
      pageMerged(object, page);
    } else {
      page.resting = 1;
      before = at;
    }
    at = next;
  }
}
