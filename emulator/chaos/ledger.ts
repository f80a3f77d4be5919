// What the machines of a cluster said, with the time, and what of it tools may read: the views that they act by
// (kernel/syslink/members.ts) and the additions that the bundled program `endure` tells of.

export interface Line {
  /** Milliseconds. */
  readonly at: number;
  readonly machine: number;
  /** Of this machine, from 0: one more each time it was started again. */
  readonly life: number;
  readonly text: string;
}

export interface View {
  readonly at: number;
  readonly machine: number;
  /** From 0: one more each time that machines which knew of no view, all of them, have begun with a first one again. */
  readonly cluster: number;
  readonly number: number;
  readonly members: readonly number[];
}

/** Times in milliseconds, by the guests' time stamp counters. */
export interface Addition {
  readonly machine: number;
  readonly life: number;
  readonly thread: number;
  /** null: it failed, and nobody knows whether it was done. */
  readonly old: number | null;
  readonly invoked: number;
  readonly returned: number;
  /** When its line was heard. */
  readonly heard: number;
}

/** An own line of the program that carries its time: by it, and when it was heard. */
export interface Round {
  readonly at: number;
  readonly heard: number;
  readonly machine: number;
  readonly life: number;
}

/** Read off the consoles. */
export interface Reading {
  readonly views: readonly View[];
  readonly additions: readonly Addition[];
  readonly panics: readonly Line[];
  /** When a machine showed that it does work of its own. */
  readonly rounds: readonly Round[];
  /** `exit: N` */
  readonly exits: readonly Line[];
  /** An own line of the program that says whether it went well: the bundled counter's. */
  readonly verdicts: readonly Line[];
}

/** Is it a later view than that one, whenever it was announced? */
export const isNewer = (view: View, than: View): boolean =>
  view.cluster === than.cluster ? view.number > than.number : view.cluster > than.cluster;

/** Views as they are announced. */
class Views {
  readonly all: View[] = [];
  #cluster = 0;
  /** By machine and life: its first line; the cluster and number that it acts by. */
  readonly #begun = new Map<string, number>();
  readonly #acts = new Map<string, { cluster: number; number: number }>();

  line({ at, machine, life, text }: Line): void {
    const key = `${machine} ${life}`;
    const begun = this.#begun.get(key) ?? at;
    this.#begun.set(key, begun);
    const said = /^cluster: view (\d+): machines((?: \d+)+)(, this one is left out)?/.exec(text);
    if (said === null) return;
    const number = Number(said[1]);
    const member = said[3] === undefined;
    // A first view that is older than one of its members is another cluster's.
    if (number === 1 && member && this.all.some((view) => view.cluster === this.#cluster && view.at < begun))
      this.#cluster++;
    const acts = this.#acts.get(key);
    const cluster = acts !== undefined && acts.number < number ? acts.cluster : this.#cluster;
    if (member) this.#acts.set(key, { cluster, number });
    else this.#acts.delete(key);
    this.all.push({ at, machine, cluster, number, members: said[2]!.trim().split(" ").map(Number) });
  }
}

/** Lines that only tools want to read. */
export const isLedger = (text: string): boolean => text.startsWith("ledger: ");

/** `zero`: when the time stamp counters of a machine's life were 0. */
export function read(
  lines: readonly Line[],
  zero: (machine: number, life: number) => number = () => 0,
): Reading {
  const views = new Views();
  const additions: Addition[] = [];
  const rounds: Round[] = [];
  for (const line of lines) {
    const { at, machine, life, text } = line;
    views.line(line);
    const addition = /^ledger: (\d+) (\d+|failed) (\d+) (\d+)$/.exec(text);
    if (addition !== null) {
      const [thread, invoked, returned] = [addition[1], addition[3], addition[4]].map(Number);
      const old = addition[2] === "failed" ? null : Number(addition[2]);
      additions.push({
        machine,
        life,
        thread: thread!,
        old,
        invoked: zero(machine, life) + invoked! / 1e6,
        returned: zero(machine, life) + returned! / 1e6,
        heard: at,
      });
    }
    const round = /^ledger: rounds \d+ (\d+)$/.exec(text);
    if (round !== null)
      rounds.push({ at: zero(machine, life) + Number(round[1]) / 1e6, heard: at, machine, life });
  }
  const that = (wanted: RegExp) => lines.filter(({ text }) => wanted.test(text));
  return {
    views: views.all,
    additions,
    panics: that(/^panic: /),
    rounds,
    exits: that(/^exit: \d+$/),
    verdicts: that(/^counter: .* a permutation: (yes|no)$/),
  };
}
