// Every message of the page protocol is idempotent under {link, id, epoch}: small clusters over real links in every order of events,
// and in every state whatever has come comes again, in its session and from one that is over (inspect() of joined-links.ts):
// nothing is taken, answered or expected otherwise. Each kind of message has its line in the table that is printed.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Repeats } from "../support/joined-links.js";
import { type JoinedCase, searchJoined } from "../support/joined-search.js";
import { KernelWasm } from "../support/kernel-wasm.js";

const calm = { rejoins: true, trouble: { drop: 0, overtake: 0 }, states: 0 };
/** Together they say everything that there is to say; two deaths, since what is said of the first is said by somebody. */
const clusters: readonly JoinedCase[] = [
  { ...calm, programs: [["x"], ["w"], []], home: 3, kills: 2 },
  { ...calm, programs: [["r"], ["r"], ["w"]], home: 1, kills: 1 },
  { ...calm, programs: [[], ["w"], ["rr"]], home: 1, kills: 1, guesses: true },
  { ...calm, programs: [[], ["ww"], ["ww"]], home: 1, kills: 1, guesses: true },
];

/** Said by who got the page and has lost it again before an old guess of its own arrives: no machine of these dies so soon after that. */
const RARE = "SAY_UNTAKEN";

test("in every state, each kind of message again, and from a session that is over", () => {
  const kernel = new KernelWasm();
  const source = readFileSync("kernel/coherence/records.ts", "utf8");
  const kinds = [...source.matchAll(/^export const (SAY_\w+): u8 = (\d+);/gm)].map(
    ([, name, kind]) => [name!, Number(kind)] as const,
  );
  const all = new Map(
    kinds.map(([, kind]): [number, Repeats] => [kind, { again: 0, over: 0, states: new Set() }]),
  );
  let states = 0;
  for (const cluster of clusters) {
    const { found, world } = searchJoined(kernel, cluster);
    states += found.states;
    for (const [kind, one] of world.links.repeats) {
      const sum = all.get(kind)!;
      sum.again += one.again;
      sum.over += one.over;
      for (const state of one.states) sum.states.add(state);
    }
  }
  const lines = kinds.map(([name, kind]) => {
    const { again, over, states: receivers } = all.get(kind)!;
    return `${name.padEnd(18)} again ${again}, of a session that is over ${over}, to a cache in ${receivers.size} states`;
  });
  console.log(`${states} states\n${lines.join("\n")}`);
  expect(kinds.length).toBe(21);
  for (const [name, kind] of kinds) {
    expect(all.get(kind)!.again, `${name} came again`).toBeGreaterThan(100);
    if (name !== RARE)
      expect(all.get(kind)!.over, `${name} came from a session that was over`).toBeGreaterThan(20);
  }
});
