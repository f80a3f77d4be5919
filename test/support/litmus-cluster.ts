// The guest program `litmus` on a seeded cluster, many seeds from one boot: the machines are started once, recorded
// when all have joined and the program is about to begin, and every seed goes on from there until machine 1 has
// counted. What was seen is judged by the model (tso.ts), whatever the program itself says.
import { type ClusterSnapshot, SeededCluster } from "../../emulator/cluster.js";
import type { Machine } from "../../emulator/index.js";
import { seededOptions } from "./cluster.js";
import { splits } from "./litmus.js";
import { allowedBy, shapes } from "./shapes.js";
import type { Model } from "./tso.js";

/** Virtual nanoseconds: many times what the longest run takes, and little to wait for when planted bugs let a run go on for ever. */
const LIMIT = 3e9;
/** Short and uneven, so that answers overtake each other and little time goes by in spinning. */
const DELAY = [1, 12] as const;

/** The classical shapes, as they are and fenced. */
export const betweenMachines: readonly string[] = ["SB", "MP", "LB", "2+2W", "IRIW"].flatMap((name) =>
  ["", "+mfence", "+lock"].map((fence) => name + fence),
);
const threadsOf = (text: string): number => text.split("|").length;
const threeThreads = shapes.filter(({ text }) => threadsOf(text) === 3).map(({ name }) => name);
/** Bytes, words and quadwords that overlap. */
const mixedSizes = shapes.filter(({ text }) => /\.[bwdq]\d/.test(text)).map(({ name }) => name);
/** What machines without a store buffer can show of a test. */
export const sequential = (name: string): ReadonlySet<string> => allowedBy(name, { entries: 0 });

export interface LitmusOptions {
  readonly machines: number;
  readonly cores?: number;
  /** Of each test and seed; three of them see each place of the cells. */
  readonly rounds?: number;
  /** As the program's arguments name them; all unless told. */
  readonly tests?: readonly string[];
  readonly storeBuffer?: number;
  /** Operands of four bytes are split over two lines or two pages. */
  readonly split?: "lines" | "pages";
  /** Cells lie in chunks of pages that machines lend one another. */
  readonly lent?: boolean;
  /** Each cell lies in a page of its own, of one object. */
  readonly oneHome?: boolean;
  /** Every machine has a copy of the cells' pages, of two objects, before a round. */
  readonly copied?: boolean;
  /** Round by round other cores play a test's threads: all of one machine, or of several. */
  readonly turned?: boolean;
  /** Cores that have no part in a round write beside its cells. */
  readonly disturbed?: boolean;
  /** Another kernel than the built one. */
  readonly kernel?: Uint8Array;
  /** Microseconds of wire each way, least and most. */
  readonly delay?: readonly [number, number];
  /** Done to each machine before its first round. */
  readonly plant?: (machine: Machine) => void;
  /** Further words of the kernel's command line. */
  readonly words?: string;
}

const exchanges = ["SB-xchgs", "SB-xadds", "SB+xchg", "MP-xchg", "XADD2", "XCHG2"];
/** Invalidations take long enough for others to go on meanwhile. */
const copies = { copied: true, rounds: 4, delay: [1, 60] } as const;

/** Groups of tests, each on a cluster whose cores keep all in order, and so many seeds. */
export const inOrder = [
  { what: "shapes of three threads", machines: 3, tests: threeThreads, seeds: 6 },
  { what: "operands of several sizes", machines: 2, tests: mixedSizes, seeds: 8 },
  {
    what: "exchanges",
    machines: 2,
    tests: exchanges,
    seeds: 8,
  },
  {
    what: "pages of one home",
    machines: 2,
    tests: ["SB", "SB+mfence", "MP", "LB", "2+2W"],
    seeds: 6,
    oneHome: true,
  },
  { what: "copies, three threads", machines: 3, tests: threeThreads, seeds: 6, ...copies },
  { what: "copies, operands of several sizes", machines: 2, tests: mixedSizes, seeds: 12, ...copies },
  { what: "copies, exchanges", machines: 2, tests: exchanges, seeds: 12, ...copies },
  {
    what: "copies, two threads",
    machines: 2,
    tests: ["SB", "SB+mfence", "MP", "LB", "2+2W"],
    seeds: 12,
    ...copies,
  },
] as const satisfies readonly (LitmusOptions & { what: string; seeds: number })[];

