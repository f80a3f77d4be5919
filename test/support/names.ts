// What tests ask of names (kernel/fs/names.ts) on seeded clusters: what they cost, what is left of them when machines die, leave and come back.

import { kernelPath, readImage } from "../../emulator/images.js";
import { Declarations } from "../../emulator/timeline/declarations.js";
import { Syslink } from "../../emulator/timeline/syslink.js";
import { type FaultRun, type Happening, withFaults } from "./faults.js";
import { cProgram } from "./guest.js";
import { Marks } from "./passed-on.js";
import { type Followed, followed } from "./steps.js";

/** A file system by the seed. */
export const systemOf = (seed: number): string => (seed % 2 === 0 ? "/" : "/tmp");

// --- Cost ---

export interface Cost {
  readonly run: Followed;
  /** The messages about names of a part of a machine's work (test/c/subtree.c), as "from name to". */
  sent(machine: number, part: string): string[];
}

export async function subtree(
  directory: string,
  machines: number,
  seed: number,
  kernel?: Uint8Array,
): Promise<Cost> {
  const run = await followed(cProgram("subtree").host, [directory], {
    machines,
    seed,
    ...(kernel && { kernel }),
  });
  const { timeline, said, text } = run;
  const at = (line: string) => {
    const found = said.find((each) => each.text === `subtree: ${line}`);
    if (found === undefined) throw new Error(`nobody said "${line}": ${text}`);
    return found.at;
  };
  const sent = (machine: number, part: string) => {
    const [from, to] = [at(`${machine} ${part} begins`), at(`${machine} ${part} ends`)];
    return (
      timeline.messages
        .filter(
          ([sent, , , , , , object]) =>
            sent >= from && sent < to && timeline.objects[object] === `names in ${directory}`,
        )
        // A home's notes to its heir of the pages that it has written itself, as of every file.
        .filter(([, , , , name]) => timeline.names[name] !== "WILL")
        .map(([, , sender, receiver, name]) => `${sender} ${timeline.names[name]} ${receiver}`)
    );
  };
  return { run, sent };
}

// --- Deaths ---

export interface Found {
  /** By machine: files seen of it, and how many names its renamed file has. */
  readonly seen: readonly number[];
  readonly names: readonly number[];
  readonly missing: number;
  readonly odd: number;
  readonly told: number;
}

/** What a machine says in the end (test/c/remembered.c). */
export function found(run: FaultRun, machine: number): Found {
  const of = run
    .said(machine, /^remembered: \d+ of \d+: /)
    .map(({ text }) => text.match(/\d+/g)!.map(Number));
  const [sum] = run
    .said(machine, /^remembered: \d+ made /)
    .map(({ text }) => text.match(/\d+/g)!.map(Number));
  if (sum === undefined) throw new Error(`${run.text()}\nmachine ${machine} has not come to its end`);
  return {
    seen: of.map(([, , seen]) => seen!),
    names: of.map(([, , , names]) => names!),
    missing: sum[2]!,
    odd: sum[3]!,
    told: sum[4]!,
  };
}

export const goesOn = (run: FaultRun, machine: number): boolean =>
  run.said(machine, /goes on: yes$/).length === 1;

export const remembered = (
  seed: number,
  mirror: number,
  happenings: readonly Happening[],
  kernel?: Uint8Array,
): Promise<FaultRun> =>
  withFaults(
    cProgram("remembered").host,
    [systemOf(seed), 150],
    happenings,
    {
      machines: 3,
      seed,
      append: `linkloss=60 blocked=600 leave=1000${mirror > 0 ? ` mirror=${mirror}` : ""}`,
      ...(kernel && { kernel }),
    },
    900,
  );

/** Cut off, it is dead to the others, and waits. */
export const dies = (machine: number, seed: number): Happening => [
  30 + seed * 0.77,
  ({ network }) => network.partition([[1, 2, 3, 4].filter((port) => port !== machine), [machine]]),
];

