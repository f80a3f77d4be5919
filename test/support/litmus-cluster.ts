// The guest program `litmus` on a seeded cluster, many seeds from one boot: the machines are started once, recorded
// when all have joined and no frame is on the wire, and every seed goes on from there to the end.
import { type ClusterSnapshot, SeededCluster } from "../../emulator/cluster.js";
import { seededOptions } from "./cluster.js";

/** Three rounds: the cells in one line, in one page, in two pages. */
const ROUNDS = 3;
const LIMIT = 60e9;
/** Short and uneven, so that answers overtake each other and little time goes by in spinning. */
const DELAY = [1, 12] as const;

export interface LitmusRun {
  /** Empty: every machine ended well and nothing forbidden was seen. */
  readonly problem: string;
  /** What each test counted, in the program's words. */
  readonly counts: readonly string[];
  readonly milliseconds: number;
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
  readonly #joined: ClusterSnapshot;

  private constructor(cluster: SeededCluster, lines: string[]) {
    this.#cluster = cluster;
    this.#lines = lines;
    this.#joined = cluster.snapshot();
  }

  static async create(machines: number, cores = 1): Promise<LitmusCluster> {
    const { options, lines } = await seededOptions("litmus", [ROUNDS], {
      machines,
      cores,
      memory: 16 << 20,
      network: { delay: DELAY },
    });
    const cluster = await SeededCluster.create(options);
    const met = () => lines.filter((line) => / cluster: machine \d+ is here$/.test(line)).length;
    while (met() < machines * (machines - 1)) {
      if (cluster.schedule.turn(LIMIT) === "off" || cluster.schedule.now >= LIMIT)
        throw new Error(`the machines did not join:\n${lines.join("\n")}`);
    }
    settle(cluster);
    return new LitmusCluster(cluster, lines);
  }

  run(seed: number): LitmusRun {
    const cluster = this.#cluster;
    const begin = performance.now();
    this.#lines.length = 0;
    cluster.restore(this.#joined, seed);
    const ending = cluster.run(LIMIT);
    const lines = this.#lines;
    const counts = lines.filter((line) => / litmus \S+: .* forbidden \d+$/.test(line));
    const good =
      ending === "off" &&
      cluster.nodes.every(({ machine, console }) => machine.problem === "" && console.exit === 0) &&
      lines.some((line) => /forbidden outcomes: none$/.test(line)) &&
      counts.length >= 9 &&
      counts.every((line) => line.endsWith(" forbidden 0"));
    const problem = good
      ? ""
      : `seed ${seed} from the snapshot of ${cluster.nodes.length} machines: ${ending}\n${lines.join("\n")}`;
    return { problem, counts, milliseconds: performance.now() - begin };
  }

  /** Seeds one after the other; fails at the first that shows something forbidden, and says how long each took. */
  runAll(first: number, seeds: number): { different: number; millisecondsEach: number } {
    const seen = new Set<string>();
    let milliseconds = 0;
    for (let seed = first; seed < first + seeds; seed++) {
      const run = this.run(seed);
      if (run.problem !== "") throw new Error(run.problem);
      seen.add(run.counts.join());
      milliseconds += run.milliseconds;
    }
    return { different: seen.size, millisecondsEach: Math.round(milliseconds / seeds) };
  }
}
