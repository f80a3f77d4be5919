// A seeded cluster that goes through a shared file step by step (kernel/user/steps.ts), followed from outside: the messages of each step
// by the frames on the wire, the states of pages by the machines' memories, the times by the consoles.
import { runSeeded, type SeededOptions } from "../../emulator/cluster.js";
import { kernelPath } from "../../emulator/images.js";
import type { ClusterReport } from "../../emulator/report.js";
import { type Timeline, WITH_DIFFERENCE, WITH_PAGE } from "../../emulator/timeline/data.js";
import { Declarations } from "../../emulator/timeline/declarations.js";
import { Recorder } from "../../emulator/timeline/recorder.js";
import { commandOf, seededOptions } from "./cluster.js";
import { fileAt } from "./homes.js";

export interface Sent {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
  /** -1: of the file, or of a range of it. */
  readonly page: number;
  readonly withPage: boolean;
}

/** What a machine says of its part in a step. */
export interface Did {
  readonly nanoseconds: number;
  readonly value: number;
}

export interface Step {
  readonly text: string;
  readonly from: number;
  readonly to: number;
  /** About the file, in the order in which they were sent. */
  readonly messages: readonly Sent[];
  readonly did: ReadonlyMap<number, Did>;
}

/** What a record says of its pages. */
export interface Told {
  readonly state: string;
  readonly first: number;
  readonly last: number;
  /** At the home. */
  readonly directory: string;
}

export interface Shape {
  readonly machines?: number;
  /** Of the file. */
  readonly home?: number;
  readonly seed?: number;
  /** Words for the kernel. */
  readonly append?: string;
  /** A planted one. */
  readonly kernel?: Uint8Array;
}

/** A fixed delay, so that R is the same for every frame. */
export const DELAY_US = 30;
export const R_NS = 2000 * DELAY_US;

export interface Followed {
  readonly report: ClusterReport;
  readonly timeline: Timeline;
  readonly said: readonly { at: number; machine: number; text: string }[];
  /** The command that gives it again, and what was said. */
  readonly text: string;
}

/** A page is written, zeros are written over that, and another machine reads it. */
export const zeros = (seed = 1, kernel?: Uint8Array): Promise<Steps> =>
  Steps.run(["2w0", "2z0", "3r0"], { machines: 3, home: 1, seed, ...(kernel && { kernel }) });
export const zerosRoute = ["3 READ_PAGE 1", "1 FORWARD_READ 2", "2 READ_PAGE answer 3"];

/** A seeded run with an onlooker, which must end well. */
export async function followed(
  program: string,
  args: readonly (string | number)[],
  o: Partial<SeededOptions> & { machines: number; seed: number },
): Promise<Followed> {
  const said: { at: number; machine: number; text: string }[] = [];
  let recorder: Recorder | null = null;
  let now = () => 0;
  const { options } = await seededOptions(program, args, {
    cores: 1,
    memory: 48 << 20,
    ...o,
    onLine: (machine, text) => said.push({ at: now(), machine: Number(machine.slice(7)), text }),
    onCluster: (cluster) => {
      const follow = new Recorder(cluster, new Declarations(kernelPath, options.kernel));
      now = () => cluster.schedule.now;
      cluster.onlooker = (at) => follow.look(at);
      recorder = follow;
    },
  });
  const report = await runSeeded(options);
  const command = [commandOf(program, options), ...args].join(" ");
  const text = `${command}\n${said.map((line) => `${line.at / 1e6} ${line.machine} | ${line.text}`).join("\n")}`;
  if (!report.ok) throw new Error(text);
  return { report, timeline: recorder!.timeline("", command), said, text };
}

export class Steps {
  readonly steps: readonly Step[];
  readonly report: ClusterReport;
  readonly #timeline: Timeline;
  readonly #path: string;
  readonly #text: string;

  private constructor(
    report: ClusterReport,
    timeline: Timeline,
    path: string,
    steps: readonly Step[],
    text: string,
  ) {
    this.report = report;
    this.#timeline = timeline;
    this.#path = path;
    this.steps = steps;
    this.#text = text;
  }

