// Bugs in the engine's own sources and in the modules beside it: one line is changed, the modules are compiled anew, and small
// clusters are searched, in every order of events and at random.
import { type Program, World, wander } from "../coherence.js";
import type { KernelWasm } from "../kernel-wasm.js";
import { answeredLate, operationForItself, operationOfTheHome } from "../leave-stories.js";
import { homeBorrows } from "../lent-stories.js";
import { LoansWorld } from "../loans-world.js";
import { fetchedForNobody, untouched } from "../move-stories.js";
import { type Beginning, beginnings } from "../offer-stories.js";
import { explore } from "../search.js";
import {
  askedBefore,
  askedOfTheDead,
  awayWithTheDead,
  foundAtHome,
  givenToTheDead,
  heardLate,
  heardOfBefore,
  heardOfHere,
  lostTwice,
  play,
  type Story,
  tellStory,
  toldAndReverts,
} from "../story.js";
import { GUESSING, shapeOf, worldOf as trialWorld, wanderIn } from "../trial.js";
import { type Change, compiled } from "./compiled.js";
import { exploreLoans, larger, loanCases, short, wanderLoans } from "./loans.js";
import { atRandom, bySearch, type Finding, type Planted } from "./plant.js";

/** What it is part of: pages, machines that guess who owns them, the same where homes move, records that merge and go, homes that move, machines that leave, chunks that are lent. */
type Part = "pages" | "guesses" | "offers" | "merging" | "moves" | "leaves" | "loans";

