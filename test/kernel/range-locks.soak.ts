// Do the searches of range locks see? Bugs planted in their engine: each must be found by one of the small programs.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compileDialect } from "../../kernel/compiler/asc.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { lockCases } from "../support/lock-cases.js";
import { LockWorld } from "../support/lock-world.js";
import { explore } from "../support/search.js";

const space = "kernel/coherence/lock-space.ts";
const home = "kernel/coherence/lock-home.ts";
const circles = "kernel/coherence/lock-circles.ts";
const pieces = "kernel/coherence/lock-pieces.ts";
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

describe("planted bugs", { timeout: 120_000 }, () => {
  const root = process.cwd();
  const entry = `export * from "./unit-locks";\nexport function unitHeap(): usize { return __heap_base; }\n`;
  for (const [name, file, from, to] of bugs)
    test(name, async () => {
      const text = readFileSync(file, "utf8");
      expect(text.split(from).length, `${file} has one place with: ${from}`).toBe(2);
      const files = new Map([
        ["kernel/unit-planted.ts", entry],
        [file, text.replace(from, () => to)],
      ]);
      const { wasm } = await compileDialect({
        entry: "kernel/unit-planted.ts",
        root,
        memoryBase: 65536,
        optimize: 0,
        files,
      });
      let found = "";
      for (const program of Object.values(lockCases)) {
        try {
          explore(new LockWorld(new KernelWasm({}, wasm), program), program.kills, 10_000);
        } catch (error) {
          found = error instanceof Error ? error.message : String(error);
          break;
        }
      }
      expect(found.split("\n")[0], "the bug was not seen").not.toBe("");
    });
});
