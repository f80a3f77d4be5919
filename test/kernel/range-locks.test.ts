// Range locks: every order of events for small programs of two and three machines, with messages that come twice, machines that
// die and homes that move.
import { describe, expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import { type LockProgram, LockWorld, type Wish } from "../support/lock-world.js";
import { explore } from "../support/search.js";

const wish = (
  machine: number,
  first: number,
  last: number,
  mode: "shared" | "exclusive",
  more: Partial<Wish> = {},
): Wish => ({
  machine,
  ranges: [[first, last, mode]],
  ...more,
});

const three = [wish(1, 0, 9, "exclusive"), wish(2, 5, 14, "exclusive"), wish(3, 8, 20, "shared")];
const both: Wish = {
  machine: 1,
  ranges: [
    [0, 3, "exclusive"],
    [8, 11, "exclusive"],
  ],
};
const programs: Record<string, LockProgram & { kills?: number }> = {
  "two writers and a reader": { machines: 3, fifo: true, wishes: three, repeats: 1 },
  "the same as fcntl": { machines: 3, fifo: false, wishes: three, repeats: 1 },
  "a machine dies": { machines: 3, fifo: true, wishes: three, kills: 1 },
  "a machine dies, as fcntl": { machines: 3, fifo: false, wishes: three, kills: 1 },
  "the home moves": { machines: 3, fifo: true, wishes: three, moves: 1 },
  "threads give up": { machines: 3, fifo: false, wishes: three, cancels: true },
  "two threads of a machine against one": {
    machines: 2,
    fifo: true,
    wishes: [
      wish(2, 0, 9, "exclusive"),
      wish(2, 5, 14, "exclusive"),
      wish(1, 5, 20, "exclusive"),
      wish(2, 0, 4, "shared", { after: 0 }),
    ],
    repeats: 1,
  },
  "readers, and a writer among them": {
    machines: 3,
    fifo: true,
    wishes: [
      wish(2, 0, 9, "shared"),
      wish(3, 0, 9, "shared"),
      wish(2, 0, 9, "exclusive", { after: 0 }),
      wish(3, 4, 6, "shared", { after: 1 }),
    ],
  },
  "several ranges at once, in both orders": {
    machines: 3,
    fifo: false,
    wishes: [both, { ...both, machine: 2, ranges: [...both.ranges].reverse() }, wish(3, 3, 8, "exclusive")],
    repeats: 1,
  },
  "several ranges, one death": {
    machines: 3,
    fifo: true,
    wishes: [both, { ...both, machine: 2, ranges: [...both.ranges].reverse() }, wish(3, 3, 8, "exclusive")],
    kills: 1,
  },
  "some do not wait": {
    machines: 3,
    fifo: false,
    wishes: [
      wish(1, 0, 9, "exclusive"),
      wish(2, 5, 14, "exclusive", { try: true }),
      wish(3, 8, 20, "shared", { try: true }),
    ],
    repeats: 1,
    kills: 1,
  },
  "one does not wait, the others do": {
    machines: 3,
    fifo: false,
    wishes: [
      wish(2, 0, 9, "exclusive"),
      wish(3, 5, 14, "exclusive"),
      wish(2, 8, 20, "shared", { try: true, after: 0 }),
      wish(3, 0, 30, "exclusive", { after: 1 }),
    ],
  },
};

describe("every order of events", { timeout: 120_000 }, () => {
  for (const [name, program] of Object.entries(programs))
    test(name, () => {
      const t = performance.now();
      const { states, ends } = explore(new LockWorld(new KernelWasm(), program), program.kills);
      console.log(name, states, ends, performance.now() - t);
      expect(ends).toBeGreaterThan(0);
    });
});
