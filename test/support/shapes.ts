// The table of litmus tests (kernel/user/liblitmus.ts), read, and what the model allows of them.
import { SHAPES } from "../../kernel/user/liblitmus.js";
import { allowed, type Fence, fenced, fences, type Model, parseShape } from "./tso.js";

export interface Row {
  readonly name: string;
  readonly text: string;
  /** As the table has them. */
  readonly allowed: readonly string[];
  readonly allowedFenced: readonly string[];
}

export const shapes: readonly Row[] = SHAPES.trim()
  .split("\n")
  .map((line) => {
    const [test = "", fencedOutcomes = ""] = line.split(" ! ");
    const [name = "", text = "", ...outcomes] = test.split(" ");
    return { name, text, allowed: outcomes, allowedFenced: fencedOutcomes.split(" ") };
  });

/** The steps of a test by its name, which may end with a fence. */
export function textOf(name: string): string {
  const row = shapes.find((r) => r.name === name);
  if (row !== undefined) return row.text;
  const at = name.lastIndexOf("+");
  const fence = name.slice(at + 1);
  if (at > 0 && (fences as readonly string[]).includes(fence))
    return fenced(textOf(name.slice(0, at)), fence as Fence);
  return name; // a test itself
}

const known = new Map<string, ReadonlySet<string>>();
/** What x86-TSO allows of a test, by its name or itself. */
export function allowedBy(name: string, model: Model = {}): ReadonlySet<string> {
  const key = `${name} ${model.entries} ${model.split === undefined ? "" : "split"}`;
  let outcomes = known.get(key);
  if (outcomes === undefined) {
    outcomes = allowed(parseShape(textOf(name)), model);
    known.set(key, outcomes);
  }
  return outcomes;
}
