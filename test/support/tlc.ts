// The page protocol as TLA+: Rows.tla is printed from kernel/coherence/table.ts, test/model/Coherence.tla gives the
// actions their meaning, Move.tla moves homes, and TLC, where it is found, searches them. TLC is one file, tla2tools.jar, run by any JDK from 11:
// the environment's TLA2TOOLS says where it is (a Java class path).
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Step } from "./coherence.js";
import { type Case, caseWorld } from "./coherence-cases.js";
import { instructions } from "./coherence-state.js";
import { KernelWasm } from "./kernel-wasm.js";
import { rows, states } from "./page-table.js";

export const MODEL = "test/model";
const INVARIANTS = ["Legal", "OneWriter", "Same", "Newest"];
/** Where homes stay where they are; where they move. */
const STAYING = ["NobodyWaits", "Agreement"];
const MOVING = ["NobodyWaitsForHomes", "NothingIsLost", "AgreementWithHomes"];

/** Of the pages. */
const NAMES = "abcdefgh";

export const tla2tools = process.env["TLA2TOOLS"] ?? "";
/** Why TLC cannot be run; empty if it can. */
export const noTlc = tla2tools === "" ? "TLA2TOOLS names no tla2tools.jar" : "";

/** The table as a TLA+ module: state, event, then next state and actions. */
export function rowsModule(): string {
  const lines = states.map((state) => {
    const cells = rows
      .filter((row) => row.state === state)
      .map(
        ({ event, next, actions }) =>
          `    ${event} |-> [next |-> "${next}", actions |-> <<${actions.map((action) => `"${action}"`).join(", ")}>>]`,
      );
    return `  ${state} |-> [\n${cells.join(",\n")}]`;
  });
  const head = "-------------------------------- MODULE Rows --------------------------------";
  const note = "\\* Printed from kernel/coherence/table.ts by test/kernel/coherence-table.test.ts.";
  return `${head}\n${note}\nRows == [\n${lines.join(",\n")}]\n${"=".repeat(head.length)}\n`;
}

/** The world `v` when that has happened, by the model's own actions. */
function afterStep(v: string, step: Step, moves: boolean): string {
  switch (step.do) {
    case "start":
    case "retire":
      return `${step.do === "start" ? "Start" : "Retire"}(${v}, ${step.machine}, ${step.thread + 1})`;
    case "gone":
      return `Gone(${v}, ${step.machine}, "${NAMES[step.page]}")`;
    case "deliver":
      return `${moves ? "MoveDeliver" : "Deliver"}(${v}, ${step.from}, ${step.to})`;
    case "kill":
    case "leave":
    case "exclude":
    case "install":
      return `${step.do[0]!.toUpperCase()}${step.do.slice(1)}(${v}, ${step.machine})`;
    default:
      throw new Error(`no action of the model is written here for ${step.do}`);
  }
}

function caseModule(one: Case): {
  module: string;
  configuration: string;
} {
  const { programs, home, kills, rejoins = false, moves = false, leaves = 0, guesses = false } = one;
  const { done } = caseWorld(new KernelWasm(), one);
  const homes = [home].flat();
  const sequence = (items: string[]) => `<<${items.join(", ")}>>`;
  const pages = homes.map((_, page) => `"${NAMES[page]}"`);
  const thread = (program: string) =>
    sequence(instructions(program).map(({ what, page }) => `<<"${what}", ${pages[page]}>>`));
  const all = sequence(programs.map((machine) => sequence(machine.map(thread))));
  const homeOf = homes.map((machine, page) => `p = ${pages[page]} -> ${machine}`).join(" [] ");
  const module = [
    "---- MODULE Case ----",
    `EXTENDS ${moves ? "Move" : "Coherence"}`,
    `CasePages == {${pages.join(", ")}}`,
    `CaseHome == [p \\in CasePages |-> CASE ${homeOf}]`,
    `CasePrograms == ${all}`,
    "World0 == NewWorld",
    ...done.map((step, i) => `World${i + 1} == ${afterStep(`World${i}`, step, moves)}`),
    `CaseFirst == World${done.length}`,
    "====",
  ];
  const configuration = [
    `SPECIFICATION ${moves ? "MoveSpec" : "Spec"}`,
    `CONSTANTS N = ${programs.length} Deaths = ${kills} Leaves = ${leaves}`,
    `CONSTANTS Guesses = ${guesses ? "TRUE" : "FALSE"}`,
    `CONSTANTS Rejoins = ${rejoins ? "TRUE" : "FALSE"} Moves = ${moves ? "TRUE" : "FALSE"}`,
    "CONSTANTS Pages <- CasePages Home <- CaseHome Programs <- CasePrograms First <- CaseFirst",
    `INVARIANTS ${[...INVARIANTS, ...(moves ? MOVING : STAYING)].join(" ")}`,
    "CHECK_DEADLOCK FALSE",
  ];
  return { module: `${module.join("\n")}\n`, configuration: `${configuration.join("\n")}\n` };
}

/** Searches every state of a case, with the table's rows or with others. Throws what TLC says when it finds fault. */
export function runTlc(one: Case, table = rowsModule()): { states: number } {
  const folder = mkdtempSync(join(tmpdir(), "buslock-tlc-"));
  try {
    for (const name of ["Coherence.tla", "Move.tla"]) copyFileSync(join(MODEL, name), join(folder, name));
    const { module, configuration } = caseModule(one);
    writeFileSync(join(folder, "Rows.tla"), table);
    writeFileSync(join(folder, "Case.tla"), module);
    writeFileSync(join(folder, "Case.cfg"), configuration);
    // What has happened before is one expression, some forty actions deep.
    const run = spawnSync(
      "java",
      ["-XX:+UseSerialGC", "-Xss64m", "-cp", tla2tools, "tlc2.TLC", "-workers", "1", "Case"],
      {
        cwd: folder,
        encoding: "utf8",
        timeout: 3_000_000,
      },
    );
    if (run.error) throw run.error;
    const said = run.stdout;
    const found = /, (\d+) distinct states found, 0 states left on queue/.exec(said);
    const error = /^Error: .*$/m.exec(said)?.[0] ?? "";
    // The trace that leads there is at the end.
    if (run.status !== 0 || found === null)
      throw new Error(`TLC: ${error}\n${said.slice(-20_000)}${run.stderr}`);
    return { states: Number(found[1]) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
