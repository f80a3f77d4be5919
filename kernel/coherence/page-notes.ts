// Pages that were unmapped dirty: told from any core, under the lock that revocations take as well, so that a page's
// record says "written" before the engine is told that the page is gone.
import { SpinLock } from "../lwkt/spinlock";
import { mayHaveWritten } from "./engine";
import { rangesOf } from "./grants";
import { Kept, keptFind } from "./kept";
import { objectById, objectsFirst } from "./object-list";
import { pageFind } from "./page-index";
import { SharedObject } from "./pager";
import { rangeOf } from "./ranges";
import { Page } from "./records";
import { INVALID } from "./table";

const NOTES_MAX: u32 = 128;
const notes: usize = memory.data(2048, 8); // object id u64, index u64
const notesLock = changetype<SpinLock>(memory.data(offsetof<SpinLock>(), 8));
const noteCountAt: usize = memory.data(4);
let notesLost: bool = false;

export function noteDirty(object: SharedObject, index: u64): void {
  notesLock.acquire();
  const count = load<u32>(noteCountAt);
  if (count == NOTES_MAX) notesLost = true;
  else {
    store<u64>(notes + (count << 4), object.id);
    store<u64>(notes + (count << 4), index, 8);
    store<u32>(noteCountAt, count + 1);
  }
  notesLock.release();
}

/** Into the pages' records. */
export function notesTake(): void {
  if (atomic.load<u32>(noteCountAt) == 0) return;
  notesLock.acquire();
  const count = load<u32>(noteCountAt);
  for (let i: u32 = 0; i < count; i++) {
    const object = objectById(load<u64>(notes + (i << 4)));
    if (changetype<usize>(object) == 0) continue;
    const page = pageFind(object, load<u64>(notes + (i << 4), 8));
    if (changetype<usize>(page) != 0) page.noted = 1;
    else noteKept(keptFind(object, load<u64>(notes + (i << 4), 8)));
  }
  store<u32>(noteCountAt, 0);
  if (notesLost) noteEverything();
  notesLost = false;
  notesLock.release();
}

function noteKept(kept: Kept): void {
  if (changetype<usize>(kept) != 0) kept.noted = 1;
}

/**
 * More were unmapped than could be noted: any page may be dirty that this machine may write. No other: the number of a copy says which
 * bytes it has, and whoever writes next gives that number plus one to others.
 */
function noteEverything(): void {
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    let at = object.pages;
    while (at != 0) {
      const page = changetype<Page>(at);
      if (mayHaveWritten(page.state)) page.noted = 1;
      at = page.nextInObject;
    }
    for (at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
      const kept = changetype<Kept>(at);
      if (mayHaveWritten(standingOf(object, kept))) noteKept(kept);
    }
    object = changetype<SharedObject>(object.next);
  }
}

function standingOf(object: SharedObject, kept: Kept): u8 {
  if (kept.former != 0) return INVALID;
  return object.frozen != 0 ? kept.standing : rangeOf(rangesOf(object), kept.index).state;
}
