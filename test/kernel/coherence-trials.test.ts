// Clusters at random (trial.ts): pages alone and by ranges, homes that move, machines that die at any moment, also during a takeover, that
// lose their lease and come back, that begin anew, that leave in good order. Safety: nothing wrong after any event, whatever fails. Liveness:
// faults stop, and everybody finishes. A failure prints the command that repeats it and the fewest events that lead to it.
import { expect, test } from "vitest";
import { type Step, World } from "../support/coherence.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { homeBorrows } from "../support/lent-stories.js";
import { collecting } from "../support/notes-stories.js";
import { rowAddress, states } from "../support/page-table.js";
import { compiled } from "../support/plants/compiled.js";
import { rangeBugs, rangeTrial } from "../support/plants/ranges.js";
import { rangeStories } from "../support/range-stories.js";
import { explore, Violation } from "../support/search.js";
import { comes, exclude, inTurn, kill, play, retire, start, tellStory } from "../support/story.js";
import {
  GIVING,
  GUESSING,
  JOINED,
  LARGER,
  LENDING,
  LOSING,
  MIRRORED,
  type Mode,
  RELIEVING,
  roomy,
  SHEDDING,
  shapeOf,
  shrink,
  trial,
  UNMAPPING,
  worldOf,
} from "../support/trial.js";

const SHAPES = 150;

test.each<[Mode]>([["safety"], ["liveness"]])("%s: 150 clusters, five seeds each", (mode) => {
  const kernel = new KernelWasm();
  let events = 0;
  for (let shape = 1; shape <= SHAPES; shape++) {
    const world = worldOf(kernel, shapeOf(shape));
    for (let seed = 1; seed <= 5; seed++) events += trial(world, shape, mode, seed);
  }
  expect(events).toBeGreaterThan(20_000);
});

test.each([
  ["larger", LARGER],
  ["mirrored", MIRRORED],
  // Over the kernel's links: frames are lost, doubled, overtaken, late, cut one way.
  ["joined", JOINED],
  ["guessing", GUESSING],
  ["unmapping", UNMAPPING],
  ["giving", GIVING],
  ["shedding", SHEDDING],
  ["losing", LOSING],
  ["relieving", RELIEVING],
  ["lending", LENDING],
])("%s clusters: 60, four seeds each", (_, from) => {
  let kernel = new KernelWasm();
  let events = 0;
  for (let shape = from; shape < from + 60; shape++) {
    kernel = roomy(kernel);
    const world = worldOf(kernel, shapeOf(shape));
    for (let seed = 1; seed <= 4; seed++)
      events += trial(world, shape, seed % 2 === 0 ? "safety" : "liveness", seed);
  }
  expect(events).toBeGreaterThan(20_000);
});

// What it would answer for itself it would give to somebody who takes it for a mirror, and goes.
test("who leaves mirrored does not make its mirrors pages", () => {
  const shape = MIRRORED + 115;
  const world = worldOf(new KernelWasm(), shapeOf(shape));
  const run = () => trial(world, shape, "safety", 7);
  expect(run).not.toThrow();
  world.planted = "who leaves is told to use its mirrors";
  expect(run).toThrow(/what was seen could go back/);
});

// Both were written by a machine that died before they were on two others, and came to one. The page that was written last is back first.
test("R3: with more than one mirror what comes back is used when all has all its mirrors", () => {
  const shape = MIRRORED + 110_508;
  const world = worldOf(new KernelWasm(), shapeOf(shape));
  const run = () => trial(world, shape, "liveness", 3);
  expect(run).not.toThrow();
  world.planted = "what is restored is used before all is mirrored";
  expect(run).toThrow(/2 was seen in page 1, and machines 1,2,4 have 1: what was seen could go back/);
});

