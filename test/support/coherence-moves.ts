// What machines of the world of coherence.ts know of objects whose homes move, as the kernel's own code has it (kernel/coherence/moves.ts).
import type { PageKept } from "./coherence-engines.js";
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
    const its = pages.map(
      (page): PageKept =>
        this.#cluster.objectOf(page) === object ? machine.pages[page]! : { exists: false, framed: false },
    );
    const at = engines.object(number, here, its);
    const { home, moving, complete, lossy, renumbered, holders, handedTo, gaveTo, frozen } = here;
    const set = engines.set(number);
    const known = [home, moving, complete, lossy, renumbered, holders, handedTo, gaveTo, frozen];
    engines.do.movePut(at, set, ...known);
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
    if (!this.#cluster.merges) return;
    here.frozen = word(8);
    its.forEach((each, page) => {
      if (!each.exists && each.kept && !each.kept.former) this.#keep(each, page);
    });
  }

  /** What that code has made of a page without a record. */
  #keep(here: PageKept, page: number): void {
    const { do: kernel } = this.#cluster.engines;
    const serial = kernel.objectKeptSerial(page) as unknown as bigint;
    here.kept = { serial, flags: kernel.objectKeptFlags(page), stands: kernel.objectKeptStands(page) };
  }

  /** Lets that code work on the machine's record of the page, with what is around the engine in it. */
  page<T>(number: number, page: number, work: (at: number) => T): T {
    const { engines } = this.#cluster;
    const here = this.#cluster.machine(number).pages[page]!;
    const at = engines.page(number, page);
    engines.do.pageFramed(at, here.framed ? 1 : 0, here.former ? 1 : 0, here.roomless ? 1 : 0);
    const result = work(at);
    here.roomless = engines.do.pageIsRoomless(at) !== 0;
    return result;
  }
}
