// Cases before the reference machines: what ours does must be what one of the two does at least, since each has faults of its own.

import type { Kind } from "./cases/index.js";
import { differences, type Outcome, outcomes, show } from "./compare.js";
import type { Mode } from "./layout.js";
import { inBochs, inQemu, ours, SECONDS_ENDLESS } from "./machines.js";
import { type Case, codeOf, rom } from "./rom.js";

type Machine = (rom: Uint8Array, seconds?: number) => Uint8Array | Promise<Uint8Array>;
const NOTHING: Outcome = { events: [], digest: undefined, double: false };
/** How often a machine is started for the cases behind one that did not end. */
const RUNS = 8;
/** Of the cases that do not end on ours, so many are shown to the others, one by one. */
const ENDLESS_SHOWN = 2;

/** A machine that shuts down tells nothing of the cases behind: it goes on with those. */
async function tried(mode: Mode, cases: readonly Case[], machine: Machine, runs = RUNS): Promise<Outcome[]> {
  const done: Outcome[] = [];
  for (let run = 0; done.length < cases.length && run < runs; run++) {
    const some = outcomes(mode, await machine(rom(mode, cases.slice(done.length))));
    done.push(...(some.length === 0 ? [NOTHING] : some));
  }
  return done;
}

/** A reference's outcomes: of what ends on ours all at once, of the rest a few. */
async function reference(
  mode: Mode,
  cases: readonly Case[],
  mine: readonly Outcome[],
  machine: Machine,
): Promise<(Outcome | undefined)[]> {
  const ends = (_: Case, i: number) => mine[i]?.digest !== undefined;
  const together = await tried(mode, cases.filter(ends), machine);
  const all: (Outcome | undefined)[] = [];
  let endless = 0;
  for (const [i, c] of cases.entries())
    if (ends(c, i)) all.push(together.shift());
    else
      all.push(
        endless++ < ENDLESS_SHOWN
          ? (await tried(mode, [c], (image) => machine(image, SECONDS_ENDLESS), 1))[0]
          : undefined,
      );
  return all;
}

const told = (c: Case): string =>
  `${c.name} ring ${c.ring ?? 0}, ${c.bits} bits: ${Buffer.from(codeOf(c)).toString("hex")} ${JSON.stringify(c.registers ?? {})} ${JSON.stringify(c.words ?? [])}`;

export interface Verdict {
  /** How many cases all three ended. */
  readonly judged: number;
  /** Those in which ours stands alone, with everything that reproduces them. */
  readonly alone: readonly string[];
}

export async function judge(
  { mode, model }: Pick<Kind, "mode" | "model">,
  cases: readonly Case[],
): Promise<Verdict> {
  const mine = await tried(mode, cases, ours, cases.length);
  const references = [
    await reference(mode, cases, mine, inQemu),
    await reference(mode, cases, mine, (image, seconds) => inBochs(image, model, seconds)),
  ];
  const alone: string[] = [];
  let judged = 0;
  cases.forEach((c, i) => {
    const answers = references.map((r) => r[i]);
    if (answers.some((a) => a?.digest === undefined)) return;
    judged++;
    const found = answers.map((a) => differences(mine[i], a));
    if (found.some((d) => d.length === 0)) return;
    alone.push(
      `${i}: ${told(c)}\n  ours: ${mine[i] ? show(mine[i]) : "nothing"}\n  QEMU: ${found[0]!.join("; ")}\n  Bochs: ${found[1]!.join("; ")}`,
    );
  });
  return { judged, alone };
}