// A mirror becomes the page: what is written then is no other machine's under the numbers of what went on from it before.
test("promise 85: what becomes the page again goes on by other numbers", () => {
  const shape = MIRRORED + 33;
  const world = worldOf(new KernelWasm(), shapeOf(shape));
  const run = () => trial(world, shape, "liveness", 5);
  expect(run).not.toThrow();
  world.planted = "what is restored keeps its number";
  expect(run).toThrow(/page 2 has number 768\.2 for 1 at machine 3 and for 2 at machine 4/);
});

// The kernel's own lines (holdings.ts): what machines hold by ranges, and how they lose it.
test.each(rangeBugs.filter(({ story, trial }) => story ?? trial).map((bug) => [bug.name, bug] as const))(
  "promise 73: planted in the kernel, and seen: %s",
  async (_, bug) => {
    const { story, trial: ofBug, says } = bug;
    const run = (kernel: KernelWasm) => (story ? tellStory(kernel, story) : rangeTrial(kernel, ofBug!));
    if (story !== rangeStories.askedFor) expect(() => run(new KernelWasm())).not.toThrow();
    const kernel = await compiled(bug, "unit.ts");
    expect(() => run(kernel())).toThrow(says);
  },
);

test("promise 85: who is about to write when others unmap has a copy like others", () =>
  tellStory(new KernelWasm(), collecting));

test("promise 85: a home that has borrowed bytes of a page knows still which eras of it it has begun", () =>
  tellStory(new KernelWasm(), homeBorrows));

// What it has is here no more by then, so it was not written here.
test("promise 85: who leaves looks at its page tables before it gives a page away", () => {
  const shape = UNMAPPING + 16;
  const world = worldOf(new KernelWasm(), shapeOf(shape));
  const run = () => trial(world, shape, "safety", 4);
  expect(run).not.toThrow();
  world.planted = "what is given away is looked at too late";
  expect(run).toThrow(/page 2 has number 0\.0 for 2 at machine 4 and for 0 at machine 5/);
});

// Nobody waits there any more, and it dies before it can pass on what it has heard.
test("a word that nobody heard ends with the machine that it came to", () => {
  const shape = GUESSING + 611_146;
  expect(trial(worldOf(new KernelWasm(), shapeOf(shape)), shape, "safety", 8)).toBeGreaterThan(50);
});

// It has frozen and knows nothing of the page; the one that it answers is the home no more when it hears that.
test("a stranger's answer comes to a machine that was the home", () => {
  const shape = LARGER + 4441;
  expect(trial(worldOf(new KernelWasm(), shapeOf(shape)), shape, "safety", 3)).toBeGreaterThan(100);
});

// The new home has older bytes of it by chance; its owner asks to write.
test("a page that its owner has is not given away again by a home that says so by a range", () => {
  expect(trial(worldOf(new KernelWasm(), shapeOf(351_292)), 351_292, "safety", 8)).toBeGreaterThan(100);
});

// Two waited for one who died; the word of the first comes when the home has asked the page for itself, by a record made anew.
test("a record that knows who was told of a loss does not merge before he has said so", () => {
  const shape = GUESSING + 262;
  expect(trial(worldOf(new KernelWasm(), shapeOf(shape)), shape, "liveness", 11)).toBeGreaterThan(20);
});

// The home is left out with bytes of a file that nobody else has heard of: the other machine makes another file by that name.
test("what a machine that is left out has merged is not of the file that was made anew", () => {
  const setup = { machines: 2, pages: 1, home: 2, ranges: true, merges: true, takeover: true };
  const world = new World(new KernelWasm(), { ...setup, programs: [["w0w0"], ["w0w0"]] });
  Object.assign(world, { rejoins: true, pauses: true, remains: true, numbered: true });
  const pause: Step = { do: "pause", machine: 2 };
  const moves = (["install", "freeze", "handIn", "rebuild"] as const).map(
    (what): Step => ({ do: what, machine: 1 }),
  );
  const steps = inTurn(
    [start(2), retire(2), start(2), { do: "merge", machine: 2, page: 0 }],
    [kill(1), exclude(1), comes(1), pause, exclude(2), ...moves],
    [start(1), retire(1), start(1)],
  );
  expect(play(world, steps, 2)).toHaveLength(steps.length);
});

