// What a run of a cluster tells at its end: one row per machine, as a table for people and as JSON for scripts.

import type { ConsoleReader, GuestStats } from "./console.js";

export interface MachineReport {
  readonly name: string;
  /** Guest instructions retired by all cores. */
  readonly instructions: number;
  /** Init's exit status; null when the machine ended otherwise. */
  readonly exit: number | null;
  /** Why the machine ended, in words; empty when its kernel powered it off. */
  readonly problem: string;
  /** The guest kernel's own figures; null when it printed none. */
  readonly stats: GuestStats | null;
}

export interface ClusterReport {
  readonly program: string;
  readonly mode: "live" | "seeded";
  readonly machines: readonly MachineReport[];
  readonly cores: number;
  /** Seeded mode only. */
  readonly seed?: number;
  readonly virtualNanoseconds?: number;
  readonly frames?: number;
  readonly frameBytes?: number;
  /** SHA-256 over every machine's RAM, in order. */
  readonly memoryHash?: string;
  /** Live mode only. */
  readonly milliseconds?: number;
  /** The program's own last line on machine 1. */
  readonly result: string;
  readonly ok: boolean;
}

export function machineReport(
  name: string,
  instructions: number,
  console: ConsoleReader,
  problem: string,
): MachineReport {
  const said = console.panic === null ? problem : `panic: ${console.panic}`;
  return { name, instructions, exit: console.exit, problem: said, stats: console.stats };
}

export const succeeded = (machines: readonly MachineReport[]): boolean =>
  machines.length > 0 && machines.every((m) => m.exit === 0 && m.problem === "");

const COLUMNS: readonly [heading: string, value: (m: MachineReport) => number | undefined][] = [
  ["instructions", (m) => m.instructions],
  ["coherence faults", (m) => m.stats?.["pageFaultsCoherence"]],
  ["pages received", (m) => m.stats?.["pagesReceived"]],
  ["pages sent", (m) => m.stats?.["pagesSent"]],
  ["messages", (m) => sum(m.stats?.["messagesSent"], m.stats?.["messagesReceived"])],
  ["bytes", (m) => sum(m.stats?.["bytesSent"], m.stats?.["bytesReceived"])],
];

const sum = (a: number | undefined, b: number | undefined) =>
  a === undefined || b === undefined ? undefined : a + b;

/** Messages and bytes are those that the machine sent and received, added up. */
export function table(report: ClusterReport): string {
  const rows = [
    ["machine", ...COLUMNS.map(([heading]) => heading), "exit"],
    ...report.machines.map((m) => [
      m.name,
      ...COLUMNS.map(([, value]) => value(m)?.toLocaleString("en-US") ?? "-"),
      m.problem === "" ? String(m.exit ?? "-") : m.problem,
    ]),
  ];
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const last = widths.length - 1;
  return rows
    .map((row) =>
      row.map((cell, i) => (i === 0 || i === last ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))),
    )
    .map((cells) => cells.join("  ").trimEnd())
    .join("\n");
}
