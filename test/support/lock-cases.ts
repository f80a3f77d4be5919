// Small programs for searches of range locks (lock-world.ts), with the number of states that each has.
import type { LockProgram, Wish } from "./lock-world.js";

type Mode = "shared" | "exclusive";
const wish = (machine: number, first: number, last: number, mode: Mode, more: Partial<Wish> = {}): Wish => ({
  machine,
  ranges: [[first, last, mode]],
  ...more,
});
const three = [wish(1, 0, 9, "exclusive"), wish(2, 5, 14, "exclusive"), wish(3, 9, 20, "shared")];
const both: Wish = {
  machine: 1,
  ranges: [
    [0, 3, "exclusive"],
    [8, 11, "exclusive"],
  ],
};
const sets = [both, { ...both, machine: 2, ranges: [...both.ranges].reverse() }, wish(3, 3, 8, "exclusive")];

/** A process a machine: each has a lock of its own and then wants the next one's. */
const ring = (machines: number): Wish[] =>
  Array.from({ length: machines }, (_, i) => [
    wish(i + 1, i * 10, i * 10 + 5, "exclusive", { process: i }),
    wish(i + 1, ((i + 1) % machines) * 10, ((i + 1) % machines) * 10 + 5, "exclusive", {
      process: i,
      behind: 2 * i,
    }),
  ]).flat();
/** Both read, and each wants to write. */
const upgrades: Wish[] = [1, 2].flatMap((machine, i) => [
  wish(machine, 0, 9, "shared", { process: i }),
  wish(machine, 5, 9, "exclusive", { process: i, behind: 2 * i }),
]);

export interface LockCase extends LockProgram {
  readonly kills?: number;
  readonly states: number;
}
export const lockCases: Record<string, LockCase> = {
  "two writers and a reader": { machines: 3, fifo: true, wishes: three, repeats: 1, states: 1378 },
  "the same as fcntl": { machines: 3, fifo: false, wishes: three, repeats: 1, states: 2220 },
  "a machine dies": { machines: 3, fifo: true, wishes: three, kills: 1, states: 1622 },
  "a machine dies, as fcntl": { machines: 3, fifo: false, wishes: three, kills: 1, states: 2004 },
  "the home moves": { machines: 3, fifo: true, wishes: three, moves: 1, states: 3076 },
  "R6: the home moves, several ranges": { machines: 3, fifo: false, wishes: sets, moves: 1, states: 3861 },
  "threads give up": { machines: 3, fifo: false, wishes: three, cancels: true, states: 2005 },
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
    states: 938,
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
    repeats: 1,
    states: 1316,
  },
  "R6: several ranges at once, in both orders": {
    machines: 3,
    fifo: false,
    wishes: sets,
    repeats: 1,
    states: 2148,
  },
  "R6: several ranges, one death": { machines: 3, fifo: true, wishes: sets, kills: 1, states: 1426 },
  "R6: several ranges, one of them taken meanwhile": {
    machines: 3,
    fifo: false,
    wishes: [both, wish(3, 8, 11, "exclusive"), { ...both, after: 0 }],
    states: 37,
  },
  "some do not wait": {
    machines: 3,
    fifo: false,
    wishes: [
      wish(1, 0, 9, "exclusive"),
      wish(2, 5, 14, "exclusive", { try: true }),
      wish(3, 8, 20, "shared", { try: true }),
    ],
    kills: 1,
    states: 2702,
  },
  "again and again": {
    machines: 2,
    fifo: false,
    wishes: [
      wish(2, 0, 9, "exclusive"),
      wish(1, 5, 14, "exclusive"),
      wish(2, 8, 20, "shared", { after: 0 }),
      wish(1, 0, 30, "exclusive", { after: 1 }),
      wish(2, 0, 9, "exclusive", { after: 2 }),
    ],
    repeats: 1,
    states: 2120,
  },
  "two processes in a circle": { machines: 2, fifo: false, wishes: ring(2), repeats: 1, states: 678 },
  "two in a circle, the home moves": { machines: 2, fifo: false, wishes: ring(2), moves: 1, states: 907 },
  "readers who both want to write": {
    machines: 3,
    fifo: false,
    wishes: upgrades.map((w) => ({ ...w, machine: w.machine + 1 })),
    states: 238,
  },
  "three in a circle": { machines: 3, fifo: false, wishes: ring(3), states: 12822 },
  "two in a circle, one dies": {
    machines: 3,
    fifo: false,
    wishes: ring(2).map((w) => ({ ...w, machine: w.machine + 1 })),
    kills: 1,
    states: 3653,
  },
  "one waits for the circle": {
    machines: 3,
    fifo: false,
    wishes: [...ring(2), wish(3, 0, 20, "shared", { process: 2 })],
    states: 3174,
  },
};
