// Promise 85, for the judge: a serial number names a page's bytes, for ever (kernel/coherence/serials.ts). So no two machines have, and
// no message brings, different bytes of a page under one number; of bytes that are being written the number counts that they will have.
import type { Cluster, PageHere } from "./coherence-state.js";
import { Violation } from "./search.js";

/** In place of the count, of bytes without a number. */
const UNNUMBERED = 2 ** 32 - 1;

export class Serials {
  readonly #cluster: Cluster;
  /** What there is of a page: how often its bytes have changed, in which era, and they themselves; where, for who is to be told. */
  readonly #changes: number[] = [];
  readonly #eras: number[] = [];
  readonly #values: number[] = [];
  readonly #where: [from: number, to: number][] = [];
  #count = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  check(page: number): void {
    this.#count = 0;
    this.#atMachines(page);
    this.#underWay(page);
    for (let one = 1; one < this.#count; one++)
      for (let other = 0; other < one; other++) {
        const same = this.#changes[one] === this.#changes[other] && this.#eras[one] === this.#eras[other];
        if (same && this.#values[one] !== this.#values[other])
          throw new Violation(
            `page ${page} has number ${this.#eras[one]}.${this.#changes[one]} for ${this.#said(other)} and for ${this.#said(one)}`,
          );
      }
  }

  #said(at: number): string {
    const [from, to] = this.#where[at]!;
    return `${this.#values[at]} at machine ${from}${from === to ? "" : `, on its way to machine ${to}`}`;
  }

  /** What was never written, or never touched, is zeros. */
  #put(era: number, changes: number, frame: number, from: number, to: number, changed = false): void {
    if (changes === UNNUMBERED) return;
    const at = this.#count++;
    this.#eras[at] = era;
    this.#changes[at] = changed ? changes + 1 : changes;
    this.#values[at] = Math.max(0, frame);
    this.#where[at] = [from, to];
  }

  #atMachines(page: number): void {
    const { numbers, remains, views, takeover } = this.#cluster;
    const { members } = views.at(-1)!;
    for (const number of numbers) {
      const machine = this.#cluster.machine(number);
      const here = machine.pages[page]!;
      // Who is left out begins anew, with what remains or without.
      const isOut = takeover && !remains && (members & (1 << number)) === 0;
      if (machine.alive && !isOut && !here.ofFormerFile) this.#atMachine(number, page, here);
    }
  }

  #putNumber(serial: bigint, value: number, from: number, to: number): void {
    const changes = Number(BigInt.asUintN(32, serial));
    this.#put(Number(BigInt.asUintN(32, serial >> 32n)), changes, value, from, to);
  }

  #atMachine(number: number, page: number, { exists, kept, frame, dirty }: PageHere): void {
    const { engines, mirror } = this.#cluster;
    if (mirror && exists) {
      const shelf = BigInt(engines.do.shelf(engines.page(number, page)));
      if (shelf !== 0n) this.#putNumber(shelf, mirror.shelves[number - 1]![page]!, number, number);
      for (const { page: of, serial, value } of mirror.comings[number - 1]!)
        if (of === page) this.#putNumber(serial, value, number, number);
    }
    if (exists) {
      const changed = dirty || (engines.do.dirty(engines.page(number, page)) & 2) !== 0;
      const [changes, era] = engines.serialWords(number, page);
      this.#put(era, changes, frame, number, number, changed);
    } else if (kept) {
      const changes = Number(BigInt.asUintN(32, kept.serial));
      const era = Number(BigInt.asUintN(32, kept.serial >> 32n));
      this.#put(era, changes, frame, number, number, dirty || (kept.flags & 2) !== 0);
    }
  }

  #underWay(page: number): void {
    const { numbers, c } = this.#cluster;
    const at = c["PAGE_MESSAGE_SERIALS"]! >> 2;
    for (const to of numbers) {
      if (!this.#cluster.machine(to).alive) continue;
      for (const from of numbers) {
        const wire = this.#cluster.wire(from, to);
        if (wire.length === 0 || !this.#cluster.hears(to, from)) continue;
        for (const { words, notice, value, page: of } of wire)
          if (notice === undefined) {
            if (of === page && (words[0]! >>> 24) & c["WITH_DATA"]!)
              this.#put(words[at + 1]!, words[at]!, value, from, to);
          } else if ((notice.kind === "given" || notice.kind === "mirror") && notice.page === page)
            this.#putNumber(notice.serial, value, from, to);
      }
    }
  }
}
