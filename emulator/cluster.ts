// Several machines that run one program: seeded (all in this process, virtual time) or live (a process for each
// machine and one for the bridge). Both give the same report.

import { createHash } from "node:crypto";
import { Capture } from "../netbridge/pcap.js";
import type { Witness, WitnessSnapshot } from "../netbridge/witness.js";
import { checkMachines, checkMirror, checkSeed, macOf } from "./arguments.js";
import { ConsoleReader } from "./console.js";
import { archive, type Program } from "./images.js";
import { type NetworkOptions, SeededNetwork } from "./link.js";
import { Machine } from "./machine.js";
import { Outlet } from "./outlet.js";
import { Patience } from "./patience.js";
import { Random } from "./random.js";
import { type ClusterReport, machineReport, succeeded } from "./report.js";
import { Schedule } from "./schedule.js";
import type { Snapshot } from "./snapshot.js";
import type { Tracer } from "./trace.js";

export interface ClusterOptions {
  readonly machines: number;
  readonly cores: number;
  readonly memory: number;
  readonly firmware: Uint8Array;
  readonly kernel: Uint8Array;
  readonly program: Program;
  readonly arguments: readonly string[];
  /** One process on machine 1, whose threads run on all machines; else the program starts on each. */
  readonly spread?: boolean;
  /** Copies of what was written, on so many other machines, before anybody else sees it. */
  readonly mirror?: number;
  /** Further words for the guest kernel's command line. */
  readonly append?: string;
  /** Each console line, with the machine's name. */
  readonly onLine: (machine: string, line: string) => void;
}

export interface SeededOptions extends ClusterOptions {
  readonly seed: number;
  readonly network?: NetworkOptions;
  /** Entries of each core's store buffer; none unless told. */
  readonly storeBuffer?: number;
  /** Longest time for which a core may stand still, in virtual nanoseconds (schedule.ts); none does unless told. */
  readonly stall?: number;
  /** File for the frames on the wire. */
  readonly pcap?: string;
  /** Virtual nanoseconds after which the run is given up. */
  readonly limit?: number;
  /** Stands between a machine's console and its reader, which `read` gives a byte. */
  readonly heard?: (machine: number, byte: number, read: (byte: number) => void) => void;
  /** Told of the cluster before it runs. */
  readonly onCluster?: (cluster: SeededCluster) => void;
  /** Machines stand in outlets, by which they can be stopped and replaced. */
  readonly outlets?: boolean;
  /** What follows a machine's run; null: nobody does. */
  readonly tracer?: (machine: string) => Tracer | null;
  /** Called now and then; gives true to stop the run. */
  readonly onProgress?: (now: number, instructions: number) => boolean;
}

/** The kernel's command line for machine `node` (1-based). */
export function commandLine(
  o: ClusterOptions,
  node: number,
  program: readonly string[],
  seed?: number,
): string {
  const words = [`node=${node}`, `nodes=${o.machines}`, ...program, "exit=f4"];
  if (seed !== undefined) words.push(`seed=${seed}`);
  if (o.spread === true) words.push("spread");
  if (o.mirror) words.push(`mirror=${o.mirror}`);
  if (o.append !== undefined) words.push(o.append);
  for (const word of o.arguments) {
    if (!/^\S+$/.test(word))
      throw new Error(`argument "${word}": a word of the command line has no blanks, and is not empty`);
  }
  return [...words, ...(o.arguments.length > 0 ? ["--", ...o.arguments] : [])].join(" ");
}

export const machineName = (node: number): string => `machine${node}`;

/** The last line that the program itself printed: it begins with the program's name. */
export function resultLine(lines: readonly string[], program: string): string {
  return lines.findLast((line) => line.startsWith(`${program}: `)) ?? "";
}

interface Node {
  readonly name: string;
  machine: Machine;
  readonly console: ConsoleReader;
  /** Where the machine is plugged in, in a cluster that things happen to. */
  readonly outlet: Outlet | null;
}

/** A seeded cluster between two quanta, with no frame on the wire. */
export interface ClusterSnapshot {
  readonly now: number;
  readonly machines: readonly Snapshot[];
  readonly witness: WitnessSnapshot;
  /** Console lines of machine 1 so far. */
  readonly lines: readonly string[];
  /** Of each machine's console: the beginning of a line that has not ended. */
  readonly unfinished: readonly string[];
}

