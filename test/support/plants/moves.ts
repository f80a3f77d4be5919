// Bugs in how a home moves: planted in what members.ts and homes.ts do (coherence-views.ts and coherence-homes.ts have them by name), by some seeds first,
// which mostly find them, then in every order of events; and in the kernel's own lines
// that say what a machine knows of an object (moves.ts), and what is told and made of a page (page-moves.ts).
import { type Program, type Saved, World, wander } from "../coherence.js";
import { KernelWasm } from "../kernel-wasm.js";
import { lentStories } from "../lent-stories.js";
import { knownStories, moveStories } from "../move-stories.js";
import { explore } from "../search.js";
import { tellStory } from "../story.js";
import { GIVING, GUESSING, LARGER, LOSING, SHEDDING, UNMAPPING } from "../trial.js";
import { atRandom, bySearch, type Finding, type Planted } from "./plant.js";
import { type LineBug, linePlant } from "./ranges.js";

const kernel = new KernelWasm();
const worldOf = (programs: Program[][]) =>
  new World(kernel, { machines: 3, home: 1, programs, takeover: true });
const wide = [
  [[], ["rwr", "r"], ["rw"]],
  [["wrw"], ["rwr"], ["rwx"]],
  [["w"], ["r"], ["r"]],
].map(worldOf);
const small = [
  [[], ["r"], ["rw"]],
  [["r"], ["w"], ["w"]],
  [["w"], ["r"], ["r"]],
].map(worldOf);
const fresh = new Map([...wide, ...small].map((world): [World, Saved] => [world, world.save()]));

export const moveBugs = [
  "hands in too early",
  "rebuilds too early",
  "what nobody has is zero",
  "the copy that counts is not told so",
  "nobody asks again",
] as const;
/** This shows in few runs. */
const rareMoves = ["does not wait for the flush"] as const;
export type MoveBug = (typeof moveBugs)[number] | (typeof rareMoves)[number];

function begin(world: World, bug: MoveBug | ""): World {
  world.load(fresh.get(world)!);
  world.planted = bug;
  return world;
}

export const moveAtRandom = (bug: MoveBug | "", seeds = 200): Finding[] =>
  atRandom(seeds, wide.length, (seed, index) => {
    const world = begin(wide[index]!, bug);
    world.rejoins = seed % 2 === 0;
    wander(world, seed, 1 + (seed % 3 === 0 ? 1 : 0));
  });
export const moveBySearch = (bug: MoveBug): Finding[] =>
  bySearch(small.map((world) => () => explore(begin(world, bug), 1)));

/** These show in very few runs. */
export const moveFoundByStory = (name: keyof typeof moveStories): Finding[] =>
  atRandom(1, 1, () => tellStory(kernel, moveStories[name], name));

const file = "coherence/moves.ts";
export const moveLines: readonly LineBug[] = [
  {
    name: "what was held by ranges when all froze is nobody's",
    file,
    from: "const had = (object.moving != 0 ? object.holders : 0) | object.gaveTo;",
    to: "const had = object.gaveTo;",
    story: knownStories.heldByRanges,
  },
  {
    name: "what who leaves gave to the dead is nobody's",
    file,
    from: "const had = (object.moving != 0 ? object.holders : 0) | object.gaveTo;",
    to: "const had = object.moving != 0 ? object.holders : 0;",
    story: knownStories.passedOnToTheDead,
  },
  {
    name: "who was the home once has everything",
    file,
    from: "  if ((object.handedTo & bitOf(dead)) != 0) object.complete = 0;\n",
    to: "",
    story: knownStories.writtenByTheNext,
  },
  {
    name: "who was the home alone knows of eras",
    file,
    from: "  if (object.renumbered != 0) says |= RENUMBERED;\n",
    to: "",
    story: knownStories.numberedAnew,
  },
  {
    name: "what another has, and was never here, is nobody's",
    file,
    from: "      holders |= bitOf(range.owner);\n",
    to: "",
    trial: [GIVING + 1367, "safety", 9],
  },
  {
    name: "what was handed in before another view counts",
    file,
    from: "stored ? OURS : object.complete & OURS;",
    to: "stored ? OURS : object.complete;",
  },
  {
    name: "a home that was says nothing of ranges that were lost",
    file,
    from: "  if (rangesLost(rangesOf(object))) object.lossy = 1;\n",
    to: "",
    shapes: GIVING + 100,
  },
  {
    name: "a loss that the home had told nobody yet is its own",
    file,
    from: "  if (object.lossy != 0) says |= LOSSY;\n",
    to: "",
    shapes: GIVING + 100,
  },
  {
    name: "of whom was told of a loss is heard still",
    file,
    from: "    if (changetype<Page>(at).untold != 0) object.lossy = 1;\n",
    to: "",
    shapes: GIVING + 100,
  },
  {
    name: "what reverts has its number still",
    file,
    from: "    if (changetype<Page>(at).reverts != 0) object.renumbered = 1;\n",
    to: "",
    shapes: GIVING + 111,
  },
  {
    name: "pages of another era are of the first for the next home",
    file,
    from: "  if (stored && hasReverted(page)) object.renumbered = 1;\n",
    to: "",
    trial: [LARGER + 1263, "liveness", 5],
    slow: true,
  },
  {
    name: "a new home takes losses for zeros",
    file,
    from: "(object.complete == 0 || object.lossy != 0 || many)",
    to: "(object.lossy != 0 || many)",
    shapes: GIVING + 100,
  },
  {
    name: "a new home does not hear of losses",
    file,
    from: "(object.complete == 0 || object.lossy != 0 || many)",
    to: "(object.complete == 0 || many)",
    shapes: GIVING + 100,
  },
  {
    name: "pages that nobody has go on by the numbers that they had",
    file,
    from: "  if (renumbers) object.renumbered = 1;\n",
    to: "",
    shapes: SHEDDING + 100,
  },
];

