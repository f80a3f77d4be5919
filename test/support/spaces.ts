// One address space that threads change and use at random (test/c/spaces.c), as on Linux.
import type { SeededOptions } from "../../emulator/cluster.js";
import { expectSame } from "./same-as-linux.js";

interface Row extends Partial<SeededOptions> {
  readonly mode: "turns" | "own";
  readonly signals?: true;
}

export const spaceRows: readonly Row[] = [
  { mode: "turns", machines: 1, cores: 2 },
  { mode: "own", machines: 1, cores: 2, signals: true },
  { mode: "turns", machines: 2, cores: 1, signals: true },
  { mode: "own", machines: 3, cores: 1 },
  {
    mode: "turns",
    machines: 4,
    cores: 1,
    network: { delay: [1, 300], faults: { loss: 0.03, duplicate: 0.03 }, reorder: true },
  },
  { mode: "own", machines: 2, cores: 2, signals: true, stall: 200_000 },
  { mode: "turns", machines: 2, cores: 1, append: "records=100" },
  { mode: "own", machines: 3, cores: 1, mirror: 1 },
  { mode: "turns", machines: 2, cores: 2, append: "bytes=0 ahead=0 guess=0" },
  { mode: "own", machines: 1, cores: 2, storeBuffer: 8 },
];

export async function sameSpace(row: Row, seed: number, kernel?: Uint8Array): Promise<void> {
  const { mode, signals, ...options } = row;
  const all = options.machines! * options.cores!;
  const words = [mode, `${seed}`, "250", "4", `${all}`, ...(signals ? ["signals"] : [])];
  const shape = { spread: options.machines! > 1, ...options, seed, ...(kernel && { kernel, limit: 5e9 }) };
  await expectSame("spaces", words, shape);
}
