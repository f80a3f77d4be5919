// What a machine still has of objects that it shared in a former life (R7). It was left out of the cluster: every right
// is gone, and everything that it had written alone. The bytes stay, each page's with their number (serials.ts), until
// the object is opened again under its id, or frames run short, or this life is over as well. Then a request says which
// bytes are here, as that of any machine that lost a page, and those that nobody has written since come without data.
//
// A number that this machine gave to bytes which the cluster never saw is given to no others: what the cluster takes for the
// page instead begins another era: after a loss, and, mirrored, whenever a mirror becomes the page. What is not known by a number, or was
// in parts, does not remain.
//
// They are no record of a page (Kept.former): who is granted a range of pages that the home has never heard of has zeros
// there, and a machine that becomes the object's home has in its frames what the others hand in. Core 0 only.
import { clusterSelf } from "../syslink/cluster";
import { keptRemain } from "./frozen";
import { Kept, keptForget, keptMove, keptPut } from "./kept";
import { objectForget, objectsFirst } from "./object-list";
import { pageFind, pageRemove } from "./page-index";
import { SharedObject } from "./pager";
import { Page } from "./records";
import { isNumbered } from "./serials";
import { INVALID } from "./table";

/** Is the record there for its bytes only? */
function isRemains(object: SharedObject): bool {
  return object.dead != 0 && object.references == 0;
}

/** A dead object that nobody here has open any more: its pages' bytes stay, their records go. Whether anything does. */
export function remainsKeep(object: SharedObject): bool {
  if (object.hash == 0) return false;
  keptRemain(object);
  let before: usize = 0;
  let at = object.pages;
  while (at != 0) {
    const page = changetype<Page>(at);
    at = page.nextInObject;
    if (!mayRemain(page)) {
      before = changetype<usize>(page);
      continue;
    }
    if (before != 0) changetype<Page>(before).nextInObject = at;
    else object.pages = at;
    page.dirty = 0;
    page.changed = 0;
    page.noted = 0;
    page.had = 0;
    page.former = 0;
    keptPut(object, page);
    changetype<Kept>(object.kept).former = 1;
    pageRemove(page);
  }
  return object.kept != 0;
}

function mayRemain(page: Page): bool {
  if (page.frame == 0 || page.serial == 0 || !isNumbered(page.serial)) return false;
  if (page.state != INVALID || (page.waiters | page.operator) != 0) return false;
  if ((page.holds | page.revoking) != 0) return false;
  return atomic.load<u32>(changetype<usize>(page) + offsetof<Page>("pins")) == 0;
}

/** The object is to be open here again: what a former life has of it is its own, where nothing of it is here yet. */
export function remainsInherit(object: SharedObject): void {
  if (object.home == clusterSelf() || object.kept != 0) return;
  for (let at = changetype<usize>(objectsFirst()); at != 0; ) {
    const former = changetype<SharedObject>(at);
    at = former.next;
    if (former.dead == 0 || former.id != object.id) continue;
    remainsKeep(former);
    recordsInherit(object, former);
    if (former.kept != 0) keptMove(object, former);
    if (former.references == 0) objectForget(former);
  }
}

/** Pages that have records already, of what their home's heir knows, or as mirrors: bytes go to those that have none of their own. */
function recordsInherit(object: SharedObject, former: SharedObject): void {
  let at = former.kept;
  while (at != 0) {
    const kept = changetype<Kept>(at);
    at = kept.nextInObject;
    const page = pageFind(object, kept.index);
    if (changetype<usize>(page) == 0) continue;
    if (page.state == INVALID && page.frame == 0 && page.had == 0 && page.serial == 0) {
      page.serial = kept.serial;
      page.frame = kept.frame;
      page.former = 1;
      kept.frame = 0;
    }
    keptForget(former, kept);
  }
}

/** Those of earlier lives, or all: frames are short. */
export function remainsDrop(): void {
  for (let at = changetype<usize>(objectsFirst()); at != 0; ) {
    const object = changetype<SharedObject>(at);
    at = object.next;
    while (object.dead != 0 && object.kept != 0) keptForget(object, changetype<Kept>(object.kept));
    if (isRemains(object)) objectForget(object);
  }
}