  static async run(texts: readonly string[], o: Shape = {}): Promise<Steps> {
    const { machines = 2, home = 1, seed = 1, append = "", kernel } = o;
    const path = `/shm/${fileAt(home, machines)}`;
    const { report, timeline, said, text } = await followed("steps", [path, ...texts], {
      machines,
      seed,
      append,
      network: { delay: [DELAY_US, DELAY_US] },
      ...(kernel && { kernel }),
    });
    const begins = texts.map((_, i) => said.find((line) => line.text === `steps: ${i + 1} begins`)?.at ?? -1);
    const steps = texts.map((step, i) => {
      const from = begins[i]!;
      if (from < 0) throw new Error(`step ${i + 1} never began: ${text}`);
      const to = begins[i + 1] ?? Number.POSITIVE_INFINITY;
      const did = new Map<number, Did>();
      for (const line of said) {
        const numbers = new RegExp(`^steps: ${i + 1} ns (\\d+) value (\\d+)$`).exec(line.text);
        if (numbers !== null)
          did.set(line.machine, { nanoseconds: Number(numbers[1]), value: Number(numbers[2]) });
      }
      return { text: step, from, to, messages: sentBetween(timeline, path, from, to), did };
    });
    return new Steps(report, timeline, path, steps, text);
  }

  /** For failures: the command that repeats it, what was said, and the messages of each step. */
  get text(): string {
    const messages = this.steps.map(({ text, messages }) =>
      [text, ...messages.map((m) => `  ${m.from} to ${m.to}: ${m.name} ${m.page} ${m.bytes}`)].join("\n"),
    );
    return `${this.#text}\n${messages.join("\n")}`;
  }

  /** The step, counted from 1 as the program does. */
  of(step: number): Step {
    return this.steps[step - 1]!;
  }

  /** What a machine did in a step. */
  did(step: number, machine: number): Did {
    const did = this.of(step).did.get(machine);
    if (did === undefined) throw new Error(`machine ${machine} said nothing of step ${step}: ${this.text}`);
    return did;
  }

  /** The names of a step's messages, as "from name to". */
  route(step: number): string[] {
    return this.of(step).messages.map(
      (m) => `${m.from} ${m.name}${m.withPage ? " with the page" : ""} ${m.to}`,
    );
  }

  /** The records of the file that a machine had when a step ended: of single pages, and of ranges. */
  records(machine: number, step: number): Told[] {
    const { objects, changes, states } = this.#timeline;
    const single = new Map<number, Told>();
    const ranges = new Map<number, Told>();
    for (const [at, of, object, first, state, directory, , last] of changes) {
      if (of !== machine || objects[object] !== this.#path || at >= this.of(step).to) continue;
      const told = {
        state: states[state] ?? "",
        first,
        last: Math.max(first, last),
        directory: states[directory] ?? "",
      };
      // A range without a state: all of them are told anew.
      if (last >= 0 && state < 0) ranges.clear();
      else if (last >= 0) ranges.set(first, told);
      else if (state < 0) single.delete(first);
      else single.set(first, told);
    }
    return [...single.values(), ...ranges.values()];
  }

  /** The state of one page at a machine when a step ended: its record's, else its range's. */
  state(machine: number, page: number, step: number): string {
    const covers = ({ first, last }: Told) => first <= page && page <= last;
    return this.records(machine, step).find(covers)?.state ?? "INVALID";
  }
}

function sentBetween({ messages, names, objects }: Timeline, path: string, from: number, to: number): Sent[] {
  return messages
    .filter(([sent, , , , , , object]) => sent >= from && sent < to && objects[object] === path)
    .map(([, , sender, receiver, name, bytes, , page, flags]) => ({
      name: names[name]!,
      from: sender,
      to: receiver,
      bytes,
      page,
      withPage: (flags & (WITH_PAGE | WITH_DIFFERENCE)) !== 0,
    }));
}
