// Planted bugs of memory order, each of which a litmus test must show: that "never seen" in machine.test.ts says
// something. Instructions are changed where their handlers are generated, the store buffer through the machine's memory.
import { beforeAll, describe, expect, test } from "vitest";
import { Mnemonic } from "../../emulator/cpu/decode.js";
import { compile } from "../../emulator/cpu/engine.js";
import type { Form } from "../../emulator/cpu/form.js";
import { programOf } from "../../emulator/cpu/program.js";
import type { Machine } from "../../emulator/index.js";
import { meaning } from "../bugs/plant.js";
import { forbiddenSeen, LitmusMachine } from "../support/litmus.js";
import { allowedBy, textOf } from "../support/shapes.js";
import { Waiting } from "../support/waiting-stores.js";

const ENTRIES = 4;
const SEEDS = 1000;

/** Runs the machine's cores by single instructions, with something done around each. */
function aroundEach(machine: Machine, around: (waiting: Waiting, run: () => void) => void): void {
  const run = machine.runCore.bind(machine);
  const waiting = Array.from({ length: machine.cores }, (_, core) => new Waiting(machine, core));
  machine.runCore = (core, budget) => {
    let done = 0;
    for (let ran = 1; ran > 0 && done < budget && machine.runnable(core); done += ran)
      around(waiting[core]!, () => {
        ran = run(core, 1);
      });
    return done;
  };
}

const inMachine: [broken: string, test: string, plant: (machine: Machine) => void][] = [
  [
    "loads do not see their own core's waiting stores",
    "CoWR",
    (machine) =>
      aroundEach(machine, (waiting, run) => {
        const { stores } = waiting;
        waiting.stores = [];
        run();
        waiting.stores = [...stores, ...waiting.stores];
      }),
  ],
  [
    "the newest store goes to memory first",
    "MP",
    (machine) => {
      const drain = machine.drainStores.bind(machine);
      machine.drainStores = (most) => {
        for (let core = 0; core < machine.cores; core++) {
          const waiting = new Waiting(machine, core);
          waiting.stores = waiting.stores.reverse();
        }
        drain(most);
      };
    },
  ],
  [
    "every core sees the waiting stores of core 0",
    "IRIW", // not multi-copy atomic: two readers may see two writers' stores in different orders
    (machine) => {
      const own = new Waiting(machine, 0);
      const other = new Waiting(machine, 2);
      const run = machine.runCore.bind(machine);
      machine.runCore = (core, budget) => {
        if (core !== 2) return run(core, budget); // core 2 only reads
        let ran = 0;
        while (ran < budget && machine.runnable(core)) {
          other.stores = own.stores;
          ran += run(core, 1);
          other.stores = [];
        }
        return ran;
      };
    },
  ],
  [
    "a store is lost when two wait",
    "CoWW",
    (machine) =>
      aroundEach(machine, (waiting, run) => {
        run();
        waiting.stores = waiting.stores.slice(0, 1);
      }),
  ],
];

const inInstructions: [broken: string, test: string, plant: (form: Form) => Form][] = [
  ["MFENCE does not wait for the buffer", "SB+mfence", meaning(Mnemonic.Mfence, () => () => {})],
  [
    "a LOCKed instruction does not wait for the buffer",
    "SB+lock",
    (form) => (form.mnemonic === Mnemonic.Add ? { ...form, lock: "no" } : form),
  ],
  [
    "XCHG has no implied LOCK",
    "SB-xchgs",
    (form) => (form.mnemonic === Mnemonic.Xchg ? { ...form, lock: "no" } : form),
  ],
];

const shows = (machine: LitmusMachine, name: string): string[] =>
  forbiddenSeen(
    allowedBy(name),
    machine.run(textOf(name), {
      seeds: SEEDS,
      enough: (seen) => [...seen.keys()].some((o) => !allowedBy(name).has(o)),
    }),
  );

describe("planted in the store buffer and seen", () => {
  test.each(inMachine)("%s, by %s", async (_, name, plant) => {
    const litmus = await LitmusMachine.create(ENTRIES);
    plant(litmus.machine);
    expect(shows(litmus, name)).not.toEqual([]);
  });
});

// Handlers are the process's: these come last, in this order, and nothing that is intact runs after them.
describe("planted in instructions and seen", () => {
  let change: (form: Form) => Form = (form) => form;
  beforeAll(async () => {
    const { forms } = programOf(await compile());
    const slot = forms.slot.bind(forms);
    forms.slot = (form) => slot(change(form));
  });
  test.each(inInstructions)("%s, by %s", async (_, name, plant) => {
    const litmus = await LitmusMachine.create(ENTRIES);
    change = plant;
    expect(shows(litmus, name)).not.toEqual([]);
  });
});
