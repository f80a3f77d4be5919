// A core's store buffer, seen and changed from outside, through the machine's memory: for planted bugs of memory order.
import {
  STORE_BUFFER,
  STORE_BUFFER_MAX,
  STORE_BYTES,
  STORE_HOST,
  STORE_LENGTH,
  STORES_WAITING,
} from "../../emulator/cpu/layout.js";
import { coreAddress } from "../../emulator/cpu/memory-plan.js";
import type { Machine } from "../../emulator/index.js";

/** A core's waiting stores, oldest first. */
export class Waiting {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  constructor(machine: Machine, core: number) {
    const at = coreAddress(core);
    this.#bytes = new Uint8Array(machine.ram.buffer, at, 0x1000);
    this.#view = new DataView(machine.ram.buffer, at, 0x1000);
  }
  get count(): number {
    return this.#view.getUint32(STORES_WAITING, true);
  }
  get stores(): Uint8Array[] {
    return Array.from({ length: this.count }, (_, i) =>
      this.#bytes.slice(STORE_BUFFER + i * STORE_BYTES, STORE_BUFFER + (i + 1) * STORE_BYTES),
    );
  }
  set stores(stores: readonly Uint8Array[]) {
    this.#view.setUint32(STORES_WAITING, stores.length, true);
    for (const [i, store] of stores.entries()) this.#bytes.set(store, STORE_BUFFER + i * STORE_BYTES);
  }
}

/** The bytes of memory that a waiting store is for. */
function bytesOf(machine: Machine, waiting: Uint8Array): Uint8Array {
  const view = new DataView(waiting.buffer, waiting.byteOffset, STORE_BYTES);
  return new Uint8Array(
    machine.ram.buffer,
    view.getUint32(STORE_HOST, true),
    view.getUint32(STORE_LENGTH, true),
  );
}

/**
 * Planted: an interrupt does not drain the buffer. The program's stores wait, seen by nobody, until its core is in ring 3
 * again. Interrupts from outside are taken where a slice begins, so nothing else needs looking at.
 */
export function interruptsDrainNothing(machine: Machine): void {
  const run = machine.runCore.bind(machine);
  const restore = machine.restore.bind(machine);
  const inRing3 = (core: number): boolean => (machine.core(core).segment("cs").selector & 3) === 3;
  const cores = Array.from({ length: machine.cores }, (_, core) => ({
    waiting: new Waiting(machine, core),
    aside: [] as Uint8Array[],
  }));
  const interrupted = (core: number): number => {
    const { waiting } = cores[core]!;
    const { stores } = waiting;
    const memory = stores.map((store) => bytesOf(machine, store).slice());
    const ran = run(core, 1);
    const undrained = waiting.count > 0 && Buffer.compare(waiting.stores[0]!, stores[0]!) === 0;
    if (inRing3(core) || undrained) return ran;
    for (const [i, store] of stores.entries()) bytesOf(machine, store).set(memory[i]!);
    cores[core]!.aside = stores;
    return ran;
  };
  const goesOn = (core: number): void => {
    const { waiting, aside } = cores[core]!;
    waiting.stores = [...aside, ...waiting.stores].slice(-STORE_BUFFER_MAX);
    cores[core]!.aside = [];
  };
  machine.runCore = (core, budget) => {
    const { waiting } = cores[core]!;
    let done = inRing3(core) && waiting.count > 0 ? interrupted(core) : 0;
    while (cores[core]!.aside.length > 0 && done < budget) {
      const ran = run(core, 1);
      if (ran === 0) return done;
      done += ran;
      if (inRing3(core)) goesOn(core);
    }
    return done < budget ? done + run(core, budget - done) : done;
  };
  machine.restore = (snapshot) => {
    for (const core of cores) core.aside = [];
    restore(snapshot);
  };
}
