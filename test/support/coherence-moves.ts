// What machines of the world of coherence.ts know of objects whose homes move, as the kernel's own code has it (kernel/coherence/moves.ts).
import type { Cluster } from "./coherence-state.js";

export class Moves {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Lets that code work on what the machine knows of the object: on `at`, which holds until then. */
  of(number: number, object: number, work: (at: number) => void): void {
    const { engines, pages } = this.#cluster;
    const machine = this.#cluster.machine(number);
    const here = machine.objects[object]!;
    const its = pages.map((page) =>
      this.#cluster.objectOf(page) === object ? machine.pages[page]! : { exists: false, framed: false },
    );
    const at = engines.object(number, here, its);
    const { home, moving, complete, lossy, renumbered, holders, handedTo, gaveTo } = here;
    const set = engines.set(number);
    engines.do.movePut(at, set, home, moving, complete, lossy, renumbered, holders, handedTo, gaveTo);
    work(at);
    const word = (index: number) => engines.do.moveWord(at, index);
    here.home = word(0);
    here.moving = word(1);
    here.complete = word(2);
    here.lossy = word(3);
    here.renumbered = word(4);
    here.holders = word(5);
    here.handedTo = word(6);
    here.gaveTo = word(7);
  }
}
