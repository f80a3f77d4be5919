// The page protocol's table itself: complete, unambiguous, and the one that ARCHITECTURE.md and the TLA+ model show. To
// print it there again after a change: UPDATE_TABLE=1 npx vitest run --project quick test/kernel/coherence-table.test.ts
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import {
  events,
  illegalPairs,
  isDirectory,
  isOfDirectory,
  printed,
  rows,
  states,
} from "../support/page-table.js";
import { MODEL, rowsModule } from "../support/tlc.js";

const kernel = new KernelWasm();
const BEGIN = "<!-- kernel/coherence/table.ts, printed by test/kernel/coherence-table.test.ts -->\n";
const END = "\n<!-- end of the table -->";

test("the compiled rows are the written rows", () => {
  const end = kernel.constant("END");
  const compiled: string[] = [];
  for (let at = kernel.constant("ROWS"); kernel.bytes[at] !== end; at += kernel.constant("ROW_BYTES"))
    compiled.push(
      `${states[kernel.bytes[at]!]} ${events[kernel.bytes[at + 1]!]} ${states[kernel.bytes[at + 2]!]}`,
    );
  expect(compiled).toEqual(rows.map(({ state, event, next }) => `${state} ${event} ${next}`));
  expect(states.length).toBe(kernel.constant("STATES"));
  expect(events.length).toBe(kernel.constant("EVENTS"));
});

test("every state and event is in one row, or in the list of illegal pairs, and in one of the two alone", () => {
  const pairs = rows.map(({ state, event }) => `${state} ${event}`);
  const listed = illegalPairs.map(([pair]) => pair);
  const wanted = events.flatMap((event) =>
    states.filter((state) => isDirectory(state) === isOfDirectory(event)).map((state) => `${state} ${event}`),
  );
  expect([...pairs, ...listed].sort()).toEqual(wanted.sort());
  for (const [pair, because] of illegalPairs) expect(because.length, pair).toBeGreaterThan(10);
});

test("no row leads from a cache into a directory, and every state can be entered", () => {
  for (const { state, next } of rows) expect(isDirectory(next)).toBe(isDirectory(state));
  for (const state of states)
    if (state !== "INVALID" && state !== "UNUSED")
      expect(
        rows.some((row) => row.next === state && row.state !== state),
        state,
      ).toBe(true);
});

test("ARCHITECTURE.md shows the table", () => {
  const text = readFileSync("ARCHITECTURE.md", "utf8");
  const from = text.indexOf(BEGIN);
  const to = text.indexOf(END, from);
  expect(from, "ARCHITECTURE.md has the table's marks").toBeGreaterThan(0);
  const table = printed();
  if (process.env["UPDATE_TABLE"])
    writeFileSync("ARCHITECTURE.md", text.slice(0, from + BEGIN.length) + table + text.slice(to));
  // However a formatter may have padded it.
  const plain = (markdown: string) =>
    markdown
      .split("\n")
      .map((line) => line.replace(/ +/g, " ").trim())
      .filter((line) => line !== "" && !/^[-| ]+$/.test(line));
  if (!process.env["UPDATE_TABLE"]) expect(plain(text.slice(from + BEGIN.length, to))).toEqual(plain(table));
});

test("the TLA+ model has the table", () => {
  const file = `${MODEL}/Rows.tla`;
  if (process.env["UPDATE_TABLE"]) writeFileSync(file, rowsModule());
  else expect(readFileSync(file, "utf8")).toBe(rowsModule());
});
