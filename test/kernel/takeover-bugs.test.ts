// Do the judges see? Bugs planted in who the cluster is and in how a home moves: each must be found by a few seeds, or by the
// exhaustive search. planted.soak.ts prints which proof finds which.
import { describe, expect, test } from "vitest";
import { membershipBugs, membershipFound, stories, tell } from "../support/plants/membership.js";
import { moveAtRandom, moveBugs, moveBySearch } from "../support/plants/moves.js";

describe("a home that moves", () => {
  test.each(moveBugs)("%s", (bug) => {
    const found = moveAtRandom(bug);
    expect(found.length > 0 ? found : moveBySearch(bug)).not.toEqual([]);
  });
});

describe("membership", () => {
  test.each(membershipBugs)("%s", (bug) => expect(membershipFound(bug)).not.toEqual([]));
  test.each(Object.keys(stories))("without the bug: %s", (bug) => tell(bug));
});
