// Bugs in the store buffer of a machine's cores, planted through the machine's memory, and a litmus test that shows each.
import type { Machine } from "../../../emulator/index.js";
import { Waiting } from "../waiting-stores.js";

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

export const inStoreBuffer: [broken: string, test: string, plant: (machine: Machine) => void][] = [
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
