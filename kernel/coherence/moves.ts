// What a machine knows of an object whose home moves (R8): how far the move is; whether the home that was has handed in what it knew; what of that counts no
// more, since somebody has died meanwhile; what is lost, and nobody was told. Pure, as engine.ts: homes.ts tells others, and makes directories of
// what they tell.
//
// Invariant: at the new home, when all have handed in, either the former home's word is there, which names every page that somebody had and
// whoever had it, or what nobody has counts as lost.
import { lossFreezes } from "./directory";
import { rangesOf } from "./holdings";
import { rangeAt, rangesHolders, rangesLost } from "./ranges";
import { bitOf, Engine, Page } from "./records";
import { hasReverted } from "./serials";
import { SharedObject } from "./shared-object";
import { HELD } from "./table";
import { engineFreeze } from "./takeover";

/** SharedObject.moving */
export const FROZEN: u32 = 1;
export const HANDED_IN: u32 = 2;

/** SharedObject.complete: this machine was the home; the one that was has handed in, in this view. */
export const OURS: u32 = 1;
export const TOLD: u32 = 2;

/** What is said of an object that is handed in: its sender was the home, so that nothing is lost; the object still has its name. */
export const FROM_HOME: u32 = 1;
export const NAMED: u32 = 2;
/** Somebody has died, as far as the sender knows, since all had ended a move. */
export const DOUBTS: u32 = 4;
/** The home had lost something, and told nobody yet. */
export const LOSSY: u32 = 8;
/** Bytes of pages that nobody has now may be elsewhere by the numbers that those pages would begin with (SharedObject.renumbered). */
export const RENUMBERED: u32 = 16;

/**
 * Its home is, or was, another one from here on. Before the object's ranges are forgotten; `has` is the table index of (object, page's number): bool, has
 * this machine a record of the page or bytes?
 */
export function moveFreezes(engine: Engine, object: SharedObject, home: u32, has: u32): void {
  const stored = object.home == engine.self && object.moving == 0;
  // What another machine has handed in does not count any more: it may have died since, or hands in again.
  object.complete = stored ? OURS : object.complete & OURS;
  object.moving = FROZEN;
  object.frozen = 1;
  object.handing = 0;
  object.home = home;
  if (!stored) return;
  if (rangesLost(rangesOf(object))) object.lossy = 1;
  object.handedTo = object.gaveTo = 0;
  object.holders = holdersOf(engine, object, has);
}

/** Other machines that have pages by ranges of which this one, the home, could report nothing. */
function holdersOf(engine: Engine, object: SharedObject, has: u32): u64 {
  const set = rangesOf(object);
  const self = bitOf(engine.self);
  let holders = rangesHolders(set, 0) & ~self;
  for (let number: u32 = 0; number < set.count; number++) {
    const range = rangeAt(set, number);
    if (range.directory != HELD || ((holders | self) & bitOf(range.owner)) != 0) continue;
    for (let index = range.first; index <= range.last; index++) {
      if (call_indirect<bool>(has, object, index)) continue;
      holders |= bitOf(range.owner);
      break;
    }
  }
  return holders;
}

/** A page of it that has a record; `has`: a home that was has bytes of it, or somebody to tell of its loss. */
export function moveFreezesPage(
  engine: Engine,
  object: SharedObject,
  page: Page,
  stored: bool,
  has: bool,
): void {
  if (stored) lossFreezes(page);
  if (stored && hasReverted(page)) object.renumbered = 1;
  engineFreeze(engine, page, stored && has);
}

/** Nothing of the time before is under way to this machine. Nobody who was told of a loss is to be heard of any more. */
export function moveIsFlushed(object: SharedObject): void {
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    if (changetype<Page>(at).untold != 0) object.lossy = 1;
    if (changetype<Page>(at).reverts != 0) object.renumbered = 1;
  }
}

/** What this machine says of it to its new home, which is another one. */
export function moveSays(object: SharedObject, doubts: bool): u32 {
  object.handedTo |= bitOf(object.home);
  let says = object.complete & OURS ? FROM_HOME : 0;
  if (object.lossy != 0) says |= LOSSY;
  if (object.renumbered != 0) says |= RENUMBERED;
  return doubts ? says | DOUBTS : says;
}

/** This machine leaves, and has given a page of it to the new home. */
export function moveGives(object: SharedObject): void {
  object.gaveTo |= bitOf(object.home);
}

/** At the new home: another machine says so. */
export function moveHears(object: SharedObject, says: u32): void {
  if (says & LOSSY) object.lossy = 1;
  if (says & RENUMBERED) object.renumbered = 1;
  if (says & FROM_HOME) object.complete |= TOLD;
}

/** Somebody died who had not left. Mirrored, what others had seen of what it had somebody else has. */
export function moveDied(object: SharedObject, dead: u32, mirrored: bool): void {
  // It may have made its directories already, and served others, or have died with what was given to it: what the one before knew is old.
  if ((object.handedTo & bitOf(dead)) != 0) object.complete = 0;
  const had = (object.moving != 0 ? object.holders : 0) | object.gaveTo;
  if (!mirrored && (had & bitOf(dead)) != 0) object.lossy = 1;
}

/**
 * At the new home, when all have handed in: may what nobody has have been the former home's, or the dead's? `mirrored`: whatever was seen of it somebody
 * has; or so `many` have died that it may not be so.
 */
export function moveLoses(object: SharedObject, mirrored: bool, many: bool): bool {
  return !mirrored && (object.complete == 0 || object.lossy != 0 || many);
}

/** It is the home from here on. `renumbers`: bytes of pages that nobody has may be elsewhere. */
export function moveRebuilds(object: SharedObject, renumbers: bool): void {
  if (renumbers) object.renumbered = 1;
  moveForgets(object);
}

/** Its new home, another machine, has made its directories. */
export function moveThaws(object: SharedObject): void {
  object.frozen = 0;
  object.moving = 0;
  moveForgets(object);
}

function moveForgets(object: SharedObject): void {
  object.complete = 0;
  object.lossy = 0;
  object.holders = 0;
  object.handedTo = object.gaveTo = 0;
}
