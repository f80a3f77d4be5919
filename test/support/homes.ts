/** The machine that is the home of a name, by the same rendezvous hashing as kernel/coherence/homes.ts, in 32 bits. */
export function homeOf(name: string, members: readonly number[]): number {
  let hash = 0x811c9dc5;
  for (const char of name) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193) >>> 0;
  const weight = (machine: number) => {
    let mixed = Math.imul(hash ^ Math.imul(machine, 0x9e3779b1), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  };
  return members.reduce((best, machine) => (weight(machine) >= weight(best) ? machine : best));
}

/** A file name whose home is that machine, of a cluster of so many. */
export function fileAt(home: number, machines: number): string {
  const members = Array.from({ length: machines }, (_, i) => i + 1);
  for (let i = 0; i < 1000; i++) if (homeOf(`s${i}`, members) === home) return `s${i}`;
  throw new Error(`no file name has its home on machine ${home} of ${machines}`);
}
