// Machines that fight over one page, on a seeded cluster: operations in R, messages, how long one takes and how fair it is, by the
// protocol as it is and without one of its ideas. Counts come from pairs of runs of two lengths, subtracted.
import { seeded } from "../support/cluster.js";
import { addsOf, goal, HANDOVER } from "../support/goals.js";
import type { Figure } from "./bench.js";

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

async function fight(
  name: string,
  machines: number,
  append: string,
  microseconds: number,
  wire: [number, number],
) {
  const { report, lines } = await seeded("contend", [name, microseconds], {
    machines,
    cores: 1,
    network: { delay: wire },
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

/** `r`: the round trip on this wire, in microseconds. */
export async function fightFigures(r: number, wire: [number, number]): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { what, name, words, lock } of fights) {
    const [short, long] = lock ? LOCK_TIMES : TIMES;
    for (const machines of [2, 4, 8])
      for (const [how, append] of words) {
        const [few, many] = [
          await fight(name, machines, append, short, wire),
          await fight(name, machines, append, long, wire),
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