const pageFile = "coherence/page-moves.ts";
/** What is told of a page, what goes along, and what the new home makes of it. */
export const pageMoveLines: readonly LineBug[] = [
  {
    name: "an owner is reported as a copy",
    file: "coherence/takeover.ts",
    from: "      return REPORT_OWNED;\n",
    to: "      return REPORT_COPY;\n",
    shapes: UNMAPPING + 101,
  },
  {
    name: "copies are not reported",
    file: "coherence/takeover.ts",
    from: "    case SHARED:\n      return REPORT_COPY;\n",
    to: "",
    shapes: GIVING + 100,
  },
  {
    name: "a loss stays with who leaves",
    file: pageFile,
    from: "  const untold: u32 = page.broken != 0 ? UNTOLD : 0;\n  if (report == REPORT_HAD)",
    to: "  const untold: u32 = 0;\n  if (report == REPORT_HAD)",
    trial: [300_446, "liveness", 9],
    says: /went back to an older version, and nobody was told/,
  },
  {
    name: "who leaves does not know to whom it gave",
    file: pageFile,
    from: "  moveGives(object);\n",
    to: "",
    story: knownStories.passedOnToTheDead,
  },
  {
    name: "who leaves gives what is another's",
    file: pageFile,
    from: "return (report & ~UNTOLD) != REPORT_AWAY;",
    to: "return report != REPORT_NOTHING;",
    shapes: LOSING + 101,
  },
  {
    name: "who offered a page in vain is not told so",
    file: pageFile,
    from: "  if (chosen == 0) chosen = offers;\n",
    to: "",
    shapes: GUESSING + 100_000,
  },
  {
    name: "whoever is chosen has the only copy",
    file: pageFile,
    from: "engineSettle(engine, page) ? ALONE : 0;",
    to: "engineSettle(engine, page) ? ALONE : ALONE;",
    shapes: 300_100,
  },
  {
    name: "a page that is lost as its home moves keeps its number",
    file: pageFile,
    from: "  if (page.directory == LOST) serialReverted(engine, page);\n",
    to: "",
    shapes: GUESSING + 100_000,
  },
  {
    name: "a page that nobody has goes on by the number that it had at its new home",
    file: pageFile,
    from: "  if (object.renumbered != 0 || stale) serialReverted(engine, page);\n",
    to: "",
    shapes: GIVING + 100,
  },
  {
    name: "a page that nobody has is no part of its range",
    file: pageFile,
    from: "  if (page.ranges != 0) page.ranged = 1; // nobody has it: as its range says\n",
    to: "",
    shapes: GIVING + 100,
  },
];