/** All machines of a seeded cluster, wired but not yet run. For tests that look inside. */
export class SeededCluster {
  readonly nodes: readonly Node[];
  readonly network: SeededNetwork;
  readonly schedule: Schedule;
  /** The bridge's vote; its port comes behind those of the machines. */
  readonly witness: Witness;
  readonly #lines: string[];
  readonly #patience = new Patience();
  /** Looks on after each turn of the schedule. */
  onlooker: ((now: number) => void) | null = null;

  private constructor(
    nodes: Node[],
    network: SeededNetwork,
    witness: Witness,
    schedule: Schedule,
    lines: string[],
  ) {
    this.nodes = nodes;
    this.witness = witness;
    this.network = network;
    this.schedule = schedule;
    this.#lines = lines;
  }

  static async create(o: SeededOptions): Promise<SeededCluster> {
    checkMachines(o.machines);
    checkMirror(o.mirror ?? 0);
    const random = new Random(checkSeed(o.seed));
    const clock = { now: () => 0 };
    const network = new SeededNetwork(random.fork("network"), () => clock.now(), o.network);
    const { initrd, words } = archive(o.program);
    const lines: string[] = [];
    const nodes: Node[] = [];
    for (let node = 1; node <= o.machines; node++) {
      const name = machineName(node);
      const console = new ConsoleReader((line) => {
        if (node === 1) lines.push(line);
        o.onLine(name, line);
      });
      const tracer = o.tracer?.(name) ?? null;
      const make = (fresh: SeededOptions): Promise<Machine> =>
        Machine.create({
          name,
          cores: o.cores,
          memory: o.memory,
          firmware: o.firmware,
          kernel: o.kernel,
          initrd,
          commandLine: commandLine(fresh, node, words, fresh.seed),
          mac: macOf(node),
          seed: fresh.seed,
          storeBuffer: o.storeBuffer ?? 0,
          console:
            o.heard === undefined
              ? (byte) => console.push(byte)
              : (byte) => o.heard!(node - 1, byte, (read) => console.push(read)),
          ...(tracer === null ? {} : { tracer }),
        });
      const machine = await make(o);
      const outlet = o.outlets === true ? new Outlet(machine, make) : null;
      const link = network.attach((frame) => {
        if (outlet === null) machine.receiveFrame(frame);
        else outlet.receiveFrame(frame);
      });
      machine.connect(link);
      outlet?.wire(link);
      nodes.push({ name, machine, console, outlet });
    }
    const witness = network.attachWitness(BigInt(o.seed >>> 0) + 1n);
    const schedule = new Schedule(
      nodes.map((n) => n.outlet ?? n.machine),
      [network],
      random.fork("schedule"),
      { stall: o.stall ?? 0 },
    );
    clock.now = () => schedule.now;
    const cluster = new SeededCluster(nodes, network, witness, schedule, lines);
    o.onCluster?.(cluster);
    return cluster;
  }

  /**
   * Another machine takes the place of one that was switched off: a new life. `seed` gives it its own random numbers; `heard`: its
   * console has been, before the run went back.
   */
  async replace(index: number, o: SeededOptions, heard = false): Promise<void> {
    const node = this.nodes[index]!;
    if (!heard) {
      node.console.end();
      node.console.restart("");
    }
    node.machine = await node.outlet!.replace(o);
  }

  /** Console lines of machine 1. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  get instructions(): number {
    return this.nodes.reduce((sum, n) => sum + n.machine.instructions, 0);
  }

  /** Runs until every machine is off, the limit is reached, or nothing can ever happen; says which. */
  run(limit: number): "off" | "limit" | "idle" {
    for (;;) {
      const ending = this.#turn(limit);
      if (ending !== null) return ending;
    }
  }