// Its copy went to make room, which the home is not told; the owner gave the page back, and died before he had heard of the operation.
test("an operation fails with the machine that was to do it, also where the home has the page", () => {
  const shape = GIVING + 40_674;
  expect(trial(worldOf(new KernelWasm(), shapeOf(shape)), shape, "safety", 14)).toBeGreaterThan(40);
});

// It has asked for the page that it had offered, and freezes; the home had ordered it before the writer that the page was offered to.
test("who has offered the page is granted the right alone when it has frozen", () => {
  const shape = GUESSING + 10_896;
  expect(trial(worldOf(new KernelWasm(), shapeOf(shape)), shape, "liveness", 9)).toBeGreaterThan(100);
});

test("a failure is made short, and its command repeats it", () => {
  const kernel = new KernelWasm();
  // A sharer that acknowledges before its threads have let go.
  const at = rowAddress(kernel, "SHARED", "INVALIDATE");
  kernel.bytes[at + 4] = kernel.constant("ANSWER");
  const gone = rowAddress(kernel, "SHARED_LEAVING", "GONE_CLEAN");
  kernel.bytes[gone + 2] = states.indexOf("INVALID");
  kernel.bytes[gone + 3] = kernel.constant("WAKE");
  kernel.bytes[gone + 4] = 0;
  let said = "";
  for (let shape = 1; said === "" && shape <= 300; shape++)
    try {
      trial(worldOf(kernel, shapeOf(shape)), shape, "safety", 1);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      said = error.message;
    }
  const [, shape, seed] = /^TRIAL=(\d+):safety:(\d+) npm run soak -- coherence-trials$/m.exec(said)!;
  const [, few, many] = /^In (\d+) events \(of (\d+)\)/m.exec(said)!;
  expect(Number(few)).toBeLessThan(Number(many));
  expect(() => trial(worldOf(kernel, shapeOf(Number(shape))), Number(shape), "safety", Number(seed))).toThrow(
    said,
  );
  const steps = [...said.matchAll(/^\{"do".*$/gm)].map(([line]) => JSON.parse(line));
  const again = shrink(worldOf(kernel, shapeOf(Number(shape))), shapeOf(Number(shape)).kills, steps);
  expect(again.steps).toEqual(steps); // none can be left out
});

// Of ranges that are too many: what shedding.ts says becomes of them (promise 84).
test("each way to give up a range is taken", () => {
  const ways = new Set<number>();
  let kernel = new KernelWasm();
  for (let shape = SHEDDING; shape < SHEDDING + 20; shape++) {
    kernel = roomy(kernel);
    const world = worldOf(kernel, shapeOf(shape));
    const { engines } = world;
    const take = world.take.bind(world);
    world.take = (step) => {
      if (step.do === "shed") {
        world.object(step.machine);
        ways.add(engines.do.rangeShedOf(engines.engine(step.machine), BigInt(step.first)));
      }
      take(step);
    };
    for (let seed = 1; seed <= 4; seed++) trial(world, shape, "safety", seed);
  }
  expect([...ways].sort()).toEqual([1, 2, 3, 4, 5, 6]);
});

const three = { machines: 3, home: 1, takeover: true };
test.each([
  {
    name: "ranges, and a home that dies",
    setup: { ...three, pages: 2, ranges: true, recalls: 1, programs: [["w0"], ["w1"], []] },
    states: 61_576,
  },
  {
    name: "a machine without a lease that comes back, or is left out",
    setup: { ...three, programs: [["w"], ["w"], []] },
    pauses: true,
    states: 8841,
  },
])("every order of events: $name", ({ setup, pauses = false, states: wanted }) => {
  const world = new World(new KernelWasm(), setup);
  world.pauses = pauses;
  const found = explore(world, 1);
  expect(found.ends).toBeGreaterThan(0);
  expect(found.states).toBe(wanted);
});
