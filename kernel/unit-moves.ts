// What clusters of engines (test/support/coherence-moves.ts) need of objects whose homes move; part of unit.ts. As unit-holdings.ts: a test says before each call
// what its machine knows of the object, and reads it again behind it.
import { Kept } from "./coherence/kept";
import { moveFreezes } from "./coherence/moves";
import { Engine, Page } from "./coherence/records";
import { SharedObject } from "./coherence/shared-object";

export {
  DOUBTS,
  moveDied,
  moveFreezesPage,
  moveGives,
  moveHears,
  moveIsFlushed,
  moveLoses,
  moveRebuilds,
  moveSays,
  moveThaws,
  OURS,
} from "./coherence/moves";

/** `ranges`: the machine's RangeSet; bit m-1: machine m. */
export function movePut(
  object: SharedObject,
  ranges: usize,
  home: u32,
  moving: u32,
  complete: u32,
  lossy: u32,
  renumbered: u32,
  holders: u32,
  handedTo: u32,
  gaveTo: u32,
): void {
  object.ranges = ranges;
  object.home = home;
  object.moving = moving;
  object.complete = complete;
  object.lossy = lossy;
  object.renumbered = renumbered;
  object.holders = holders;
  object.handedTo = handedTo;
  object.gaveTo = gaveTo;
}

/** Of these the one of that number, from 0. */
export function moveWord(object: SharedObject, number: u32): u32 {
  switch (number) {
    case 0:
      return object.home;
    case 1:
      return object.moving;
    case 2:
      return object.complete;
    case 3:
      return object.lossy;
    case 4:
      return object.renumbered;
    case 5:
      return <u32>object.holders;
    case 6:
      return <u32>object.handedTo;
    default:
      return <u32>object.gaveTo;
  }
}

function has(object: SharedObject, index: u64): bool {
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    if (changetype<Page>(at).index == index) return true;
  }
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    if (changetype<Kept>(at).index == index) return true;
  }
  return false;
}

/** moveFreezes() */
export function moveBegins(engine: Engine, object: SharedObject, home: u32): void {
  moveFreezes(engine, object, home, has.index);
}
