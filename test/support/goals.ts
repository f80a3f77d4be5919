// What coherence is to cost, in R: the median round trip of a 64-byte frame between the same machines over the same bridge.
// Tests ask it of the seeded wire; `npm run bench` prints it beside its figures, seeded and live.

/** R of one operation: a read miss, its owner idle or busy; the right to write a copy; a page that a third machine has written. */
export const GOALS: Record<"read" | "read-busy" | "upgrade" | "upgrade-busy" | "third", number> = {
  read: 2,
  "read-busy": 3,
  upgrade: 1.5,
  "upgrade-busy": 1.5,
  third: 2.2,
};
/** R from the release of a lock to the next holder. */
export const HANDOVER = 1.2;
/** LOCK XADD of so many machines on one word: operations in R, all machines together. */
export const addsOf = (machines: number): number => (machines === 2 ? 1.6 : 0.7 * machines);

export const goal = (rounds: number): string => `goal ${rounds} R`;