const keptFile = "coherence/kept-moves.ts";
const reportsFile = "coherence/reports.ts";
/** Pages without a record, and what is handed in of them. */
export const keptMoveLines: readonly LineBug[] = [
  {
    name: "what a home that was has merged is not in its store",
    file: keptFile,
    from: "engineFreeze(engine, page, stored && page.frame != 0);",
    to: "engineFreeze(engine, page, false);",
    shapes: LOSING + 101,
  },
  {
    name: "what has merged is not frozen",
    file: keptFile,
    from: 'an answer");\n    keptHide(kept, page);\n',
    to: 'an answer");\n',
    shapes: GIVING + 100,
  },
  {
    name: "what a new home itself has merged is nobody's",
    file: keptFile,
    from: "    if (report != REPORT_NOTHING) reportsPut(object, kept.index, kept.index, engine.self, report);\n",
    to: "",
    shapes: GIVING + 100,
  },
  {
    name: "what has merged, and was chosen, is not told so",
    file: keptFile,
    from: "    engineAdopt(page, alone);\n    keptHide(kept, page);\n",
    to: "    engineAdopt(page, alone);\n",
    shapes: LOSING + 101,
  },
  {
    name: "what was handed in of a page that has a record counts twice",
    file: keptFile,
    from: "  reportsLeave(object);\n",
    to: "",
    shapes: GIVING + 100,
  },
  {
    name: "owner and sharers are one holder of a range",
    file: keptFile,
    from: "isReported(range) && isReportedApart(range, engine.self)",
    to: "isReported(range) && range.owner > 99",
  },
  {
    name: "what was away, and nobody has, is nobody's",
    file: keptFile,
    from: "    else if (isReported(range) || (range.state & REPORTED_AWAY) != 0)\n",
    to: "    else if (isReported(range))\n",
    shapes: GIVING + 100,
  },
  {
    name: "a new home has no copy of what it shares without a record",
    file: keptFile,
    from: "mine != 0 ? SHARED : INVALID;",
    to: "mine != 0 ? INVALID : INVALID;",
    shapes: LOSING + 134,
  },
  {
    name: "a range whose home has moved is nobody's",
    file: keptFile,
    from: "    record.directory,\n    record.owner,\n",
    to: "    UNUSED,\n    record.owner,\n",
    shapes: GIVING + 100,
  },
  {
    name: "nobody is told that a range was chosen",
    file: keptFile,
    from: "  if (machine != 0) call_indirect<void>(adopts, object, range.first, range.last, machine);\n",
    to: "",
    shapes: LOSING + 101,
  },
  {
    name: "what has merged here has not been written when the home has moved",
    file: keptFile,
    from: "    kept.dirty = u8(state == MODIFIED);\n",
    to: "    kept.dirty = 0;\n",
    shapes: GIVING + 100,
  },
  {
    name: "what is here without a record is not, after its home has moved",
    file: keptFile,
    from: "    rangesPutState(rangesOf(object), kept.index, kept.index, right);\n",
    to: "",
    shapes: GIVING + 100,
  },
  {
    name: "a record does not take over who has the page",
    file: reportsFile,
    from: "  page.owner = range.owner;\n  page.sharers = range.sharers;\n  if",
    to: "  page.sharers = range.sharers;\n  if",
  },
  {
    name: "a record that goes does not say who has the page",
    file: reportsFile,
    from: "  put(set, page.index, page.index, flags);\n",
    to: "",
    shapes: LOSING + 100,
  },
  {
    name: "a page that was away, and that nobody has, found no room",
    file: reportsFile,
    from: "const away = record.away != 0 ? REPORTED_AWAY : 0;",
    to: "const away = record.away;",
    trial: [GIVING + 1360, "liveness", 7],
    says: /machine 3 is told of a loss of page 1, of which nothing was lost/,
  },
  {
    name: "of those who hand in the last one counts",
    file: reportsFile,
    from: "    record.sharers = range.sharers;\n    record.away",
    to: "    record.sharers = 0;\n    record.away",
    shapes: LARGER + 102,
  },
];

const strangersFile = "coherence/strangers.ts";
/** What a machine answers about objects that it does not know. */
export const strangerLines: readonly LineBug[] = [
  {
    name: "who knows nothing of an object does not say that nothing of it is here",
    file: strangersFile,
    from: "    case SAY_PURGE:\n      return SAY_SURRENDER;\n",
    to: "",
    shapes: LARGER + 111,
  },
];

