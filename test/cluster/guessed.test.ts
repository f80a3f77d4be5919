// R2: a page is on its way to a writer who has guessed its owner, and the home of that page dies, or leaves: each store is there that was made, or
// somebody is told of a loss, and no two machines have the page.
import { describe, expect, test } from "vitest";
import { type Guessed, guessed, guesses, wrongOfGuessed } from "../support/guessed.js";
import { hasMusl, missing } from "../support/guest.js";

const name = ({ seed: _, ...each }: Guessed): string => JSON.stringify(each).replaceAll('"', "");

describe.skipIf(!hasMusl)(`a page that is offered${missing("musl")}`, { timeout: 60_000 }, () => {
  test.each(guesses.map((each) => [name(each), each] as const))("R2: %s", async (_, each) => {
    expect(wrongOfGuessed(each, await guessed(each))).toBeUndefined();
  });
});