/** Stores wait for as long as a seed likes, or until something drains them. */
const buffered = { machines: 2, cores: 2, storeBuffer: 64, turned: true, rounds: 12 } as const;
/** Each thread stores to its own cell only: one outcome is allowed, and a store that is lost at any time shows. */
const trails = "x=1;x=2;x=3;x=4;x=5;x=6;x;x|y=1;y=2;y=3;y=4;y=5;y=6;y;y/x,y";
/** Pages leave as soon as they can. */
export const lossy = {
  ...buffered,
  tests: [trails],
  disturbed: true,
  rounds: 36,
  delay: [1, 2],
  words: "hold=0",
} as const satisfies LitmusOptions;

const twoThreads = ["SB", "SB+mfence", "SB+lock", "SB+rfi", "MP", "R", "n6", "2+2W"];
/** Groups of tests, each on a cluster whose cores have store buffers, a test's threads now in one machine, now in two. */
export const withBuffers = [
  { ...buffered, what: "two threads", tests: twoThreads },
  {
    ...buffered,
    what: "pages of one home that leave",
    tests: ["SB", "SB+mfence", "MP", "2+2W"],
    oneHome: true,
    disturbed: true,
  },
  {
    ...buffered,
    what: "three and four threads",
    tests: ["SB+3", "W+RWC", "ISA2", "IRIW", "CoRR2", "x=1;y|y=1;x|x;y|y;x"],
  },
  { ...buffered, what: "several sizes, on pages that leave", tests: mixedSizes, disturbed: true, rounds: 8 },
  { ...buffered, what: "exchanges, on pages that leave", tests: exchanges, disturbed: true },
  { ...buffered, what: "operands over two lines", tests: ["SB", "MP", "2+2W", "XADD2"], split: "lines" },
  { ...buffered, what: "operands over two pages", tests: ["SB", "MP", "2+2W", "XADD2"], split: "pages" },
  { ...lossy, what: "one's own stores, on pages that leave" },
] as const satisfies readonly (LitmusOptions & { what: string })[];

/** Outcomes that machines without a store buffer never show, whether a fence would forbid them or not. */
export const beyondOrder = (seen: LitmusFigures["seen"]): string[] =>
  [...seen].flatMap(([name, outcomes]) =>
    [...outcomes].filter((outcome) => !sequential(name).has(outcome)).map((outcome) => `${name} ${outcome}`),
  );

export interface LitmusRun {
  /** Empty: the program ended and nothing forbidden was seen. */
  readonly problem: string;
  /** What each test counted, in the program's words. */
  readonly counts: readonly string[];
}

/** Runs on until nothing is on the wire; the guests go on meanwhile. */
export function settle(cluster: SeededCluster): void {
  for (let turns = 0; cluster.network.underWay > 0; turns++) {
    if (turns > 1e6 || cluster.schedule.turn(LIMIT) === "off") throw new Error("the wire is never empty");
  }
}

export class LitmusCluster {
  readonly #cluster: SeededCluster;
  readonly #lines: string[];
  readonly #ready: ClusterSnapshot;
  readonly #command: string;
  readonly #model: Model;

  private constructor(cluster: SeededCluster, lines: string[], command: string, model: Model) {
    this.#model = model;
    this.#cluster = cluster;
    this.#lines = lines;
    this.#ready = cluster.snapshot();
    this.#command = command;
  }

