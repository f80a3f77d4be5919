// The page protocol over real links, for searches of every order of events: the compiled engines of a small cluster (coherence.ts)
// and the compiled links between them (joined-links.ts). Datagrams are lost, overtaken, come again and come too late; a machine dies at
// any moment and comes back with another epoch. Nothing that goes wrong is left to the end: what was lost is sent again at any moment,
// too, and then every thread must be done.
import { type Saved, type Setup, type Step, World } from "./coherence.js";
import type { Case } from "./coherence-cases.js";
import type { Wire } from "./coherence-state.js";
import { Words } from "./fingerprint.js";
import { type LinkPlant, type LinkStep, Links, type LinksSaved, type Trouble } from "./joined-links.js";
import type { KernelWasm } from "./kernel-wasm.js";
import { explore, type Found, type World as Searched, Violation } from "./search.js";

export interface JoinedSaved {
  world: Saved;
  links: LinksSaved;
}

/** Everything else is coherence.ts's, but its messages go out here. */
class Machines extends World {
  out: (from: number, to: number, message: Wire) => void = () => {};
  override put(from: number, to: number, message: Wire): void {
    this.losses.tell(message.word); // a link may end with it
    this.out(from, to, message);
  }
  said: (from: number, to: number) => readonly Wire[] = () => [];
  override underWay(from: number, to: number): readonly Wire[] {
    return this.said(from, to);
  }
}

const optional = new Set(["kill", "lose"]);

export class JoinedSearch implements Searched<Step | LinkStep, JoinedSaved> {
  readonly world: Machines;
  readonly links: Links;
  readonly #words = new Words();

  constructor(kernel: KernelWasm, setup: Setup, trouble: Trouble) {
    const world = new Machines(kernel, setup);
    this.world = world;
    this.links = new Links(kernel, setup.machines, trouble, (machine) => world.machine(machine).alive);
    world.out = (from, to, message) => this.links.say(from, to, message);
    world.said = (from, to) => this.links.said(from, to);
    this.links.dispatch = (from, to, message) => {
      if (!world.hears(to, from))
        throw new Violation(`machine ${to} hears a life of machine ${from} that it knows to be over`);
      world.wire(from, to).push(message);
      world.take({ do: "deliver", from, to });
    };
  }

  steps(kills: number): (Step | LinkStep)[] {
    return [...this.world.steps(kills), ...this.links.steps()];
  }

  rests(steps: readonly (Step | LinkStep)[]): boolean {
    return steps.every((step) => optional.has(step.do));
  }

  take(step: Step | LinkStep): void {
    switch (step.do) {
      case "arrive":
      case "overtake":
      case "lose":
      case "again":
        this.links.take(step);
        break;
      case "notice":
        this.world.take(step);
        this.links.cut(step.machine, step.dead);
        break;
      case "install": {
        const { deaf } = this.world.machine(step.machine).membership;
        this.world.take(step);
        const cut = this.world.machine(step.machine).membership.deaf & ~deaf;
        for (const dead of this.world.numbers) if (cut & (1 << dead)) this.links.cut(step.machine, dead);
        break;
      }
      case "return":
        this.world.take(step);
        this.links.begin(step.machine);
        break;
      default:
        this.world.take(step);
    }
  }

  /** In every state. */
  inspect(): void {
    const { engines, machine } = this.world;
    this.links.inspect((number, page) =>
      machine.call(this.world, number).pages[page]!.exists ? engines.do.state(engines.page(number, page)) : 0,
    );
  }

  checkEnd(): void {
    this.world.checkEnd();
    this.links.checkEnd();
  }

  save(): JoinedSaved {
    return { world: this.world.save(), links: this.links.save() };
  }
  load({ world, links }: JoinedSaved): void {
    this.world.load(world);
    this.links.load(links);
  }

  fingerprint(to: Uint32Array): void {
    this.world.fingerprint(to);
    this.#words.clear();
    this.#words.copy(to, 0, 4);
    this.links.words(this.#words);
    this.#words.fingerprint(to);
  }
}

export interface JoinedCase extends Case {
  trouble: Trouble;
  /** Homes move by views. */
  takeover?: boolean;
  planted?: LinkPlant;
  /** Small enough for every run of the tests. */
  quick?: true;
}

/** Two pages with a home each; a machine dies at any moment and comes back, but not the home of pages that cannot move. */
const death = { home: [1, 2], kills: 1, rejoins: true, trouble: { drop: 1, overtake: 1 } };
export const joinedCases: readonly JoinedCase[] = [
  { ...death, programs: [["r1"], ["w0"], []], states: 2797, quick: true },
  { ...death, programs: [["r1"], ["w0"], ["w1"]], states: 55_640, quick: true },
  { ...death, programs: [["r1"], ["w0"], ["w0w1"]], states: 477_314 },
  { ...death, programs: [["r1"], ["w0"], ["r0w1"]], states: 442_700 },
  { ...death, programs: [["r1"], ["w0"], ["w0r1"]], states: 411_354 },
  { ...death, programs: [["r1"], ["w0"], ["w1w0"]], states: 503_083 },
  // Nothing is lost here: with a loss as well it is millions of states. An overtaken datagram arrives as late as one that is sent again.
  {
    ...death,
    programs: [["r0w1"], ["w0r1"], ["w1w0"]],
    trouble: { drop: 0, overtake: 1 },
    states: 1_716_718,
  },
  // All three write both pages, and nobody dies.
  {
    programs: [["w0w1"], ["w1w0"], ["w0w1"]],
    home: [1, 2],
    kills: 0,
    trouble: { drop: 1, overtake: 1 },
    states: 11_953,
    quick: true,
  },
  // And where one dies and stays away; with an overtaken datagram as well it is too many.
  {
    programs: [["w0w1"], ["w1w0"], ["w0w1"]],
    home: [1, 2],
    kills: 1,
    trouble: { drop: 1, overtake: 0 },
    states: 594_082,
  },
  // Any machine dies and comes back, the home too, which moves; views are said over the same links.
  { ...death, takeover: true, programs: [["w"], ["w"]], home: 1, states: 44_541, quick: true },
  {
    ...death,
    takeover: true,
    programs: [["w0r1"], ["w1r0"]],
    trouble: { drop: 1, overtake: 0 },
    states: 89_747,
  },
];

export const joinedName = ({ programs, home, kills, rejoins, takeover, trouble }: JoinedCase): string =>
  `${programs.map((machine) => machine.join("+") || "-").join(" ")}, home ${home}${takeover ? ", which moves" : ""}, ${kills} deaths${rejoins ? " and returns" : ""}, ${trouble.drop} lost, ${trouble.overtake} overtaken, all repeated`;

export function searchJoined(
  kernel: KernelWasm,
  { programs, home, kills, rejoins = false, guesses = false, takeover = false, trouble, planted }: JoinedCase,
  progress?: (states: number, waiting: number) => void,
): { found: Found; world: JoinedSearch } {
  const pages = typeof home === "number" ? 1 : home.length;
  const world = new JoinedSearch(
    kernel,
    { machines: programs.length, pages, home, programs, guesses, takeover },
    trouble,
  );
  world.world.rejoins = rejoins;
  if (planted) world.links.planted = planted;
  return { found: explore(world, kills, 50_000_000, progress), world };
}
