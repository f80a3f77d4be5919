// R2, the other half: that a loss is not told twice, and not where nothing was lost (test/support/coherence-tellings.ts). Clusters at random
// are judged so after every event; here kernels that tell too much are to be found by it.
import { expect, test } from "vitest";
import { World } from "../support/coherence.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { rowAddress, states } from "../support/page-table.js";
import { type Change, compiled } from "../support/plants/compiled.js";
import { Violation } from "../support/search.js";
import { roomy, shapeOf, wanderIn, worldOf } from "../support/trial.js";

const SHAPES = 300;

/** What is wrong in the first of so many clusters in which something is; machines die there, and none leaves. */
function atRandom(create: () => KernelWasm): string {
  let kernel = create();
  for (let shape = 1; shape <= SHAPES; shape++) {
    kernel = roomy(kernel, create);
    const cluster = { ...shapeOf(shape), leaves: 0 };
    const world = worldOf(kernel, cluster);
    const fresh = world.save();
    try {
      for (let seed = 1; seed <= 4; seed++) {
        world.load(fresh);
        wanderIn(world, cluster.kills, seed % 2 === 0 ? "safety" : "liveness", seed, []);
      }
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      return error.message;
    }
  }
  return "";
}

/** The home forgets that it has told of a loss. */
function lostForEver(): KernelWasm {
  const kernel = new KernelWasm();
  for (const event of ["GET_READ", "GET_WRITE"])
    kernel.bytes[rowAddress(kernel, "LOST", event) + 2] = states.indexOf("LOST");
  return kernel;
}

test("R2: the intact kernel tells neither twice nor for nothing", () =>
  expect(atRandom(() => new KernelWasm())).toBe(""));

test("R2: planted, a lost page is lost for ever", () =>
  expect(atRandom(lostForEver)).toMatch(/is told \d+ times of losses of page/));

const changes: readonly (Change & { says: RegExp })[] = [
  {
    name: "an operation fails when any machine dies, whoever is to do it",
    file: "coherence/engine.ts",
    from: "const operating = page.state == INVALID_OPERATE && <u32>page.target == peer;",
    to: "const operating = page.state == INVALID_OPERATE;",
    says: /is told of a loss of page \d+, of which nothing was lost/,
  },
  {
    name: "who asks anew may wait again behind one who waits in vain",
    file: "coherence/directory.ts",
    from: "page.directory == HELD && speaksOf(page, message) ? OWNER_FAILED",
    to: "owns ? OWNER_FAILED",
    says: /is told \d+ times of losses of page/,
  },
];

test.each(changes.map((change) => [change.name, change] as const))("R2: planted, %s", async (_, change) =>
  expect(atRandom(await compiled(change, "unit.ts"))).toMatch(change.says),
);

test("R2: a machine is told of a loss once", () => {
  const { tellings } = new World(new KernelWasm(), { machines: 2, home: 1, programs: [["r"], ["w"]] });
  tellings.suffers(0);
  tellings.told(1, 0);
  expect(() => tellings.told(1, 0)).toThrow(
    "is told 2 times of losses of page 0, of which there were 1 at most",
  );
  tellings.suffers(0);
  expect(() => tellings.told(2, 0)).not.toThrow();
});
