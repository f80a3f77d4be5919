// Planted bugs of memory order, each of which a litmus test must show: that "never seen" in machine.test.ts says
// something. Instructions are changed where their handlers are generated, the store buffer through the machine's memory.
import { beforeAll, describe, expect, test } from "vitest";
import { Mnemonic } from "../../emulator/cpu/decode.js";
import { compile } from "../../emulator/cpu/engine.js";
import type { Form } from "../../emulator/cpu/form.js";
import { programOf } from "../../emulator/cpu/program.js";
import { meaning } from "../bugs/plant.js";
import { forbiddenSeen, LitmusMachine } from "../support/litmus.js";
import { inStoreBuffer } from "../support/plants/store-buffer.js";
import { allowedBy, textOf } from "../support/shapes.js";

const ENTRIES = 4;
const SEEDS = 1000;

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
  [
    "XADD has lost its LOCK",
    "SB-xadds",
    (form) => (form.mnemonic === Mnemonic.Xadd ? { ...form, lock: "no" } : form),
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
  test.each(inStoreBuffer)("%s, by %s", async (_, name, plant) => {
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
