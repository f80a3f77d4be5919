// A seeded cluster in outlets, and the hands that do to it what a storm's plan says: the same seeds, the same run, to the instruction.
// Under a debugger the run goes back: then what was done is undone, and done again when its time comes.

import { SeededCluster, type SeededOptions } from "../cluster.js";
import type { Machine } from "../machine.js";
import type { OutletRecord } from "../outlet.js";
import { Random } from "../random.js";
import { type ChaosOptions, planOf } from "./chaos.js";
import { type Hands, Storm } from "./storm.js";

/** So often, in milliseconds, it is looked after the storm whether all are well again: there a turn of the schedule ends. */
export const LOOK_MS = 25;

/** All that the hands have changed, besides the machines' own state and what is on the wire. */
export interface StruckRecord {
  readonly done: number;
  readonly looks: number;
  readonly lives: readonly number[];
  readonly retired: number;
  readonly witness: bigint;
  readonly random: readonly number[];
  readonly outlets: readonly OutletRecord[];
}

export class Struck {
  readonly storm: Storm;
  readonly lives: number[];
  readonly deaths: { machine: number; life: number; at: number }[] = [];
  readonly resumes: { machine: number; at: number }[] = [];
  /** Instructions of former lives. */
  retiredBefore = 0;
  readonly cluster: SeededCluster;
  readonly #o: SeededOptions;
  readonly #random: Random;
  #witness: bigint;
  #looks = 0;
  /** Changes that have ever been made: those are not told again. */
  #ever = 0;

  private constructor(cluster: SeededCluster, o: SeededOptions, c: ChaosOptions, reach: Hands["reach"]) {
    this.cluster = cluster;
    this.#o = o;
    this.lives = cluster.nodes.map(() => 0);
    this.#random = new Random(o.seed).fork("lives");
    this.#witness = cluster.witness.life;
    const tell: ChaosOptions["tell"] = (at, begins, fault) => {
      if (this.#isNew) c.tell(at, begins, fault);
    };
    this.storm = new Storm(o.machines, planOf(c, o.machines), this.#hands(reach), tell);
  }

  /** `reach` lets the cluster run until a time, in milliseconds; false: it is over. */
  static async create(
    o: SeededOptions,
    c: ChaosOptions,
    reach: (struck: Struck, at: number) => Promise<boolean> = async () => true,
  ): Promise<Struck> {
    const cluster = await SeededCluster.create({ ...o, outlets: true });
    const struck: Struck = new Struck(cluster, o, c, (at) => reach(struck, at));
    return struck;
  }

  get machines(): Machine[] {
    return this.cluster.nodes.map(({ machine }) => machine);
  }

  get now(): number {
    return this.cluster.schedule.now / 1e6;
  }

  /** The change under way has not been made before. */
  get #isNew(): boolean {
    return this.storm.done > this.#ever;
  }

  #hands(reach: Hands["reach"]): Hands {
    const { cluster } = this;
    const { network } = cluster;
    const o = this.#o;
    const outlet = (machine: number) => cluster.nodes[machine - 1]!.outlet!;
    return {
      now: () => this.now,
      reach,
      kill: (machine) => {
        if (this.#isNew) cluster.nodes[machine - 1]!.console.end();
        outlet(machine).kill();
        this.deaths.push({ machine, life: this.lives[machine - 1]!, at: this.now });
      },
      revive: async (machine) => {
        const { instructions } = cluster.nodes[machine - 1]!.machine;
        this.lives[machine - 1]!++;
        await cluster.replace(machine - 1, { ...o, seed: this.#random.bits() }, !this.#isNew);
        this.retiredBefore += instructions;
      },
      pause: (machine) => outlet(machine).pause(),
      resume: (machine) => {
        outlet(machine).resume();
        this.resumes.push({ machine, at: this.now });
      },
      bridgeStops: () => network.bridgeStops(),
      bridgeStarts: () => {
        this.#witness = BigInt(this.#random.bits()) + 2n ** 32n;
        network.witnessReborn(this.#witness);
      },
      wire: (deaf, { loss, duplicate, delay }) => {
        network.deafen(deaf);
        network.become({
          faults: {
            ...o.network?.faults,
            ...(loss > 0 ? { loss } : {}),
            ...(duplicate > 0 ? { duplicate } : {}),
          },
          ...(delay > 0 ? { delay: [20, delay] as const, reorder: true } : {}),
        });
      },
    };
  }

  // --- Under a debugger ---

  /** Nanoseconds at which the next thing is done, or looked at. */
  get due(): number {
    const { due, last } = this.storm;
    if (due !== Number.POSITIVE_INFINITY) return Math.round(due * 1e6);
    return Math.round(last.from * 1e6) + (this.#looks + 1) * LOOK_MS * 1e6;
  }

  async perform(): Promise<void> {
    if (this.storm.due === Number.POSITIVE_INFINITY) this.#looks++;
    else await this.storm.step();
    this.#ever = Math.max(this.#ever, this.storm.done);
  }

  record(): StruckRecord {
    return {
      done: this.storm.done,
      looks: this.#looks,
      lives: [...this.lives],
      retired: this.retiredBefore,
      witness: this.#witness,
      random: this.#random.snapshot(),
      outlets: this.cluster.nodes.map(({ outlet }) => outlet!.record()),
    };
  }

  /** The machines, the wire and the schedule are restored after it. */
  async restore(record: StruckRecord): Promise<void> {
    await this.storm.goTo(record.done);
    this.#looks = record.looks;
    this.lives.splice(0, this.lives.length, ...record.lives);
    this.retiredBefore = record.retired;
    this.#random.restore(record.random);
    this.#witness = record.witness;
    this.cluster.network.witnessReborn(record.witness);
    this.cluster.nodes.forEach((node, index) => {
      const outlet = record.outlets[index]!;
      node.outlet!.restore(outlet);
      node.machine = outlet.machine;
    });
  }
}
