// R2, for the judge: nobody sees a page go back to an older version without a word of loss about that page. A word is about the page
// that was asked for, and about those that its home calls lost by ranges and found with it. It has to be heard by a thread; or
// by nobody ever, since who tells or is told has died, or was left out.
//
// A page is in a round from when its home gives it away until it does so again: meanwhile it goes from hand to hand. Who waits for a
// machine that has died may be told before the page is lost, on its way there; so a word is about the round that the page, or its newest
// version, is of.
import type { Cluster } from "./coherence-state.js";

interface Round {
  /** Or whatever else is given away as one: of loans-world.ts a chunk. */
  readonly page: number;
  readonly round: number;
}

export interface LossState {
  /** Per page: how many rounds there were of it; the one that it is in; the one that this one is a part of. */
  readonly counts: readonly number[];
  readonly rounds: readonly number[];
  readonly around: readonly number[];
  /** Per page: the round that its newest version is of. */
  readonly newest: readonly number[];
  /** Of versions in whose place somebody has seen an older one. */
  readonly gone: readonly Round[];
  /** About which there was a word. */
  readonly told: readonly Round[];
}

export type Word = readonly Round[];

const same = (a: Round) => (b: Round) => a.page === b.page && a.round === b.round;

/** Who has given away which page, which versions went, and which words there were. */
export class Rounds {
  #state: LossState;

  constructor(pages: number) {
    const none = Array.from({ length: pages }, () => 0);
    this.#state = { counts: none, rounds: none, around: none, newest: none, gone: [], told: [] };
  }

  /** The newest version of the page is of this round. */
  #isNewest(page: number): void {
    const { rounds, newest } = this.#state;
    if (newest[page] !== rounds[page])
      this.#state = { ...this.#state, newest: newest.with(page, rounds[page]!) };
  }

  /** The page is given away, in its newest version or an older one. */
  goes(page: number, isNewest: boolean): void {
    this.#begins(page, 0);
    if (isNewest) this.#isNewest(page);
  }

  /** It is lent: a round within the one that it is in. */
  lent(page: number, isNewest: boolean): void {
    this.#begins(page, this.#state.rounds[page]!);
    if (isNewest) this.#isNewest(page);
  }

  #begins(page: number, within: number): void {
    const { counts, rounds, around } = this.#state;
    const round = counts[page]! + 1;
    this.#state = {
      ...this.#state,
      counts: counts.with(page, round),
      rounds: rounds.with(page, round),
      around: around.with(page, within),
    };
  }

  /** That round is over. */
  isBack(page: number, isNewest: boolean): void {
    const { around, rounds } = this.#state;
    this.#state = { ...this.#state, around: around.with(page, 0), rounds: rounds.with(page, around[page]!) };
    if (isNewest) this.#isNewest(page);
  }

  written(page: number): void {
    this.#isNewest(page);
  }

  /** Somebody sees an older version than the newest one, which is the newest from now on. */
  reverted(page: number): void {
    const { gone, newest } = this.#state;
    this.#state = { ...this.#state, gone: [...gone, { page, round: newest[page]! }] };
    this.#isNewest(page);
  }

  /** A word about these pages that is said now; nobody may have seen yet which version they are of. */
  word(pages: readonly number[]): Word {
    const { newest, rounds, around } = this.#state;
    return pages.flatMap((page) =>
      [...new Set([newest[page]!, rounds[page]!, around[page] || rounds[page]!])].map((round) => ({
        page,
        round,
      })),
    );
  }

  /** A word about what was lent of these and went with its borrower: the rest of the round that they are in is not lost. */
  wordOfLent(pages: readonly number[]): Word {
    const { newest, rounds } = this.#state;
    return pages
      .filter((page) => newest[page] !== rounds[page])
      .map((page) => ({ page, round: newest[page]! }));
  }

  /** It was heard, or will not be. */
  tell(word: Word = []): void {
    if (word.length > 0) this.#state = { ...this.#state, told: [...this.#state.told, ...word] };
  }

  /** Pages that went back to an older version, and nobody was told of it; `underWay`: words that are so for ever. */
  untold(underWay: readonly Round[] = []): number[] {
    return this.#gone(underWay).map(({ page }) => page);
  }

  #gone(underWay: readonly Round[]): Round[] {
    const told = [...this.#state.told, ...underWay];
    return this.#state.gone.filter((one) => !told.some(same(one)));
  }

  /** Everything that decides how it goes on, with these words under way: rounds by their order only. */
  summary(words: readonly Word[]): number[] {
    const { rounds, around, newest, told } = this.#state;
    const gone = this.#gone([]);
    return rounds.flatMap((round, page) => {
      const ofPage = (word: readonly Round[]) =>
        word.filter((one) => one.page === page).map((one) => one.round);
      const alive = [
        ...new Set([round, around[page]!, newest[page]!, ...ofPage(gone), ...words.flatMap(ofPage)]),
      ].sort((a, b) => a - b);
      const ranks = (list: readonly number[]) =>
        [...new Set(list)].reduce((bits, each) => bits | (1 << alive.indexOf(each)), 0);
      return [
        alive.indexOf(round) | (alive.indexOf(newest[page]!) << 8) | (alive.indexOf(around[page]!) << 16),
        ranks(ofPage(gone)),
        ranks(ofPage(told).filter((each) => alive.includes(each))),
        ...words.map((word) => ranks(ofPage(word))),
      ];
    });
  }

  save(): LossState {
    return this.#state;
  }
  load(saved: LossState): void {
    this.#state = saved;
  }
}

export class Losses extends Rounds {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster, pages: number) {
    super(pages);
    this.#cluster = cluster;
  }

  /** Its home gives the page away, with these bytes; one that is left out gives nobody anything. */
  given(home: number, page: number, value: number): void {
    if (!this.#cluster.members().includes(home)) return;
    this.goes(page, Math.max(0, value) === this.#cluster.latest[page]);
  }

  /** At the home: pages that are lost as parts of their ranges. */
  byRanges(number: number): number[] {
    const { engines, ranges, pages } = this.#cluster;
    if (!ranges || engines.do.lost(engines.set(number)) === 0) return [];
    return pages.filter((page) => engines.do.rangeIsLost(engines.set(number), BigInt(page)) !== 0);
  }

  /** At the end, when what is still under way is so for ever. */
  silent(): number[] {
    const { numbers } = this.#cluster;
    const wires = numbers.flatMap((from) => numbers.map((to) => this.#cluster.wire(from, to)));
    return this.untold(wires.flat().flatMap(({ word = [] }) => word));
  }
}
