// Coherence in figures. Counts (messages, bytes, guest instructions per operation) are exact: two seeded runs that
// differ in the number of operations are subtracted. Times are in R, the round trip of a 64-byte frame between the
// same machines over the same wire, in virtual time and live.

import { seeded } from "../support/cluster.js";
import { addsOf, GOALS, goal, HANDOVER } from "../support/goals.js";
import type { Figure } from "./bench.js";
import { byteFigures } from "./bytes.js";

/** Microseconds of wire each way: a fixed delay, so that R is the same for every frame. */
const WIRE: [number, number] = [30, 30];
/** Pages, and additions: enough that the word changes hands many times. */
const FEW = 64;
const ADDS = 20_000;

interface Operation {
  readonly name: string;
  readonly machines: number;
  readonly what: string;
  readonly goal: string;
  /** What the preparation of one operation does as well. */
  readonly with?: string;
  readonly count?: number;
  /** Words for the kernel: without one of the protocol's ideas. */
  readonly append?: string;
}

const operations: readonly Operation[] = [
  { name: "read", machines: 2, what: "read miss, owner idle", goal: goal(GOALS.read) },
  { name: "read", machines: 2, what: "read miss, owner idle, no queue", goal: "", append: "queue=0" },
  { name: "read", machines: 2, what: "read miss, owner idle, without S", goal: "", append: "mei" },
  { name: "read-busy", machines: 2, what: "read miss, owner busy", goal: goal(GOALS["read-busy"]) },
  {
    name: "third",
    machines: 3,
    what: "read miss, dirty on a third machine",
    goal: goal(GOALS.third),
    with: "the third machine's write",
  },
  {
    name: "upgrade",
    machines: 2,
    what: "S to M, no data, sharer idle",
    goal: goal(GOALS.upgrade),
    with: "the read before",
  },
  {
    name: "upgrade-busy",
    machines: 2,
    what: "S to M, no data, sharer busy",
    goal: goal(GOALS["upgrade-busy"]),
    with: "the read before",
  },
  { name: "add", machines: 2, what: "contended lock xadd, a machine's own", goal: "", count: ADDS },
];

interface Sample {
  readonly nanoseconds: number;
  readonly messages: number;
  readonly bytes: number;
  readonly instructions: number;
}

async function sample({ name, machines, append }: Operation, count: number): Promise<Sample> {
  const { report, lines } = await seeded("latency", [name, count], {
    machines,
    cores: 1,
    network: { delay: WIRE },
    append: `ahead=0 ${append ?? ""}`, // one page at a time: what a miss costs, not a stream of them
  });
  const match = /latency: [\w-]+ \d+ ns (\d+)/.exec(report.result);
  if (!report.ok || match === null) throw new Error(`latency ${name} ${count} failed:\n${lines.join("\n")}`);
  const sum = (stat: string) => report.machines.reduce((s, m) => s + (m.stats?.[stat] ?? 0), 0);
  return {
    nanoseconds: Number(match[1]),
    messages: sum("messagesSent"),
    bytes: sum("bytesSent"),
    instructions: report.machines.reduce((s, m) => s + m.instructions, 0),
  };
}

/** Machines that fight over one page for so many microseconds; the difference of two times is what is shown. Locks later: it takes a while until
 * the page goes round in the order in which many machines wait. */
const TIMES: [short: number, long: number] = [4_000, 12_000];
const LOCK_TIMES: [short: number, long: number] = [12_000, 24_000];

interface Fight {
  readonly what: string;
  readonly name: string;
  /** How it is done, and the kernel's words for that: the protocol as it is first, then without one of its ideas. */
  readonly words: readonly (readonly [string, string])[];
  /** A lock: what counts is how often it changes hands, and how long that takes from the release on. */
  readonly lock?: boolean;
}