const lossFile = "coherence/losses.ts";
/** Losses that a home which has frozen hears of, or that nobody waits for. */
export const lossLines: readonly LineBug[] = [
  {
    name: "who failed with a request that was passed on before the page was given away again is told once more",
    file: "coherence/directory.ts",
    from: "    if (page.directory == HELD) page.passed |= bitOf(machine);\n",
    to: "    if (<u32>page.owner == peer) page.passed |= bitOf(machine);\n",
    trial: [GUESSING + 30_078, "liveness", 5],
    says: /machine 6 is told 2 times of losses of page 0/,
  },
  {
    name: "the next home does not remember what fails there for nobody",
    file: lossFile,
    from: "if (<u32>page.home != engine.self && next != engine.self) return false;",
    to: "if (<u32>page.home != engine.self) return false;",
    trial: [300_446, "liveness", 9],
    says: /page 0 went back to an older version/,
  },
  {
    name: "the former home does not remember what fails there for nobody",
    file: lossFile,
    from: "if (<u32>page.home != engine.self && next != engine.self) return false;",
    to: "if (next != engine.self) return false;",
    shapes: LOSING,
    survives: true,
  },
  {
    name: "what fails in a frozen page while somebody waits is for nobody",
    file: lossFile,
    from: "page.frozen == 0 || page.waiters != 0 ||",
    to: "page.frozen == 0 ||",
    trial: [300_457, "liveness", 2],
    says: /machine 1 is told 2 times of losses of page 1/,
  },
  {
    name: "who is refused a page has it",
    file: lossFile,
    from: "if ((message.flags & RIGHT) != RIGHT_SHARED) page.left = 1;",
    to: "if ((message.flags & RIGHT) > 2) page.left = 1;",
    trial: [UNMAPPING + 111_790, "safety", 16],
    says: /machine 4 is told 2 times of losses of page 0, of which there were 1 at most/,
  },
  {
    name: "a loss that comes to light by what it answers is known",
    file: lossFile,
    from: "if (action.say != SAY_GRANT || !lossTold(page)) return;",
    to: "if (action.say > 0 || !lossTold(page)) return;",
    story: knownStories.lostAsItIsServed,
    says: /page 0 went back to an older version, and nobody was told/,
  },
  {
    name: "what nobody has heard of a loss is known",
    file: "coherence/directory.ts",
    from: "  if (message.flags & ONCE && !isFollowed(page, message)) page.broken = 1;\n",
    to: "",
    story: knownStories.lostAsItIsServed,
    says: /page 0 went back to an older version, and nobody was told/,
  },
  {
    name: "what was told where nobody waits is not told once to who waited behind",
    file: "coherence/cache.ts",
    from: "refuse(engine, page, unheard(page) != 0);",
    to: "refuse(engine, page, false);",
    story: lentStories["behind one before, who leaves as well"],
    says: /0 threads are told of a loss, and 1 should have been/,
  },
  {
    name: "nor to who comes behind later",
    file: "coherence/cache.ts",
    from: "refuse(engine, page, true);",
    to: "refuse(engine, page, false);",
    story: lentStories["behind one behind, who leaves as well"],
    says: /0 threads are told of a loss, and 1 should have been/,
  },
  {
    name: "who waits behind where nobody waits is told by the home as well",
    file: "coherence/directory.ts",
    from: "message.flags & ONCE && !isFollowed(page, message)",
    to: "message.flags & ONCE",
    story: lentStories["a writer behind"],
    says: /machine 4 is told of a loss of page 0, of which nothing was lost/,
  },
  {
    name: "who freezes tells nobody what it was told where nobody waits",
    file: lossFile,
    from: "if (page.partly & ONCE) page.broken = 1;",
    to: "",
    story: lentStories["a writer who is not reached"],
    says: /0 threads are told of a loss, and 1 should have been/,
  },
  {
    name: "who has frozen, and was to tell who comes behind, does not hear that he has come",
    file: "coherence/takeover.ts",
    from: "      lossIsPassedOn(page);\n",
    to: "",
    story: lentStories["a writer who is not reached"],
    says: /0 threads are told of a loss, and 1 should have been/,
  },
  {
    name: "nor that its home tells of the loss",
    file: "coherence/takeover.ts",
    from: "      page.partly &= PARTLY; // the home tells whoever is next\n",
    to: "",
    story: lentStories["nobody, and the teller freezes before the home knows"],
    says: /2 threads are told of a loss, and 1 should have been/,
  },
  {
    name: "a home that has frozen tells of a loss that another tells of",
    file: "coherence/directory.ts",
    from: "page.tellers |= bitOf(message.from);",
    to: "page.broken = 1;",
    story: lentStories["nobody, and the home freezes before it hears of it"],
    says: /2 threads are told of a loss, and 1 should have been/,
  },
  {
    name: "nor does it if that one dies",
    file: lossFile,
    from: "  if (page.tellers & engine.dead) page.broken = 1;\n",
    to: "",
    story: lentStories["nobody, and the teller dies when the home has frozen"],
    says: /0 threads are told of a loss, and 1 should have been/,
  },
];
export const moveSourcePlants: readonly Planted[] = [
  ...moveLines,
  ...pageMoveLines,
  ...keptMoveLines,
  ...strangerLines,
  ...lossLines,
].map(linePlant);

const where = "homes.ts, members.ts";
export const movePlants: readonly Planted[] = [
  ...moveSourcePlants,
  ...[...moveBugs, ...rareMoves].map((name) => ({
    name,
    where,
    find: () => [...moveBySearch(name), ...moveAtRandom(name, 2000)],
  })),
  ...(Object.keys(moveStories) as (keyof typeof moveStories)[]).map((name) => ({
    name,
    where,
    find: () => moveFoundByStory(name),
  })),
];
