// Page tables of the cluster of coherence-state.ts, as far as they say what was written: the dirty bits of threads that have a page mapped,
// and what page-notes.ts keeps of those that have unmapped it. Any page may leave any thread's page tables at any moment.
import type { Cluster, Thread } from "./coherence-state.js";

export type UnmapStep = { do: "unmap"; machine: number; thread: number };

export class Notes {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Threads that are between two instructions. */
  steps(machine: number): UnmapStep[] {
    if (this.#cluster.setup.notes === undefined) return [];
    return this.#cluster
      .machine(machine)
      .threads.flatMap(({ state, right }, thread) =>
        state === 0 && right.some((each) => each > 0) ? [{ do: "unmap", machine, thread }] : [],
      );
  }

  /** noteDirty() of each page that the thread has written; it has none any more. */
  unmap(number: number, thread: Thread): void {
    const machine = this.#cluster.machine(number);
    const { notes: most = Number.POSITIVE_INFINITY } = this.#cluster.setup;
    thread.wrote.forEach((wrote, page) => {
      if (wrote && machine.notes.length >= most) machine.notesLost = true;
      else if (wrote) machine.notes.push(page);
    });
    thread.wrote.fill(false);
    thread.right.fill(0);
  }

  /** takeAway() of revocations.ts; `left`: the right that threads keep. True: it was written, as far as the machine knows. */
  takeAway(number: number, page: number, left = 0): boolean {
    const machine = this.#cluster.machine(number);
    let dirty = false;
    for (const { right, wrote } of machine.threads) {
      dirty ||= wrote[page]!;
      wrote[page] = false;
      right[page] = Math.min(right[page]!, left);
    }
    this.#take(number);
    const here = machine.pages[page]!;
    dirty ||= here.noted === true;
    here.noted = false;
    return dirty;
  }

  /** It leaves every page table; the right stays, and a later takeAway() says what this one found. */
  suspend(number: number, page: number): void {
    if (this.takeAway(number, page)) this.#cluster.machine(number).pages[page]!.noted = true;
  }

  /** notesTake() */
  #take(number: number): void {
    const machine = this.#cluster.machine(number);
    for (const page of machine.notes) machine.pages[page]!.noted = true;
    if (machine.notesLost) this.#noteEverything(number);
    machine.notes = [];
    machine.notesLost = false;
  }

  #noteEverything(number: number): void {
    const { engines, pages, c } = this.#cluster;
    for (const page of pages) {
      const here = this.#cluster.machine(number).pages[page]!;
      let state = c["INVALID"]!;
      if (here.exists) state = engines.do.state(engines.page(number, page));
      else if (here.kept && !here.kept.former) state = this.#standingOf(number, page);
      if (engines.do.mayHaveWritten(state) !== 0) here.noted = true;
    }
  }

  /** Of a page without a record. */
  #standingOf(number: number, page: number): number {
    const { engines } = this.#cluster;
    const { objects, pages } = this.#cluster.machine(number);
    if (objects[0]!.frozen !== 0) return (pages[page]!.kept!.stands ?? 0) & 255;
    return engines.do.rangeState(engines.set(number), BigInt(page));
  }
}