  static async create(o: LitmusOptions): Promise<LitmusCluster> {
    const { machines, cores = 1, rounds = 3, tests = [] } = o;
    const place = o.split === undefined ? [] : [`place=${o.split === "lines" ? 3 : 4}`];
    const words = [
      rounds,
      ...place,
      ...(o.lent ? ["place=5"] : []),
      ...(o.oneHome ? ["place=6"] : []),
      ...(o.copied && !o.oneHome ? ["place=2"] : []),
      ...(o.copied ? ["copied"] : []),
      ...(o.turned ? ["turned"] : []),
      ...(o.disturbed ? ["disturbed"] : []),
      ...tests,
    ];
    // Else whoever reads a page that goes round takes it, and nobody has a copy.
    const kernelWords = [
      ...(o.copied ? ["migrate=0"] : []),
      ...(o.words === undefined ? [] : [o.words]),
    ].join(" ");
    const { options, lines } = await seededOptions("litmus", words, {
      machines,
      cores,
      memory: 16 << 20,
      network: { delay: o.delay ?? DELAY },
      ...(o.kernel === undefined ? {} : { kernel: o.kernel }),
      ...(o.storeBuffer === undefined ? {} : { storeBuffer: o.storeBuffer }),
      ...(kernelWords === "" ? {} : { append: kernelWords }),
    });
    const cluster = await SeededCluster.create(options);
    while (!lines.includes("machine1 | litmus: ready")) {
      if (cluster.schedule.turn(LIMIT) === "off" || cluster.schedule.now >= LIMIT)
        throw new Error(`the machines did not join:\n${lines.join("\n")}`);
    }
    settle(cluster);
    for (const { machine } of cluster.nodes) o.plant?.(machine);
    const buffer = o.storeBuffer === undefined ? "" : ` --store-buffer ${o.storeBuffer}`;
    const append = kernelWords === "" ? "" : ` --append "${kernelWords}"`;
    const command = `buslock run --machines ${machines} --cores ${cores}${buffer}${append} litmus ${words.join(" ")}`;
    return new LitmusCluster(cluster, lines, command, o.split === undefined ? {} : { split: splits });
  }

  run(seed: number): LitmusRun {
    const cluster = this.#cluster;
    const lines = this.#lines;
    lines.length = 0;
    cluster.restore(this.#ready, seed);
    const end = /^machine1 \| litmus: .* forbidden outcomes: /;
    while (!lines.some((line) => end.test(line))) {
      if (cluster.schedule.now >= LIMIT) break;
      const turn = cluster.schedule.turn(LIMIT);
      if (turn === "off" || turn === "idle") break;
    }
    const counts = lines.flatMap(
      (line) => /^machine1 \| litmus (\S+: .*) forbidden 0$/.exec(line)?.[1] ?? [],
    );
    const good =
      cluster.nodes.every(({ machine }) => machine.problem === "") &&
      lines.some((line) => /forbidden outcomes: none$/.test(line)) &&
      counts.length > 0;
    const forbidden = counts.flatMap((line) => forbiddenIn(line, this.#model));
    const problem =
      good && forbidden.length === 0
        ? ""
        : `seed ${seed} from the snapshot of seed 42 of ${this.#command}: ${forbidden}\n${lines.join("\n")}`;
    return { problem, counts };
  }

  /** Runs on to the end of all machines, and gives the sum of a count in their statistics. */
  statistic(name: string): number {
    while (this.#cluster.schedule.now < LIMIT && this.#cluster.schedule.turn(LIMIT) !== "off");
    return this.#lines.reduce(
      (sum, line) => sum + Number(new RegExp(`stats: .*"${name}":(\\d+)`).exec(line)?.[1] ?? 0),
      0,
    );
  }

  /** Seeds one after the other; fails at the first that shows something forbidden. */
  runAll(first: number, seeds: number): LitmusFigures {
    const runs = new Set<string>();
    const seen = new Map<string, Set<string>>();
    const begin = cpuMilliseconds();
    for (let seed = first; seed < first + seeds; seed++) {
      const run = this.run(seed);
      if (run.problem !== "") throw new Error(run.problem);
      runs.add(run.counts.join());
      for (const line of run.counts) {
        const { name, outcomes } = outcomesIn(line);
        const all = seen.get(name) ?? new Set();
        seen.set(name, all);
        for (const outcome of outcomes) all.add(outcome);
      }
    }
    const millisecondsEach = Math.round((cpuMilliseconds() - begin) / seeds);
    return { different: runs.size, seen, millisecondsEach };
  }
}

export interface LitmusFigures {
  /** Seeds that did not go as an earlier one. */
  readonly different: number;
  /** Test to outcomes. */
  readonly seen: ReadonlyMap<string, ReadonlySet<string>>;
  /** Of this process's processor time. */
  readonly millisecondsEach: number;
}

function cpuMilliseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** A line "SB+mfence: 0,1=3 1,0=2". */
function outcomesIn(line: string): { name: string; outcomes: string[] } {
  const [name = "", ...counts] = line.split(/:? /);
  return { name, outcomes: counts.map((count) => count.split("=")[0]!) };
}

function forbiddenIn(line: string, model: Model): string[] {
  const { name, outcomes } = outcomesIn(line);
  const allowed = allowedBy(name, model);
  return outcomes.filter((o) => !allowed.has(o)).map((outcome) => `${name} showed ${outcome}`);
}
