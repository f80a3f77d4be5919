// Bugs in range locks: one line of the kernel's source is changed, and their engine compiled anew (kernel/unit-locks.ts). Each must be
// found by one of the small programs, in every order of events.
import { lockCases } from "../lock-cases.js";
import { LockWorld } from "../lock-world.js";
import { explore, Violation } from "../search.js";
import { type Change, compiled } from "./compiled.js";
import { bySearch, type Finding, type Planted } from "./plant.js";

/** Each case has a few thousand states. */
const SMALL = 10_000;

const space = "coherence/lock-space.ts";
const home = "coherence/lock-home.ts";
const circles = "coherence/lock-circles.ts";
const pieces = "coherence/lock-pieces.ts";
const bugs: [name: string, file: string, from: string, to: string][] = [
  [
    "a recall does not wait for who holds the lock",
    space,
    "const inTheWay = changetype<usize>(obstacle) != 0;",
    "const inTheWay = false;",
  ],
  ["what is given up takes a newer grant with it", home, "leftBeside(p), id)", "leftBeside(p), 0)"],
  ["a grant of what a machine has keeps its old number", pieces, "    stronger.number = number;\n", ""],
  ["a writer's recall leaves the right to read", space, "return piece.mode == 2 ? 0 : 1;", "return 1;"],
  [
    "rights are granted wider than what is free",
    home,
    "if (!inTheWay(space, request, p)) return;",
    "return;",
  ],
  ["nobody's rights are in the way", home, "      free = false;\n", ""],
  [
    "rights in the way are not recalled",
    home,
    "if (!isUnderWay(space, request, right.machine)) recall",
    "if (false) recall",
  ],
  [
    "readers do not mind a writer",
    pieces,
    "(p.mode == EXCLUSIVE_LOCK || q.mode == EXCLUSIVE_LOCK)",
    "(p.mode == EXCLUSIVE_LOCK && q.mode == EXCLUSIVE_LOCK)",
  ],
  [
    "ranges that share one byte do not conflict",
    pieces,
    "p.first <= last && p.last >= first",
    "p.first < last && p.last > first",
  ],
  ["a part of the rights is enough", pieces, "if (!found) return false;", "if (!found) return true;"],
  [
    "of several ranges one is granted at a time",
    space,
    "if (!isCovered(rightsOf(space), changetype<Piece>(at), space.self)) return false;",
    "return isCovered(rightsOf(space), changetype<Piece>(at), space.self);",
  ],
  ["a refusal counts as giving up", home, "if (kind == SAY_LOCK_DENIED) denied", "if (kind == 99) denied"],
  ["the dead keep their rights", home, "  lower(grantsOf(space), machine, 0, 0, LOCK_LAST, 0, 0);\n", ""],
  [
    "nobody looks again when a machine has died",
    home,
    "  dropOf(askedOf(space), machine);\n  homeAdvance(space);",
    "  dropOf(askedOf(space), machine);",
  ],
  [
    "the new home takes a writer for a reader",
    home,
    "raise(grantsOf(space), machine, 0, first, last, mode, 0);",
    "raise(grantsOf(space), machine, 0, first, last, 1, 0);",
  ],
  ["nobody asks the new home", space, "  space.home = home;\n  lockAdvance(space);", "  space.home = home;"],
  [
    "what was asked of the old home stays asked",
    space,
    "request.state = lockNext(request.state, LOCK_FROZEN) & 15;",
    "lockNext(request.state, LOCK_FROZEN);",
  ],
  ["a wait is never searched", circles, "  if (recall.waitsFor == owner) return;\n", "  return;\n"],
  [
    "a search follows younger edges too",
    circles,
    "const older = recall.stamp < stamp ||",
    "const older = recall.stamp != stamp ||",
  ],
  ["a search does not set the clock", circles, "if (circleTime(space) < stamp) store", "if (false) store"],
  ["a search ends at the first process", circles, "  if (older) sayOfSearch", "  if (false) sayOfSearch"],
  [
    "any search that comes back has been round a circle",
    circles,
    "if (recall.stamp != stamp || space.self != machine) return;",
    "if (recall.stamp > stamp) return;",
  ],
  ["who is told still waits at the home", home, "if (!cancelled(space, machine, id)) return;", ""],
];

const entry = `export * from "./unit-locks";\nexport function unitHeap(): usize { return __heap_base; }\n`;

async function found(change: Change): Promise<Finding[]> {
  const kernel = await compiled(change, "unit-planted.ts", entry);
  // Some bugs make the search endless, which finds them as well.
  const search = (program: (typeof lockCases)[string]) => () => {
    try {
      return explore(new LockWorld(kernel(), program), program.kills, SMALL);
    } catch (error) {
      if (error instanceof Violation) throw error;
      const violation = new Violation(String(error));
      violation.states = SMALL;
      throw violation;
    }
  };
  return bySearch(Object.values(lockCases).map(search));
}

export const lockPlants: readonly Planted[] = bugs.map(([name, file, from, to]) => ({
  name,
  where: file,
  change: { name, file, from, to },
  find: () => found({ name, file, from, to }),
}));
