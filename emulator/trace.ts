// What a reader may follow while a machine runs: instructions, faults, interrupts, frames and what devices
// report. A trace is a list of kinds, each for all cores or for one: "faults,interrupts,0:instructions".

export const kinds = ["instructions", "faults", "interrupts", "frames", "devices"] as const;
export type Kind = (typeof kinds)[number];

export interface Filter {
  readonly kind: Kind;
  /** Null for every core. */
  readonly core: number | null;
}

export function parseTrace(list: string): Filter[] {
  return list.split(",").map((item) => {
    const match = /^(?:(\d+):)?(\w+)$/.exec(item.trim());
    const kind = kinds.find((k) => k === match?.[2]);
    if (match === null || kind === undefined) {
      throw new Error(`trace "${item}": wanted ${kinds.join(", ")}, or CORE:KIND for one core`);
    }
    return { kind, core: match[1] === undefined ? null : Number(match[1]) };
  });
}

export class Tracer {
  readonly #cores = new Map<Kind, Set<number> | "all">();
  readonly filters: readonly Filter[];
  /** Where lines go; also for lines that another thread's tracer has made. */
  readonly write: (line: string) => void;

  constructor(filters: readonly Filter[], write: (line: string) => void) {
    this.filters = filters;
    this.write = write;
    for (const { kind, core } of filters) {
      const cores = this.#cores.get(kind);
      if (core === null || cores === "all") this.#cores.set(kind, "all");
      else this.#cores.set(kind, (cores ?? new Set<number>()).add(core));
    }
  }

  /** Whether events of this kind are wanted at all, so that the engine may stay fast. */
  wants(kind: Kind): boolean {
    return this.#cores.has(kind);
  }

  /** `core` is -1 for what no core does (devices, frames). */
  event(kind: Kind, core: number, now: number, text: string): void {
    const cores = this.#cores.get(kind);
    if (cores === undefined || (cores !== "all" && core >= 0 && !cores.has(core))) return;
    this.write(`${String(now).padStart(12)} ${core < 0 ? "board" : `core ${core}`} ${kind}: ${text}`);
  }
}
