// The host's time, for live machines, for time stamps, and for how often a command looks at its sockets. Nothing that a seeded
// machine does comes of it.

/** Microseconds since 1970. */
export const hostMicroseconds = (): number => (performance.timeOrigin + performance.now()) * 1000;

/** Nanoseconds since `epochMilliseconds` (of performance.timeOrigin's scale), the same on every thread. */
export function hostNanosecondsSince(epochMilliseconds: number): () => number {
  const offset = performance.timeOrigin - epochMilliseconds;
  return () => Math.floor((performance.now() + offset) * 1e6);
}

export const hostEpoch = (): number => performance.timeOrigin + performance.now();

/** The same for all processes of the host, whatever happens to its calendar. */
export const hostMonotonicMilliseconds = (): number => Number(process.hrtime.bigint()) / 1e6;
