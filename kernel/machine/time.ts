// Time: the TSC, calibrated at boot.

/** The wall clock at boot, in seconds since 1970: 2026-01-01 00:00:00 UTC. Constant, so that runs repeat. */
export const WALL_CLOCK_EPOCH: u64 = 1_767_225_600;

/** Since boot. */
export function nanoseconds(): u64 {
  return 0;
}
/** Busy wait; for devices at boot only. */
export function delay(nanoseconds: u64): void {}