const bugs: readonly (Change & { part: Part; story?: Story })[] = [
  {
    name: "a late answer is taken for that of the open request",
    part: "pages",
    file: "coherence/engine.ts",
    from: "if (page.transaction != 0 && message.transaction == page.transaction) answered(",
    to: "if (page.transaction != 0) answered(",
  },
  {
    name: "a writer does not wait for acknowledgements of machines that live",
    part: "pages",
    file: "coherence/engine.ts",
    from: "return (page.acksExpected & ~(page.acksReceived | engine.dead)) == 0;",
    to: "return (page.acksExpected & page.acksReceived) == page.acksReceived;",
  },

  {
    name: "whoever asks has the page's bytes, if he has any",
    part: "pages",
    file: "coherence/serials.ts",
    from: "return has == page.serial && isNumbered(has) ?",
    to: "return has != 0 && isNumbered(has) ?",
  },
  {
    name: "what was written has the number of what it was before",
    part: "pages",
    file: "coherence/serials.ts",
    from: "if (written || page.changed != 0) page.serial++;",
    to: "",
  },
  {
    name: "bytes of after a loss have the numbers of what was lost",
    part: "pages",
    file: "coherence/serials.ts",
    from: "page.serial = serialAnew(engine, page.serial);",
    to: "",
  },
  {
    name: "a home that borrows forgets which eras it has begun",
    part: "loans",
    file: "coherence/serials.ts",
    from: "page.serial |= UNNUMBERED;",
    to: "page.serial = UNNUMBERED;",
    story: homeBorrows,
  },
  {
    name: "the owner that the home relieves is not counted among those with a copy",
    part: "pages",
    file: "coherence/directory.ts",
    from: "page.sharers |= bitOf(page.owner);",
    to: "",
  },
  {
    name: "a page that goes from writer to writer is the first one's still",
    part: "pages",
    file: "coherence/directory.ts",
    from: "sayOrdered(engine, page, message, acks);\n  page.owner = message.from;",
    to: "sayOrdered(engine, page, message, acks);",
  },
  {
    name: "who was told of a loss knows of the next one",
    part: "pages",
    file: "coherence/directory.ts",
    from: "else if (page.directory == RECOVERING && speaksOf(page, message) && !(message.flags & PARTLY))",
    to: "else if (!(message.flags & PARTLY))",
    story: lostTwice,
  },
  {
    name: "who hears late of a loss knows of the next one",
    part: "pages",
    file: "coherence/directory.ts",
    from: "else if (page.directory == RECOVERING && speaksOf(page, message) && !(message.flags & PARTLY))",
    to: "else if (page.directory == RECOVERING && !(message.flags & PARTLY))",
    story: heardLate,
  },
  {
    name: "who fails is told of whatever is lost when the home hears of it",
    part: "pages",
    file: "coherence/directory.ts",
    from: "if (next == HELD && page.directory != HELD) page.passed = 0;",
    to: "",
    story: heardOfBefore,
  },
  {
    name: "who fails is told of what its home has had since, and has given away again",
    part: "pages",
    file: "coherence/directory.ts",
    from: "  if (here && engine.dead != 0) page.passed = 0;\n",
    to: "",
    story: heardOfHere,
  },
  {
    name: "a loss that nobody waited for is known",
    part: "merging",
    file: "coherence/directory.ts",
    from: "      else if (page.directory == RECOVERING && speaksOf(",
    to: "      if (page.directory == RECOVERING && speaksOf(",
    story: fetchedForNobody,
  },
  {
    name: "a home that freezes forgets that somebody was told",
    part: "moves",
    file: "coherence/directory.ts",
    from: "page.untold = u8(page.directory == LOST || (recovers && !isSettled(page)));",
    to: "page.untold = u8(page.directory == LOST || recovers);",
    story: toldAndReverts,
  },
  {
    name: "who asks anew may wait again behind one who waits in vain",
    part: "pages",
    file: "coherence/directory.ts",
    from: "page.directory == HELD && speaksOf(page, message) ? OWNER_FAILED",
    to: "owns ? OWNER_FAILED",
  },
  {
    name: "who asked before the page was given away is told of a loss that nobody knows of",
    part: "pages",
    file: "coherence/directory.ts",
    from: "    if (page.directory == HELD) page.passed |= bitOf(machine);\n",
    to: "",
    story: askedBefore,
  },
  {
    name: "a home that has frozen hears of no loss",
    part: "moves",
    file: "coherence/takeover.ts",
    from: "      lossFrozen(page, message);\n",
    to: "",
  },
  {
    name: "who has frozen is told of what others are told of",
    part: "moves",
    file: "coherence/takeover.ts",
    from: "else if (message.flags & (ONCE | PARTLY)) put(",
    to: "else put(",
  },
  {
    name: "a home that freezes forgets what it has found",
    part: "moves",
    file: "coherence/directory.ts",
    from: "return page.directory == UNUSED || (page.directory == RECOVERING && found);",
    to: "return page.directory == UNUSED;",
    story: foundAtHome,
  },
  {
    name: "the home asks for a page that is lost though nobody needs it",
    part: "merging",
    file: "coherence/merge.ts",
    from: "return page.directory != RECOVERING && page.directory != LOST;",
    to: "return page.directory != RECOVERING;",
  },
  {
    name: "a record merges while an operation is on its way to the page",
    part: "merging",
    file: "coherence/merge.ts",
    from: "if (others && (!alone || peer.operating != 0)) return false;",
    to: "",
  },

  {
    name: "a machine throws away a page that it alone has",
    part: "merging",
    file: "coherence/merge.ts",
    from: "if (engine.self != page.home) return page.state == SHARED;",
    to: "if (engine.self != page.home) return page.state != INVALID;",
  },

  {
    name: "who was collecting acknowledgements stands alone when the home moves",
    part: "moves",
    file: "coherence/takeover.ts",
    from: "    case COLLECTING: // nothing was written yet: others, the former owner as well, may still have equal copies\n",
    to: "    case COLLECTING:\n      return MODIFIED;\n",
  },
  {
    name: "what the former home was giving away is nobody's",
    part: "moves",
    file: "coherence/takeover.ts",
    from: "if (alone || page.left != 0) {",
    to: "if (alone) {",
    story: givenToTheDead,
  },
  {
    name: "what was away when its home was frozen is nobody's",
    part: "moves",
    file: "coherence/takeover.ts",
    from: "page.away = page.directory == HELD && page.ranged == 0 ? page.owner : 0;",
    to: "page.away = 0;",
    story: awayWithTheDead,
  },
  {
    name: "what was granted with a range, and never touched, was away",
    part: "moves",
    file: "coherence/takeover.ts",
    from: "page.away = page.directory == HELD && page.ranged == 0 ? page.owner : 0;",
    to: "page.away = page.directory == HELD ? page.owner : 0;",
    story: untouched,
  },
  {
    name: "who asked a machine that dies while all is frozen waits",
    part: "moves",
    file: "coherence/takeover.ts",
    from: "  if (!open) return;\n",
    to: "  return;\n",
    story: askedOfTheDead,
  },
  {
    name: "operations wait for a home that has moved",
    part: "moves",
    file: "coherence/takeover.ts",
    from: "  answerOperations(engine, page, SAY_REJECTED);\n  if (page.frozen == 0) {",
    to: "  if (page.frozen == 0) {",
  },
  {
    name: "a right that finds its receiver frozen, who leaves, is a copy like any other",
    part: "leaves",
    file: "coherence/takeover.ts",
    from: "  page.sole = 1;\n  if (page.state == INVALID) page.state = SHARED;\n",
    to: "  if (page.state == INVALID) page.state = SHARED;\n",
  },
  {
    name: "who leaves while it collects acknowledgements has a copy like any other",
    part: "leaves",
    file: "coherence/takeover.ts",
    from: "page.purge != 0 || isDoubtful(page.state));",
    to: "page.purge != 0);",
  },
  {
    name: "a home that leaves keeps what others may have thrown away",
    part: "leaves",
    file: "coherence/takeover.ts",
    from: "page.sole = u8((stored && page.directory == CLEAN_SHARED) || ",
    to: "page.sole = u8(",
  },
  {
    name: "a machine's own operation that finds it frozen comes back to nobody",
    part: "leaves",
    file: "coherence/takeover.ts",
    from: "      else if (mine) rejected(engine, page, message);\n",
    to: "",
    story: operationForItself,
  },
  {
    name: "a home that waits for an operation has nothing to hand in of its page",
    part: "leaves",
    file: "coherence/takeover.ts",
    from: "return page.state == INVALID_OPERATE ? page.beneath : page.state;",
    to: "return page.state;",
    story: operationOfTheHome,
  },
  {
    name: "a home hands in while an operation of its own may still be answered",
    part: "leaves",
    file: "coherence/takeover.ts",
    from: "return page.transaction != 0 && (engine.dead & bitOf(page.target)) == 0;",
    to: "return false;",
    story: answeredLate,
  },
  {
    name: "of a dead borrower's bytes nobody is told when the page goes home",
    part: "loans",
    file: "coherence/directory.ts",
    from: "if (data) page.found |= message.flags & PARTLY ? FOUND_PARTLY : FOUND;",
    to: "if (data) page.found |= FOUND;",
  },
  {
    name: "who was told of a page that was not lost knows of a dead borrower's bytes",
    part: "loans",
    file: "coherence/directory.ts",
    from: "return page.found != 0 && !(page.found & FOUND_PARTLY);",
    to: "return (page.found & (FOUND | FOUND_TOLD)) != 0;",
  },
  {
    name: "who was told of a dead borrower's bytes knows of what was lost then",
    part: "loans",
    file: "coherence/directory.ts",
    from: "speaksOf(page, message) && !(message.flags & PARTLY))",
    to: "speaksOf(page, message))",
  },
  {
    name: "a writer who is refused for a dead borrower's bytes leaves nothing",
    part: "loans",
    file: "coherence/losses.ts",
    from: "  if ((message.flags & RIGHT) != RIGHT_SHARED) page.left = 1;\n",
    to: "",
  },
  {
    name: "the owner goes on using what it has lent",
    part: "loans",
    file: "coherence/parts.ts",
    from: "  part.mine &= ~chunks;\n",
    to: "",
  },
  {
    name: "bytes that come back are dropped",
    part: "loans",
    file: "coherence/parts.ts",
    from: "  scatter(part.frame, chunks, at);\n  part.mine |= chunks;\n  ended",
    to: "  part.mine |= chunks;\n  ended",
  },

  {
    name: "a dead borrower's chunks count as lent for ever",
    part: "loans",
    file: "coherence/parts.ts",
    from: "  if (part.owner != 0 || loan.chunks == 0) return false;\n  ended(part, loan, loan.chunks);",
    to: "  if (part.owner != 0 || loan.chunks == 0) return false;",
  },
  {
    name: "bytes that came early are used without the home's word",
    part: "guesses",
    file: "coherence/early.ts",
    from: "return page.early == EARLY_ORDER;",
    to: "return true;",
  },
  {
    name: "the home's word is for whatever bytes came before it",
    part: "guesses",
    file: "coherence/early.ts",
    from: "if (page.early == EARLY_BYTES && page.earlyServed == message.served) return true;",
    to: "if (page.early == EARLY_BYTES) return true;",
  },
  {
    name: "bytes that come behind the home's word are what it is about",
    part: "guesses",
    file: "coherence/early.ts",
    from: "(isOrdered(page) && page.earlyServed == message.served);",
    to: "isOrdered(page);",
  },
  {
    name: "who has sent bytes early sends them to nobody else",
    part: "guesses",
    file: "coherence/early.ts",
    from: "if (page.earlyTo == 0 || page.earlyTo != message.requester || !(message.flags & AS_GUESSED)) return false;",
    to: "if (page.earlyTo == 0) return false;\n  if (page.earlyTo != message.requester) return true;",
  },
  {
    name: "bytes that were sent early serve the reader's next request as well",
    part: "guesses",
    file: "coherence/early.ts",
    from: "return page.earlyTransaction == message.transaction && page.tenure == message.served;",
    to: "return true;",
  },
  {
    name: "bytes that were sent early count when their sender has written since",
    part: "guesses",
    file: "coherence/early.ts",
    from: "export function tenureBegins(engine: Engine, page: Page): void {\n  earlyForget(page);",
    to: "export function tenureBegins(engine: Engine, page: Page): void {",
  },
  {
    name: "the home's word names no request of the owner's",
    part: "guesses",
    file: "coherence/say.ts",
    from: "  if (said != 0) changetype<PageMessage>(said).served = peerAt(page, page.owner).served;",
    to: "",
  },
  {
    name: "a writer takes the home's word without the bytes",
    part: "guesses",
    file: "coherence/early.ts",
    from: "if (page.early == EARLY_BYTES && page.earlyServed == message.served) return true;",
    to: "if (page.state == INVALID_WRITE || (page.early == EARLY_BYTES && page.earlyServed == message.served)) return true;",
  },
  {
    name: "who writes what came early does not wait for the sharers",
    part: "guesses",
    file: "coherence/directory.ts",
    from: "if (guessed != 0) sayOrdered(engine, page, message, acks);",
    to: "if (guessed != 0) sayOrdered(engine, page, message, 0);",
  },
  {
    name: "the home's word about an offer counts, however late it comes",
    part: "guesses",
    file: "coherence/early.ts",
    from: "  page.overtaken++;",
    to: "",
  },
  {
    name: "who has offered a page keeps what the writer's successor sends for another's",
    part: "guesses",
    file: "coherence/engine.ts",
    from: "  offerOvertaken(engine, page, message);",
    to: "",
  },
  {
    name: "what was offered is the page, whether the writer has had it or not",
    part: "offers",
    file: "coherence/takeover.ts",
    from: "    if (peerAt(page, peer.server).served != peer.keptTransaction) continue;",
    to: "",
  },
  {
    name: "who has offered a page owns it still when its home moves",
    part: "offers",
    file: "coherence/takeover.ts",
    from: "  if (page.offered == 0 || page.offered == OFFER_DEAD) return false;",
    to: "  return false;",
  },
  {
    name: "who asked for a page says so also when he has got it",
    part: "offers",
    file: "coherence/takeover.ts",
    from: "page.asked = engine.guesses != 0 && page.state == INVALID_WRITE ? page.transaction : 0;",
    to: "page.asked = page.tenure != 0 ? page.tenure : page.earlyTransaction != 0 ? 0 : engine.lastTransaction;",
  },
  {
    name: "who has not taken what was offered does not say so",
    part: "offers",
    file: "coherence/early.ts",
    from: "  if (!open) sayUntaken(engine, page, message);\n",
    to: "",
  },
  {
    name: "who has frozen does not hear that what it has offered was not taken",
    part: "offers",
    file: "coherence/takeover.ts",
    from: "      if (hasOf(page) != OFFERED || !offerEnds(page, message)) break;",
    to: "      break;",
  },
  {
    name: "a page is offered to who has frozen",
    part: "offers",
    file: "coherence/early.ts",
    from: "  if (page.broken != 0 || engine.flushes != 0) return;",
    to: "  if (page.broken != 0) return;",
  },
  {
    name: "a writer who has frozen does not hear that he is next",
    part: "offers",
    file: "coherence/takeover.ts",
    from: "orderMatches(page, message)) isHere(page);",
    to: "orderMatches(page, message)) break;",
  },
  {
    name: "what was offered to a writer who has died since is his",
    part: "offers",
    file: "coherence/early.ts",
    from: "    page.offered = OFFER_DEAD;\n",
    to: "",
  },
];

