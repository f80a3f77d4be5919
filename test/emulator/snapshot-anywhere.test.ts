// Snapshots in the middle of anything: machines that work together are stopped after a number of instructions that chance
// draws, wherever that is: in a quantum of the schedule, in a repeated string instruction, with interrupts that wait and
// frames on the wire. What is written down there and read into machines that never ran goes on as the first ones did.

import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { SeededCluster, type SeededOptions } from "../../emulator/cluster.js";
import { REPEATING } from "../../emulator/cpu/layout.js";
import { firmware, kernelPath, program, readImage } from "../../emulator/images.js";
import type { WireRecord } from "../../emulator/link.js";
import { Random } from "../../emulator/random.js";
import type { ScheduleRecord } from "../../emulator/schedule.js";
import type { Snapshot } from "../../emulator/snapshot.js";
import { withoutCodeMarks } from "../support/tlb-record.js";

const SEED = 5;
const MACHINES = 2;
const CORES = 4;
const PLACES = 10;
/** Until everything has been met. */
const PLACES_MAX = 200;
const KINDS = ["a quantum", "a repetition", "frames", "interrupts"];

interface Whole {
  readonly machines: readonly Snapshot[];
  readonly wire: WireRecord;
  readonly schedule: ScheduleRecord;
}

class Cluster {
  readonly #cluster: SeededCluster;

  private constructor(cluster: SeededCluster) {
    this.#cluster = cluster;
  }

  static async create(storeBuffer: number): Promise<Cluster> {
    const options: SeededOptions = {
      ...{ machines: MACHINES, cores: CORES, memory: 32 << 20, seed: SEED, storeBuffer },
      ...{ firmware: await firmware(), kernel: readImage("kernel", kernelPath) },
      ...{ program: program("counter"), arguments: ["50"], onLine: () => {} },
    };
    return new Cluster(await SeededCluster.create(options));
  }

  get instructions(): number {
    return this.#cluster.instructions;
  }

  /** Until a machine has sent something. */
  runToFrame(): void {
    while (this.#cluster.network.frames === 0) expect(this.#cluster.schedule.turn()).not.toBe("off");
  }

  /** False: the machines are off before. */
  runTo(instructions: number): boolean {
    const machines = this.#cluster.nodes.map(({ machine }) => machine);
    for (const machine of machines) machine.pauseAfter(() => instructions - this.instructions);
    while (this.instructions < instructions) {
      if (this.#cluster.schedule.turn() === "off") return false;
      for (const machine of machines) machine.pausedCore = -1;
    }
    return true;
  }

  /** A copy of all there is. */
  record(): Whole {
    const { nodes, network, schedule } = this.#cluster;
    const machines = nodes.map(({ machine }) => machine.snapshot());
    return structuredClone({ machines, wire: network.snapshot(), schedule: schedule.snapshot() });
  }

  take({ machines, wire, schedule }: Whole): void {
    this.#cluster.nodes.forEach(({ machine }, index) => {
      machine.restore(machines[index]!);
    });
    this.#cluster.network.restore(wire);
    this.#cluster.schedule.restore(schedule);
  }
}

/** Of all there is. */
function digest(whole: Whole): string {
  const hash = createHash("sha256");
  for (const { pages } of whole.machines)
    for (const [page, text] of Object.entries(pages)) hash.update(page).update(text);
  for (const { cores } of whole.machines)
    for (const { translations } of cores) hash.update(withoutCodeMarks(translations));
  const plain = (key: string, value: unknown) =>
    key === "pages" || key === "translations" ? 0 : typeof value === "bigint" ? String(value) : value;
  return hash.update(JSON.stringify(whole, plain)).digest("hex");
}

/** What the machines were in the middle of. */
function middles({ machines, wire, schedule }: Whole): string[] {
  const found: string[] = [];
  if (schedule.quantum !== null) found.push("a quantum");
  if (wire.flying.length > 0) found.push("frames");
  for (const { cores, devices } of machines) {
    if (cores.some(({ block }) => Buffer.from(block, "base64").readUInt32LE(REPEATING) !== 0))
      found.push("a repetition");
    const requests = (devices as { mailbox: number[] }[]).map(({ mailbox }) => mailbox.slice(0, 8));
    if (requests.some((words) => words.some((word) => word !== 0))) found.push("interrupts");
  }
  return found;
}

test.each([0, 4])(
  "at instructions that chance draws, with store buffers of %i, another cluster goes on as this one",
  async (storeBuffer) => {
    const random = new Random(11);
    const whole = await Cluster.create(storeBuffer);
    const other = await Cluster.create(storeBuffer);
    const seen = new Set<string>();
    whole.runToFrame();
    for (let place = 0; place < PLACES || (seen.size < KINDS.length && place < PLACES_MAX); place++) {
      expect(whole.runTo(whole.instructions + 1 + random.below(6_000))).toBe(true);
      const record = whole.record();
      for (const kind of middles(record)) seen.add(kind);
      const goOn = whole.instructions + 1 + random.below(20_000);
      expect(whole.runTo(goOn)).toBe(true);
      other.take(record);
      other.runTo(goOn);
      const where = `store buffers ${storeBuffer}, place ${place}: ${middles(record).join(", ")}`;
      expect(digest(other.record()), where).toBe(digest(whole.record()));
    }
    expect([...seen].sort()).toEqual(KINDS);
  },
  60_000,
);
