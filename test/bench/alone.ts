// What a cluster costs where nobody is needed, and what comes back without being sent: exact counts from seeded runs.
import { alone, programInstructions } from "../support/alone.js";
import { atMost, OWNED_ADD, REVALIDATED_BYTES, TAX } from "../support/goals.js";
import { revalidated } from "../support/revalidated.js";
import type { Figure } from "./bench.js";

const MACHINES = [2, 4, 8];
const [PROGRAM, SIZE] = ["sieve", 1 << 21] as const;

export async function aloneFigures(): Promise<Figure[]> {
  const figures: Figure[] = [];
  const add = (name: string, value: number, unit: string, note?: string) =>
    figures.push({ section: "coherence", name, value, unit, ...(note === undefined ? {} : { note }) });
  const [solo, program] = [await alone(1), await programInstructions(1, PROGRAM, SIZE)];
  const xadd = "uncontended lock xadd, its page here";
  add(`${xadd}, a machine of its own: guest instructions`, solo.add.shared, "");
  add(`${PROGRAM}, a machine of its own: guest instructions`, program, "");
  for (const machines of MACHINES) {
    const joined = await alone(machines);
    const row = (what: string, figure: string, value: number, unit: string, note?: string) =>
      add(`${what}, ${machines} machines: ${figure}`, value, unit, note);
    row(xadd, "guest instructions", joined.add.shared, "");
    row(xadd, "messages", joined.messages.length, "", atMost(0, "messages"));
    row(xadd, "against a private page", joined.add.shared / joined.add.own, "times", atMost(OWNED_ADD));
    row(xadd, "against no cluster", joined.add.shared / solo.add.shared, "times", atMost(OWNED_ADD));
    const tax = (what: string, value: number) => row(what, "instructions", value, "times", atMost(TAX));
    tax(
      "a shared file's pages from their first touch against private ones",
      joined.touch.shared / joined.touch.own,
    );
    tax("the same against no cluster", joined.touch.shared / solo.touch.shared);
    tax("a shared file's pages that are here against no cluster", joined.again.shared / solo.again.shared);
    tax(
      `${PROGRAM} on memory of its own against no cluster`,
      (await programInstructions(machines, PROGRAM, SIZE)) / program,
    );
  }
  for (const [writer, where] of [
    [1, "first"],
    [2, "second"],
  ] as const) {
    const { revalidated: times, spareBytes } = await revalidated(writer);
    const what = `unchanged page back by its serial number, ${where} machine's`;
    add(`${what}: without its bytes`, times, "of 1");
    add(
      `${what}: bytes, request and answer, as of the way there`,
      spareBytes / 2,
      "",
      atMost(2 * REVALIDATED_BYTES, "bytes"),
    );
  }
  return figures;
}
