// Runs of whole clusters whose machines are asked for what they have of pages under one number (numbered-bytes.ts).
import type { SeededOptions } from "../../emulator/cluster.js";
import { repeat, seeded } from "./cluster.js";
import { cProgram } from "./guest.js";
import { homeOf } from "./homes.js";
import { NumberedBytes } from "./numbered-bytes.js";

/** Fewer comparisons than that show nothing. */
const COMPARED_LEAST = 15;

export interface NumberedRun {
  readonly program: () => string;
  readonly args: readonly (string | number)[];
  readonly machines: number;
  readonly append: string;
}

const scanHome = homeOf("scan", [1, 2, 3]);
const three = { machines: 3, append: "bytes=0" };

export const numberedRuns: readonly NumberedRun[] = [
  { ...three, program: () => "scan", args: ["share", 48, scanHome] },
  {
    ...three,
    program: () => "scan",
    args: ["again", 48, (scanHome % 3) + 1],
    append: "bytes=0 records=64",
  },
  { ...three, program: () => "counter", args: [3000], append: "bytes=0 ship=0" },
  { ...three, program: () => "counter", args: [240], append: "bytes=0 mirror=1" },
  { ...three, program: () => "contend", args: ["lock", 1500], append: "bytes=0 ship=0" },
  // Pages are lent.
  { ...three, program: () => "contend", args: ["apart", 4000, 3000], append: "" },
];

/** More written pages are unmapped than can be noted (test/c/noted.c). */
export const unmappedRuns: readonly NumberedRun[] = [
  [2, "bytes=0"],
  [3, "bytes=0 records=1"],
  [3, "bytes=0 mirror=1"],
].map(([machines, append]) => ({
  ...{ program: () => cProgram("noted").host, args: [2] },
  ...{ machines: machines as number, append: append as string },
}));

/** What is wrong with it; nothing: undefined. */
export async function wrongOfNumbered(
  { program, args, machines, append }: NumberedRun,
  kernel?: Uint8Array,
): Promise<string | undefined> {
  const numbered = new NumberedBytes(kernel);
  const options: Partial<SeededOptions> = {
    ...{ machines, append, cores: 1, limit: 5e9 },
    onCluster: (cluster) => numbered.watch(cluster),
  };
  const run = await seeded(program(), args, { ...options, ...(kernel && { kernel }) });
  if (numbered.wrong !== "") return `${repeat(run, args)}\n${numbered.wrong}`;
  if (!run.report.ok) return repeat(run, args);
  const { compared } = numbered;
  return compared < COMPARED_LEAST ? `${repeat(run, args)}\nno more than ${compared} compared` : undefined;
}
