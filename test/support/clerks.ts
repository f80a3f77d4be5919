// Files and names that clerks of several machines use at random (test/c/clerks.c), as on Linux.
import type { SeededOptions } from "../../emulator/cluster.js";
import { type Program, program } from "../../emulator/images.js";
import { cProgram } from "./guest.js";
import { expectSame } from "./same-as-linux.js";

/** What the archive has below /clerks; put_archive() makes the same on Linux. */
export function withArchive(): Program {
  const files = ["a", "b", "box/a", "box/deep/c", "deep/b"].map((path, i) => ({
    path: `/clerks/${path}`,
    data: Uint8Array.from({ length: i * 2200 }, (_, k) => k * 3 + Math.floor(k / 256) + i),
    mode: 0o644,
  }));
  return { ...program(cProgram("clerks").host), files };
}

interface Row extends Partial<SeededOptions> {
  readonly mode: "turns" | "own";
  readonly threads: number;
}

export const clerkRows: readonly Row[] = [
  { mode: "turns", machines: 1, cores: 2, threads: 2 },
  { mode: "turns", machines: 3, cores: 1, threads: 1 },
  { mode: "own", machines: 3, cores: 1, threads: 1 },
  { mode: "own", machines: 2, cores: 2, threads: 2 },
  { mode: "turns", machines: 2, cores: 2, threads: 2, mirror: 1 },
  {
    mode: "turns",
    machines: 4,
    cores: 1,
    threads: 1,
    network: { delay: [1, 300], faults: { loss: 0.03, duplicate: 0.03 }, reorder: true },
  },
  { mode: "turns", machines: 3, cores: 1, threads: 4, spread: true },
  { mode: "own", machines: 2, cores: 2, threads: 4, spread: true, stall: 200_000 },
  { mode: "turns", machines: 2, cores: 1, threads: 1, append: "records=100" },
  { mode: "own", machines: 1, cores: 2, threads: 2, storeBuffer: 8 },
];

export async function sameClerks(row: Row, seed: number): Promise<void> {
  const { mode, threads, ...options } = row;
  const steps = mode === "own" ? 250 : 500;
  const processes = options.spread === true ? 1 : options.machines!;
  const cores = options.spread === true ? options.machines! * options.cores! : 1;
  const words = [mode, seed, steps, processes, threads, cores].map(String);
  await expectSame("clerks", words, { ...options, seed, program: withArchive() });
}