const SMALL = 30_000;
const SHAPES = 100;
const SEEDS = 20;

interface Small {
  readonly programs: Program[][];
  readonly home: number;
  readonly kills?: number;
  readonly seeds: number;
  readonly pages?: number;
  readonly leaves?: number;
  readonly merges?: true;
  readonly after?: Beginning;
}
const worlds: Record<Exclude<Part, "loans">, readonly Small[]> = {
  pages: [
    { programs: [["rw", "r"], ["wr"]], home: 2, seeds: 300 },
    { programs: [["w"], ["xx"], ["rx"]], home: 1, seeds: 300 },
    { programs: [["rr"], ["rw"], ["wr"]], home: 1, kills: 1, seeds: 1000 },
    { programs: [["rxw"], ["wxr"], ["wr"]], home: 3, kills: 2, seeds: 1000 },
  ],
  guesses: [
    { programs: [["w"], ["w"], ["rr"]], home: 1, seeds: 1000 },
    { programs: [[], ["ww"], ["rr"]], home: 1, kills: 1, seeds: 1000 },
    { programs: [["w"], ["rw"], ["ww"], ["rrr"]], home: 1, seeds: 1000 },
    { programs: [[], ["wrw"], ["rrr"], ["rr"]], home: 1, kills: 1, seeds: 1000 },
    { programs: [[], ["ww"], ["w"]], home: 1, kills: 1, seeds: 1000 },
    { programs: [[], ["ww", "r"], ["ww"], ["rw"]], home: 1, kills: 1, seeds: 1000 },
    { programs: [[], ["www"], ["ww"], ["ww"]], home: 1, seeds: 1000 },
  ],
  offers: [
    { programs: [[], ["ww"], ["w"]], home: 1, kills: 2, seeds: 1000 },
    { programs: [[], ["ww"], ["w"], ["r"]], home: 1, kills: 2, seeds: 1000 },
    { programs: [[], ["wwr"], ["wwr"], ["ww"]], home: 1, kills: 3, seeds: 1000 },
    { programs: [[], ["wrww"], ["wwww"], []], home: 1, kills: 2, seeds: 1000 },
    {
      programs: [["w"], ["ww"], ["ww"]],
      ...{ home: 1, leaves: 1, after: "the guess is late, and the home leaves", seeds: 1000 },
    },
    {
      programs: [[], ["ww"], ["wr"]],
      ...{ home: 1, kills: 1, leaves: 1, after: "who guesses dies, and the home leaves", seeds: 1000 },
    },
    // Records merge meanwhile.
    {
      programs: [[], ["ww"], ["w"]],
      ...{ home: 1, leaves: 1, merges: true, after: "it is ordered by who leaves", seeds: 1000 },
    },
  ],
  merging: [
    { programs: [["w0"], ["r0w1"], ["w1"]], home: 1, pages: 2, seeds: 1000 },
    { programs: [["r0w0"], ["x0r1"], ["w0r1"]], home: 3, pages: 2, seeds: 1000 },
    { programs: [["w1r0"], ["r0w0"], ["r1r0"]], home: 1, pages: 2, kills: 1, seeds: 1000 },
    { programs: [["r0w1"], ["r1"], []], home: 3, pages: 2, kills: 1, seeds: 1000 },
  ],
  moves: [
    { programs: [["w"], [], ["x"]], home: 1, kills: 1, seeds: 300 },
    { programs: [[], ["wr"], ["rw"]], home: 1, kills: 1, seeds: 1000 },
    { programs: [["rw"], ["xw"], ["wx", "r"]], home: 2, kills: 1, seeds: 1000 },
    { programs: [["rw"], ["ww", "w"], ["xx", "x"]], home: 1, kills: 1, seeds: 1000 },
  ],
  leaves: [
    { programs: [["r"], ["w"], ["w"]], home: 1, leaves: 1, seeds: 1000 },
    { programs: [["w"], ["rw"], ["rw"]], home: 1, leaves: 1, seeds: 1000 },
    { programs: [["w0r1"], ["r0"], ["r0"]], home: 1, pages: 2, leaves: 1, merges: true, seeds: 1000 },
  ],
};