/** It sends no more from that frame on: the boundary of two of its messages, while all make names. */
export const diesBefore = (machine: number, frame: number): Happening => [
  30,
  ({ network }) => {
    let frames = 0;
    network.tap((from) => {
      if (from !== machine || ++frames !== frame) return;
      network.partition([[1, 2, 3, 4].filter((port) => port !== machine), [machine]]);
    });
  },
];

/**
 * What is wrong with the names that the survivors find (machine 2 or 3 is dead); null: nothing. Mirrored, nothing that others have seen is lost,
 * and what the dead machine was renaming has the old name, the new one, or both; volatile, what is lost is told.
 */
export function wrongNames(run: FaultRun, dead: number, mirrored: boolean): string | null {
  const survivors = [1, 5 - dead];
  const each = survivors.map((machine) => found(run, machine));
  for (const machine of survivors)
    if (!goesOn(run, machine)) return `machine ${machine} makes no names any more`;
  if (!mirrored) {
    const lost = each.some(({ missing, odd, names }) => missing > 0 || odd > 0 || names[dead - 1] === 0);
    return lost && each.every(({ told }) => told === 0) ? "what is lost is told to nobody" : null;
  }
  for (const [i, { names, missing, odd, told }] of each.entries()) {
    const machine = survivors[i]!;
    if (missing + odd + told > 0) return `machine ${machine}: missing ${missing}, odd ${odd}, told ${told}`;
    const of = [1, 2, 3].find((of) => names[of - 1]! < 1 || names[of - 1]! > (of === dead ? 2 : 1));
    if (of !== undefined) return `machine ${machine} finds ${names[of - 1]} names of machine ${of}'s file`;
  }
  return null;
}

export const heals: Happening = [115, ({ network }) => network.partition([])];

export const leaves = (machine: number, at: number): Happening => [
  at,
  ({ nodes }) => nodes[machine - 1]!.machine.pressPowerButton(),
];

/** Files are opened for the first time while machine 3 leaves (test/c/opener.c). */
export const opener = (
  seed: number,
  kernel?: Uint8Array,
  happenings: readonly Happening[] = [],
): Promise<FaultRun> =>
  withFaults(
    cProgram("opener").host,
    [40],
    [...happenings, leaves(3, 25 + ((seed * 0.37) % 16))],
    { machines: 3, seed, append: "linkloss=3000 blocked=60 leave=1000", ...(kernel && { kernel }) },
    150,
  );

/**
 * The same: opens that a machine asks for by a link on which it has said that a view is flushed, and not yet that it has frozen. A former home that
 * has would make another file of that name.
 */
export async function openedBehindMark(seed: number): Promise<readonly string[]> {
  const syslink = new Syslink(new Declarations(kernelPath, readImage("kernel", kernelPath)));
  const marks = new Marks();
  const flushed = new Set<string>();
  const behind: string[] = [];
  const watches: Happening = [
    20,
    ({ network }) =>
      network.tap((from, frame, now) => {
        const link = `${from} to ${frame[0] === 0x52 ? frame[5] : 0}`;
        const said = syslink.decode(frame).filter(({ again }) => !again);
        const is = (phase: "FLUSHED" | "FROZEN") => [2, 3].some((view) => marks.in(frame, phase, view));
        const flushes = is("FLUSHED");
        const later = flushes ? said.slice(said.findIndex(({ name }) => name === "VIEW")) : said;
        if (flushes) flushed.add(link);
        if (flushed.has(link) && later.some(({ name }) => name === "OPEN"))
          behind.push(`${now / 1e6}: ${link}`);
        if (is("FROZEN")) flushed.delete(link);
      }),
  ];
  await opener(seed, undefined, [watches]);
  return behind;
}

/** Both others have opened many, to the end. */
export const openedMany = (run: FaultRun): boolean =>
  [1, 2].every((machine) => run.said(machine, new RegExp(`^opener: ${machine} opened many$`)).length === 1);
