// Files that machines change by turns at random (test/c/turns.c), as on Linux, where the machines are processes.
import type { SeededOptions } from "../../emulator/cluster.js";
import { expectSame } from "./same-as-linux.js";

interface Row extends Partial<SeededOptions> {
  readonly in: string;
  readonly unmapped?: true;
}

export const turnRows: readonly Row[] = [
  { in: "/tmp", machines: 1 },
  { in: "shm", machines: 2 },
  { in: "/tmp", machines: 3 },
  {
    in: "/tmp",
    machines: 4,
    network: { delay: [1, 300], faults: { loss: 0.03, duplicate: 0.03 }, reorder: true },
  },
  // A mapping of an archive's file stays as it was when somebody writes to the file.
  { in: "/", machines: 3, unmapped: true },
  { in: "/tmp", machines: 3, append: "records=1" },
  { in: "shm", machines: 3, append: "mirror=1" },
  { in: "/tmp", machines: 2, append: "bytes=0 ahead=0 guess=0" },
];

export async function sameTurns(row: Row, seed: number, kernel?: Uint8Array): Promise<void> {
  const { in: directory, unmapped, ...options } = row;
  const words = [directory, `${seed}`, "400", ...(unmapped ? ["unmapped"] : [])];
  await expectSame("turns", words, { cores: 1, ...options, seed, ...(kernel && { kernel }) });
}
