// The rows of kernel/coherence/table.ts as text, for people: what the documentation shows and what failures name.
import { readFileSync } from "node:fs";
import { illegal } from "./illegal-pairs.js";
import type { KernelWasm } from "./kernel-wasm.js";

export interface Row {
  state: string;
  event: string;
  next: string;
  actions: string[];
}

const source = readFileSync("kernel/coherence/table.ts", "utf8");

function numbered(section: string): string[] {
  const from = source.indexOf(section);
  const names: string[] = [];
  for (const [, name, value] of source.slice(from).matchAll(/export const ([A-Z_]+): u8 = (\d+);/g)) {
    if (Number(value) !== names.length) break;
    names.push(name!);
  }
  return names;
}

export const states = numbered("// --- Cache states ---");
export const events = numbered("// --- Events of a cache ---");

export const rows: Row[] = [...source.matchAll(/^ {2}([A-Z_]+), +([A-Z_]+), +([A-Z_]+), +(.*) 0,$/gm)].map(
  ([, state, event, next, actions]) => ({
    state: state!,
    event: event!,
    next: next!,
    actions: actions!.split(/, */).filter((action) => action !== "NONE" && action !== ""),
  }),
);

export const isDirectory = (state: string) => states.indexOf(state) >= states.indexOf("UNUSED");

/** Address of a row in the compiled table. */
export function rowAddress(kernel: KernelWasm, state: string, event: string): number {
  const end = kernel.constant("END");
  for (let at = kernel.constant("ROWS"); kernel.bytes[at] !== end; at += kernel.constant("ROW_BYTES"))
    if (kernel.bytes[at] === states.indexOf(state) && kernel.bytes[at + 1] === events.indexOf(event))
      return at;
  throw new Error(`the page protocol has no row ${state} ${event}`);
}

/** An event is for caches or for directories, as its rows are: not for the others. */
export const isOfDirectory = (event: string) =>
  rows.some((row) => row.event === event && isDirectory(row.state));

/** Illegal pairs, "state event", with the reason of each; one that is listed twice has two. */
export const illegalPairs: readonly (readonly [pair: string, because: string])[] = illegal.flatMap((entry) =>
  entry.events
    .split(" ")
    .flatMap((event) =>
      entry.states.split(" ").map((state) => [`${state} ${event}`, entry.because] as const),
    ),
);

/** The table as Markdown: one line per state. */
export function printed(): string {
  const lines = ["| state | event: next state (actions) |", "|---|---|"];
  for (const state of states) {
    const cells = rows
      .filter((row) => row.state === state)
      .map(({ event, next, actions }) => {
        const to = next === state ? "stays" : `**${next}**`;
        return `${event}: ${to}${actions.length > 0 ? ` (${actions.join(", ")})` : ""}`;
      });
    lines.push(`| ${state} | ${cells.join("; ")} |`);
  }
  lines.push("", "| event | cannot happen in | because |", "|---|---|---|");
  for (const event of events)
    for (const entry of illegal)
      if (entry.events.split(" ").includes(event))
        lines.push(`| ${event} | ${entry.states.split(" ").join(", ")} | ${entry.because} |`);
  return lines.join("\n");
}
