// Cases before the reference machines: what ours does must be what one of the two does at least, since each has faults of its own.

import { differences, type Outcome, outcomes, show } from "./compare.js";
import { inBochs, inQemu, ours } from "./machines.js";
import type { Mode } from "./layout.js";
import { type Case, codeOf, rom } from "./rom.js";

const RUNS = 6;

/** A machine that shuts down tells nothing of the cases behind: it goes on with those. */
async function tried(
  mode: Mode,
  cases: readonly Case[],
  machine: (rom: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): Promise<Outcome[]> {
  const done: Outcome[] = [];
  for (let runs = 0; done.length < cases.length && runs < RUNS; runs++) {
    const some = outcomes(mode, await machine(rom(mode, cases.slice(done.length))));
    done.push(...(some.length === 0 ? [{ events: [], digest: undefined, double: false }] : some));
  }
  return done;
}

const told = (c: Case): string =>
  `${c.name} ring ${c.ring ?? 0}, ${c.bits} bits: ${Buffer.from(codeOf(c)).toString("hex")} ${JSON.stringify(c.registers ?? {})} ${JSON.stringify(c.words ?? [])}`;

export interface Verdict {
  /** How many cases all three ended. */
  readonly judged: number;
  /** Those in which ours stands alone, with everything that reproduces them. */
  readonly alone: readonly string[];
}

export async function judge(mode: Mode, cases: readonly Case[]): Promise<Verdict> {
  const mine = await tried(mode, cases, ours);
  const references = [await tried(mode, cases, inQemu), await tried(mode, cases, inBochs)];
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
