// The rows of kernel/coherence/table.ts as text, for people: what the documentation shows and what failures name.
import { readFileSync } from "node:fs";
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

/** The table as Markdown: one line per state. */
export function printed(kernel: KernelWasm): string {
  const reason = kernel.call("illegalReason");
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
  events.forEach((event, number) => {
    const having = new Set(rows.filter((row) => row.event === event).map((row) => row.state));
    // A directory event in a cache state, or the other way round, needs no words.
    const kind = rows.some((row) => row.event === event && isDirectory(row.state));
    const missing = states.filter((state) => isDirectory(state) === kind && !having.has(state));
    if (missing.length > 0)
      lines.push(`| ${event} | ${missing.join(", ")} | ${kernel.text(reason(number))} |`);
  });
  return lines.join("\n");
}
