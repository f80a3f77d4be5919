// A debugger's watchpoints, as hardware's data breakpoints are (Intel SDM vol. 3B, 18.2): linear addresses, met by a program's
// own loads and stores; what devices store is not seen. A write counts only if it changed something.
// Invariant: asked of the same access in the same state, the answer is the same, so that a run can be repeated.

import type { CoreState } from "../cpu/state.js";
import { readVirtual, type Storage, translate } from "./virtual-memory.js";

export type WatchKind = "write" | "read" | "access";

export interface Watchpoint {
  readonly kind: WatchKind;
  /** In whose address space. */
  readonly thread: number;
  readonly address: bigint;
  readonly length: number;
}

/** What of the machines is looked at. */
export interface WatchedCores {
  core(thread: number): CoreState;
  storage(thread: number): Storage;
  /** Stores may wait in a buffer, so that memory does not tell whether they change it. */
  readonly buffersStores: boolean;
}

const KEEPS: Readonly<Record<WatchKind, (write: boolean) => boolean>> = {
  write: (write) => write,
  read: (write) => !write,
  access: () => true,
};

export class Watchpoints {
  readonly #cores: WatchedCores;
  #list: Watchpoint[] = [];
  /** Met by the instruction that runs, and what the memory held before. */
  #met: { readonly watchpoint: Watchpoint; readonly before: string }[] = [];

  constructor(cores: WatchedCores) {
    this.#cores = cores;
  }

  get none(): boolean {
    return this.#list.length === 0;
  }

  add(watchpoint: Watchpoint): void {
    if (this.#find(watchpoint) < 0) this.#list.push(watchpoint);
  }

  /** Whoever set it. */
  remove(watchpoint: Omit<Watchpoint, "thread">): void {
    const at = this.#find(watchpoint);
    if (at >= 0) this.#list.splice(at, 1);
  }

  clear(): void {
    this.#list = [];
    this.#met = [];
  }

  #find({ kind, address, length }: Omit<Watchpoint, "thread">): number {
    return this.#list.findIndex((w) => w.kind === kind && w.address === address && w.length === length);
  }

  /** A program's access, a store before it is made; `peers` are the threads of its machine. True: it is to be looked at. */
  accessed(
    thread: number,
    peers: readonly [first: number, count: number],
    linear: bigint,
    bytes: number,
    write: boolean,
  ): boolean {
    const [first, count] = peers;
    let met = false;
    for (const watchpoint of this.#list) {
      const { kind, address, length } = watchpoint;
      if (linear >= address + BigInt(length) || address >= linear + BigInt(bytes)) continue;
      if (!KEEPS[kind](write) || watchpoint.thread < first || watchpoint.thread >= first + count) continue;
      if (!this.#samePlace(thread, watchpoint)) continue;
      this.#met.push({ watchpoint, before: this.#bytes(watchpoint) });
      met = true;
    }
    return met;
  }

  /** After the instruction: the watchpoint that stops the machine, if one does. */
  take(): Watchpoint | null {
    const met = this.#met.find(
      ({ watchpoint, before }) =>
        watchpoint.kind !== "write" || this.#cores.buffersStores || this.#bytes(watchpoint) !== before,
    );
    this.#met = [];
    return met?.watchpoint ?? null;
  }

  /** Whether the address means the same memory to another core. */
  #samePlace(thread: number, { thread: own, address }: Watchpoint): boolean {
    if (thread === own) return true;
    const cores = this.#cores;
    const storage = cores.storage(own);
    return translate(cores.core(thread), storage, address) === translate(cores.core(own), storage, address);
  }

  #bytes({ thread, address, length }: Watchpoint): string {
    return String(readVirtual(this.#cores.core(thread), this.#cores.storage(thread), address, length));
  }
}