function worldOf(kernel: KernelWasm, part: Part, small: Small): World {
  const { programs, home, kills = 0, pages = 1, leaves = 0, merges = part === "merging", after } = small;
  const merging = merges ? { ranges: true, merges: true, fetches: 1 } : {};
  const takeover = part === "moves" || part === "leaves" || part === "offers";
  const guesses = part === "guesses" || part === "offers";
  const setup = { machines: programs.length, home, programs, pages, takeover, guesses, ...merging };
  const world = new World(kernel, setup);
  world.rejoins = part !== "leaves" && after === undefined;
  world.leaves = leaves;
  if (after) play(world, beginnings[after], kills);
  return world;
}

function inClusters(kernel: () => KernelWasm, part: Exclude<Part, "loans">): Finding[] {
  const clusters = worlds[part].map((small) => ({ small, world: worldOf(kernel(), part, small) }));
  const saved = clusters.map(({ world }) => world.save());
  const searched = bySearch(
    clusters.map(
      ({ world, small }) =>
        () =>
          explore(world, small.kills ?? 0, SMALL, undefined, true),
    ),
  );
  const random = atRandom(1000, clusters.length, (seed, index) => {
    const { world, small } = clusters[index]!;
    if (seed > small.seeds) return;
    world.load(saved[index]!);
    wander(world, seed, small.kills ?? 0);
  });
  const found = [...searched, ...random];
  const guesses = part === "guesses" || part === "offers";
  return found.length > 0 ? found : inTrials(kernel(), guesses);
}

