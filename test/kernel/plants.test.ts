// Bugs that planted.soak.ts and other long tests plant in the kernel's sources: each is a line that is there, once. Without this a line that was
// rewritten is missed when the long table is made, hours later.
import { expect, test } from "vitest";
import { changed } from "../support/plants/compiled.js";
import { guessPlants } from "../support/plants/guesses.js";
import { keptPlants } from "../support/plants/kept.js";
import { kernelPlants } from "../support/plants/kernels.js";
import { linkSourcePlants } from "../support/plants/links.js";
import { lockPlants } from "../support/plants/locks.js";
import { moveSourcePlants } from "../support/plants/moves.js";
import { namePlants } from "../support/plants/names.js";
import { notePlants } from "../support/plants/notes.js";
import { orderPlants } from "../support/plants/orders.js";
import { rangeSourcePlants } from "../support/plants/ranges.js";
import { soakBugs } from "../support/plants/soaks.js";
import { sourcePlants } from "../support/plants/sources.js";

const plants = [
  ...sourcePlants,
  ...guessPlants,
  ...linkSourcePlants,
  ...lockPlants,
  ...moveSourcePlants,
  ...notePlants,
  ...rangeSourcePlants,
  ...keptPlants,
  ...kernelPlants,
  ...orderPlants,
  ...namePlants,
];

const changes = [...plants.map(({ change }) => change!), ...soakBugs];
test.each(changes.map((change) => [change.name, change] as const))("has its line: %s", (_, change) => {
  expect(() => changed(change)).not.toThrow();
});