const fights: readonly Fight[] = [
  {
    what: "lock xadd every 20 us, all machines",
    name: "think",
    words: [
      ["sent to the owner", ""],
      ["by pages", "ship=0 hold=0"],
      ["by pages, no queue", "ship=0 hold=0 queue=0"],
      ["by pages, without S", "ship=0 hold=0 mei"],
    ],
  },
  {
    what: "stores to one page, all machines",
    name: "store",
    words: [
      ["with a hold window", ""],
      ["without", "hold=0"],
      ["without, no queue", "hold=0 queue=0"],
      ["without, without S", "hold=0 mei"],
    ],
  },
  {
    what: "ticket lock",
    name: "lock",
    words: [
      ["readers take", ""],
      ["readers share", "migrate=0"],
      ["no queue", "queue=0"],
      ["without S", "mei"],
      ["without a hold window", "hold=0"],
    ],
    lock: true,
  },
  { what: "test-and-set lock", name: "tas", words: [["", ""]], lock: true },
  { what: "test-and-test-and-set lock", name: "ttas", words: [["", ""]], lock: true },
  { what: "futex lock", name: "futex", words: [["", ""]], lock: true },
];

async function fight(name: string, machines: number, append: string, microseconds: number) {
  const { report, lines } = await seeded("contend", [name, microseconds], {
    machines,
    cores: 1,
    network: { delay: WIRE },
    append,
  });
  const match = / total (\d+) least (\d+) most (\d+) .* median (\d+) p99 (\d+) handovers (\d+)/.exec(
    report.result,
  );
  if (!report.ok || match === null) throw new Error(`contend ${name} failed:\n${lines.join("\n")}`);
  const sum = (stat: string) => report.machines.reduce((s, m) => s + (m.stats?.[stat] ?? 0), 0);
  const [total, least, most, median, p99, handovers] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return {
    ...{ total, least, most, median, p99, handovers },
    messages: sum("messagesSent"),
    bytes: sum("bytesSent"),
    instructions: report.machines.reduce((s, m) => s + m.instructions, 0),
  };
}

async function fightFigures(r: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { what, name, words, lock } of fights) {
    const [short, long] = lock ? LOCK_TIMES : TIMES;
    for (const machines of [2, 4, 8])
      for (const [how, append] of words) {
        const [few, many] = [
          await fight(name, machines, append, short),
          await fight(name, machines, append, long),
        ];
        const done = Math.max(1, lock ? many.handovers - few.handovers : many.total - few.total);
        const one = lock ? "a hand-over" : "an operation";
        const add = (figure: string, value: number, unit: string, note = "") =>
          figures.push({
            section: "coherence",
            name: `${what}, ${machines} machines${how === "" ? "" : `, ${how}`}: ${figure}`,
            value,
            unit,
            ...(note === "" || append !== "" ? {} : { note }),
          });
        add(`messages ${one}`, (many.messages - few.messages) / done, "");
        add(`bytes ${one}`, (many.bytes - few.bytes) / done, "");
        const atLeast = name === "think" ? `goal ${addsOf(machines)}` : "";
        add(lock ? "hand-overs in R" : "operations in R", (done * r) / (long - short), "", atLeast);
        const at = lock ? goal(HANDOVER) : "";
        add(
          `${lock ? "from release to hand-over" : "an operation"}, median`,
          many.median / 1000 / r,
          "R",
          at,
        );
        add(`${lock ? "from release to hand-over" : "an operation"}, p99`, many.p99 / 1000 / r, "R");
        add("fewest of a machine / most", many.least / Math.max(1, many.most), "");
      }
  }
  return figures;
}

export async function coherenceFigures(): Promise<Figure[]> {
  const r = 2 * WIRE[0];
  const figures: Figure[] = [{ section: "coherence", name: "R on the seeded wire", value: r, unit: "us" }];
  for (const operation of operations) {
    const count = operation.count ?? FEW;
    const [few, many] = [await sample(operation, count), await sample(operation, 3 * count)];
    const per = (of: (s: Sample) => number) => (of(many) - of(few)) / (2 * count);
    const counted = operation.with === undefined ? "" : `with ${operation.with}`;
    const add = (name: string, value: number, unit: string, note = "") =>
      figures.push({
        section: "coherence",
        name: `${operation.what}: ${name}`,
        value,
        unit,
        ...(note === "" ? {} : { note }),
      });
    add("time", per((s) => s.nanoseconds) / 1000 / r, "R", operation.goal);
    add(
      "messages",
      per((s) => s.messages),
      "",
      counted,
    );
    add(
      "bytes",
      per((s) => s.bytes),
      "",
      counted,
    );
    add(
      "guest instructions, all machines",
      per((s) => s.instructions),
      "",
      counted,
    );
  }
  figures.push(...(await fightFigures(r)), ...(await byteFigures(r, WIRE)));
  return figures;
}
