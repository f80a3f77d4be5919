// How a page's record begins: as its range has it, with what was kept of the page (kept.ts), and, while the object's home moves, frozen.
// Pure, as engine.ts; page-index.ts has the records.
import { pageCreate } from "./engine";
import { Kept, keptShow } from "./kept";
import { Engine, Page } from "./records";
import { serialReverted } from "./serials";
import { SharedObject } from "./shared-object";
import { INVALID } from "./table";

/** As its range has it. `page` is all zeros; `peers`: room for engine.machines slots. */
export function pageBegin(engine: Engine, page: Page, object: SharedObject, index: u64, peers: usize): void {
  page.object = object.id;
  page.index = index;
  page.holder = changetype<usize>(object);
  pageCreate(page, object.home, peers, object.ranges);
  if (object.home != engine.self) page.ranged = 0;
  else if (object.renumbered != 0 && object.moving == 0) serialReverted(engine, page);
}

/** `kept` is what is kept of the page, 0 = nothing: it ends now, with its frame if that is there still. */
export function pageBeginAgain(
  engine: Engine,
  page: Page,
  object: SharedObject,
  index: u64,
  peers: usize,
  kept: Kept,
): void {
  pageBegin(engine, page, object, index, peers);
  const any = changetype<usize>(kept) != 0;
  if (object.moving != 0) beginFrozen(page, object, any && kept.former == 0);
  if (!any || (kept.former != 0 && !mayInherit(engine, page, object))) return;
  keptShow(object, kept, page);
  kept.frame = 0;
}

/**
 * The object's home moves. A page that is here was frozen with it, or will be at once; what was granted with a range and never touched is
 * not held any more.
 */
function beginFrozen(page: Page, object: SharedObject, isHere: bool): void {
  page.frozen = u8(object.frozen != 0 || !isHere);
  if (!isHere) page.state = INVALID;
}

/** What a former life of this machine had is good to be named when the page is asked for: not where it is here already, or at its home (remains.ts). */
function mayInherit(engine: Engine, page: Page, object: SharedObject): bool {
  return page.state == INVALID && object.home != engine.self;
}
