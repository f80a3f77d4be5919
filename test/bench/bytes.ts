// Two machines that count in words of their own, 64 bytes apart on one page, by byte ranges and page by page, in one run of the
// benchmark. Counts from pairs of seeded runs of two lengths, subtracted. A machine counts once in every PAUSE of its own work,
// or as fast as it goes; page by page with the hold window, which lets a machine count for a while each time it has the page,
// and without, where every writer waits for the page.
import { seeded } from "../support/cluster.js";
import type { Figure } from "./bench.js";

const SHORT = 6_000;
const LONG = 18_000;
const ways: readonly (readonly [how: string, words: string])[] = [
  ["by byte ranges", ""],
  ["by pages", "bytes=0"],
  ["by pages, no hold window", "bytes=0 hold=0"],
];
const pauses: readonly (readonly [what: string, nanoseconds: number])[] = [
  ["every 2 us", 2000],
  ["every 5 us", 5000],
  ["as fast as it goes", 0],
];

async function counts(pause: number, append: string, microseconds: number, wire: [number, number]) {
  const { report, lines } = await seeded("contend", ["apart", microseconds, pause], {
    machines: 2,
    cores: 1,
    network: { delay: wire },
    append,
  });
  const match = / total (\d+)/.exec(report.result);
  if (!report.ok || match === null) throw new Error(`contend apart failed:\n${lines.join("\n")}`);
  const messages = report.machines.reduce((s, m) => s + (m.stats?.["messagesSent"] ?? 0), 0);
  return { total: Number(match[1]), messages };
}

/** `r`: the round trip on this wire, in microseconds. */
export async function byteFigures(r: number, wire: [number, number]): Promise<Figure[]> {
  const figures: Figure[] = [];
  const add = (name: string, value: number, unit: string, note = "") =>
    figures.push({ section: "coherence", name, value, unit, ...(note === "" ? {} : { note }) });
  for (const [what, pause] of pauses) {
    const rates: number[] = [];
    for (const [how, append] of ways) {
      const [few, many] = [await counts(pause, append, SHORT, wire), await counts(pause, append, LONG, wire)];
      const done = Math.max(1, many.total - few.total);
      rates.push(done / (LONG - SHORT));
      const name = `two counters 64 bytes apart, ${what}, ${how}`;
      add(`${name}: operations in R`, rates.at(-1)! * r, "");
      add(`${name}: messages an operation`, (many.messages - few.messages) / done, "");
    }
    const name = `two counters 64 bytes apart, ${what}: byte ranges`;
    add(`${name} / pages`, rates[0]! / rates[1]!, "times");
    add(`${name} / pages without a hold window`, rates[0]! / rates[2]!, "times", "goal 10");
  }
  return figures;
}
