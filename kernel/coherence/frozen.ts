// Pages without a record (kept.ts) when something happens to all pages of an object: it dies, this machine may not use it, or its home moves
// (kept-moves.ts). No record is made of them for it. Core 0 only.
import { Kept, keptEnd, keptForget, keptPut } from "./kept";
import { mayStow } from "./kept-moves";
import { hasLoans } from "./loans";
import { mirrorsOn } from "./mirror-pages";
import { pageRemove } from "./page-index";
import { SharedObject } from "./pager";
import { Page } from "./records";
import { reportsGive } from "./reports";
import { takeKept } from "./revocations";
import { isNumbered, serialEnded } from "./serials";

const record = changetype<Page>(memory.data(offsetof<Page>(), 8));

function isRemains(kept: Kept): bool {
  return kept.former != 0;
}

/** The frozen page's record, which was made last, goes again unless somebody uses it. */
export function pageStow(object: SharedObject, page: Page): void {
  if (object.pages != changetype<usize>(page) || mirrorsOn() || hasLoans(page) || !mayStow(page)) return;
  object.pages = page.nextInObject;
  reportsGive(object, page);
  keptPut(object, page);
  pageRemove(page);
}

// --- This machine may not use them, or has lost them ---

/** They leave every page table; the right stays. */
export function keptSuspend(object: SharedObject): void {
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    if (!isRemains(kept) && takeKept(object, kept)) kept.noted = 1;
  }
}

/** As forsake() of a record: no right is left, and the bytes have their number. */
export function keptForsake(object: SharedObject): void {
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    if (isRemains(kept)) continue;
    record.serial = kept.serial;
    record.changed = kept.changed;
    serialEnded(record, takeKept(object, kept));
    kept.serial = record.serial;
    kept.changed = 0;
    kept.dirty = 0;
  }
}

/** The object's bytes are gone with its home. */
export function keptAway(object: SharedObject): void {
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject)
    takeKept(object, changetype<Kept>(at));
  keptEnd(object);
}

/** They remain for another life (remains.ts), if their number says what they are. */
export function keptRemain(object: SharedObject): void {
  for (let at = object.kept; at != 0; ) {
    const kept = changetype<Kept>(at);
    at = kept.nextInObject;
    kept.had = 0;
    kept.former = 1;
    if (kept.frame == 0 || kept.serial == 0 || !isNumbered(kept.serial)) keptForget(object, kept);
  }
}