  /** The same; the event loop has its turn now and then, so that signals are heard, and `onProgress` may stop it. */
  async runHeard(
    limit: number,
    onProgress?: SeededOptions["onProgress"],
  ): Promise<"off" | "limit" | "idle" | "stopped"> {
    for (;;) {
      const ending = this.#turn(limit);
      if (ending !== null) return ending;
      if (!this.#patience.over()) continue;
      await this.#patience.rest();
      if (onProgress?.(this.schedule.now, this.instructions) === true) return "stopped";
    }
  }

  /** Null: it can go on. */
  #turn(limit: number): "off" | "limit" | "idle" | null {
    if (this.schedule.now >= limit) return "limit";
    const turn = this.schedule.turn(limit);
    this.onlooker?.(this.schedule.now);
    return turn === "off" || turn === "idle" ? turn : null;
  }

  /** Refused while frames are under way (`network.underWay`): run a little further and ask again. */
  snapshot(): ClusterSnapshot {
    const frames = this.network.underWay;
    if (frames > 0) throw new Error(`snapshot: ${frames} frames are under way; a snapshot holds no frames`);
    return {
      now: this.schedule.now,
      machines: this.nodes.map((n) => n.machine.snapshot()),
      witness: this.witness.snapshot(),
      lines: [...this.#lines],
      unfinished: this.nodes.map((n) => n.console.unfinished),
    };
  }

  /**
   * Goes back to a snapshot of a cluster of this shape. From there on interleaving, delays and faults are drawn from
   * the new seed: the same snapshot and seed give the same run. The guests'
   * own random numbers are part of their state and stay those of the run that was recorded.
   */
  restore(snapshot: ClusterSnapshot, seed: number): void {
    if (snapshot.machines.length !== this.nodes.length) {
      const wanted = this.nodes.length;
      throw new Error(
        `restore: a snapshot of ${snapshot.machines.length} machines, the cluster has ${wanted}`,
      );
    }
    const random = new Random(seed);
    this.network.restart(random.fork("network"));
    this.witness.restore(snapshot.witness);
    this.nodes.forEach(({ machine, console }, index) => {
      machine.restore(snapshot.machines[index]!);
      console.restart(snapshot.unfinished[index]!);
    });
    this.#lines.splice(0, this.#lines.length, ...snapshot.lines);
    this.schedule.restart(snapshot.now, random.fork("schedule"));
  }

  /** Of all machines' RAM: every page that is not zeros, which most of it is, behind its machine's number and its own. */
  memoryHash(): string {
    const hash = createHash("sha256");
    const place = new Uint32Array(2);
    this.nodes.forEach(({ machine: { ram } }, machine) => {
      for (let at = 0; at < ram.length; at += ZEROS.length) {
        const page = ram.subarray(at, at + ZEROS.length);
        if (Buffer.compare(page, ZEROS) === 0) continue;
        place.set([machine, at / ZEROS.length]);
        hash.update(place).update(page);
      }
    });
    return hash.digest("hex");
  }
}

const ZEROS = new Uint8Array(4096);

export const ENDINGS = {
  off: "",
  limit: "the time limit was reached",
  idle: "all cores sleep for ever",
  stopped: "stopped",
};
/** An hour of virtual time. */
export const LIMIT_NANOSECONDS = 3600e9;

export async function runSeeded(o: SeededOptions): Promise<ClusterReport> {
  const cluster = await SeededCluster.create(o);
  const capture = o.pcap === undefined ? null : new Capture(o.pcap, (problem) => o.onLine("wire", problem));
  if (capture !== null) cluster.network.tap((_from, frame, now) => capture.add(frame, now / 1000));
  const ending = await cluster.runHeard(o.limit ?? LIMIT_NANOSECONDS, o.onProgress);
  capture?.close();
  return reportOf(cluster, o, ENDINGS[ending]);
}

/** `ending`: why machines that are still on do not run any more. */
export function reportOf(cluster: SeededCluster, o: SeededOptions, ending: string): ClusterReport {
  const machines = cluster.nodes.map(({ name, machine, console }) => {
    console.end();
    return machineReport(name, machine.instructions, console, machine.powered ? ending : machine.problem);
  });
  return {
    program: o.program.name,
    mode: "seeded",
    cores: o.cores,
    seed: o.seed,
    virtualNanoseconds: cluster.schedule.now,
    frames: cluster.network.frames,
    frameBytes: cluster.network.bytes,
    memoryHash: cluster.memoryHash(),
    machines,
    result: resultLine(cluster.lines, o.program.name),
    ok: succeeded(machines),
  };
}
