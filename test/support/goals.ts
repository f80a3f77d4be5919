// What coherence is to cost, in R: the median round trip of a 64-byte frame between the same machines over the same bridge.
// ARCHITECTURE.md has them with their bounds. Tests ask them of the seeded wire; `npm run bench` prints them beside its figures,
// seeded and live.

/** R of one operation: a read or write miss, its owner idle or busy; the right to write a copy; a page that a third machine has written. */
export const GOALS = { miss: 2, "miss-busy": 3, upgrade: 1.5, third: 2.2, "third-busy": 3 } as const;
/** The time of seven invalidations against that of one. */
export const SHARERS = 1.3;
/** R from the release of a lock to the next holder. */
export const HANDOVER = 1.2;
/** LOCK XADD of so many machines on one word: operations in R, all machines together. */
export const addsOf = (machines: number): number => (machines === 2 ? 1.6 : 0.7 * machines);
/** LOCK XADD on a page that is here, against one on a private page. */
export const OWNED_ADD = 1.05;
/** A program that needs nobody, in a cluster against on a machine of its own. */
export const TAX = 1.03;
/** A page that is unchanged: its request and its answer, each. */
export const REVALIDATED_BYTES = 128;

export const goal = (rounds: number): string => `goal ${rounds} R`;
export const atMost = (value: number, unit = "times"): string => `goal ${value} ${unit}`;