/** Clusters whose shape comes from a number (trial.ts), as they come; of those that guess the small ones. */
function inTrials(kernel: KernelWasm, guesses: boolean): Finding[] {
  const clusters = Array.from({ length: SHAPES }, (_, number) => {
    const shape = shapeOf(guesses ? GUESSING + 3 * number : number);
    const world = trialWorld(kernel, shape);
    return { world, kills: shape.kills, saved: world.save() };
  });
  return atRandom(SEEDS, 2 * SHAPES, (seed, index) => {
    const { world, kills, saved } = clusters[index >> 1]!;
    world.load(saved);
    wanderIn(world, kills, index & 1 ? "liveness" : "safety", seed, []);
  });
}

function inLoans(kernel: () => KernelWasm): Finding[] {
  const searched = bySearch(
    loanCases.map((one) => () => exploreLoans(new LoansWorld(kernel(), one), one, SMALL)),
  );
  const clusters = [...larger, ...short].map((setup) => new LoansWorld(kernel(), setup));
  const saved = clusters.map((world) => world.save());
  const random = atRandom(500, clusters.length, (seed, index) => {
    clusters[index]!.load(saved[index]!);
    wanderLoans(clusters[index]!, seed, 1, index < larger.length ? 20 : 5);
  });
  return [...searched, ...random];
}

export const sourcePlants: readonly Planted[] = bugs.map((bug) => ({
  name: bug.name,
  where: bug.file,
  change: bug,
  find: async () => {
    const kernel = await compiled(bug, "unit.ts");
    const { story } = bug;
    if (story !== undefined) return atRandom(1, 1, () => tellStory(kernel(), story));
    return bug.part === "loans" ? inLoans(kernel) : inClusters(kernel, bug.part);
  },
}));
