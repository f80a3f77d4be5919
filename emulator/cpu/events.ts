// Events between instructions: INIT, SIPI, NMI and interrupts, and what the machine around asks of a core. Intel SDM
// vol. 3A, 6.7 (NMI), 6.8 (masking), 9.4 (INIT and SIPI). What comes first is the order of take().
//
// Invariant: only the thread that runs a core takes from its attention word; what wakes nobody is noted in the core's
// own words, so that a sleeper on the attention word does sleep.

import type { BusLock } from "./bus-lock.js";
import type { Host } from "./host.js";
import {
  A20_MASK_WORD,
  A20_SEEN,
  ACTIVE,
  ACTIVITY,
  ATTENTION,
  ATTENTION_BUS_LOCK,
  ATTENTION_COUNTERS,
  ATTENTION_INIT,
  ATTENTION_INTERRUPT,
  ATTENTION_NMI,
  ATTENTION_SIPI,
  ATTENTION_STOP,
  DEBUG_PENDING,
  EVENT_EXTERNAL,
  EVENT_NMI,
  FLAGS_OTHER,
  HALTED,
  INTERRUPT_WANTED,
  MAILBOX,
  NMI_BLOCKED,
  NMI_WANTED,
  SHADOW,
  SHADOW_STACK,
  WAIT_FOR_SIPI,
} from "./layout.js";
import { lineStored, waits, wantsInterrupt } from "./monitor.js";
import type { Onlooker } from "./onlooker.js";
import type { Performance } from "./performance.js";

const STARTUP_VECTOR = MAILBOX + 17 * 4;
const NMIS_POSTED = MAILBOX + 29 * 4;
const FLAG_IF = 0x200;
const NMI = 2;

export type Microcode = Readonly<Record<string, (core: number, ...args: bigint[]) => bigint>>;

export class Events {
  /** The core inside run(), or -1. */
  running = -1;
  /** ATTENTION_STOP has come: run() comes back at the next boundary. */
  stopping = false;
  /** The performance counters were changed: how long the core may run has to be found out anew. */
  recounting = false;
  readonly #words: Int32Array;
  readonly #hosts: readonly Host[];
  readonly #bus: BusLock;
  readonly #microcode: Microcode;
  readonly #onlooker: Onlooker;
  readonly #performance: Performance;

  constructor(
    buffer: ArrayBufferLike,
    hosts: readonly Host[],
    bus: BusLock,
    microcode: Microcode,
    onlooker: Onlooker,
    performance: Performance,
  ) {
    this.#words = new Int32Array(buffer);
    this.#hosts = hosts;
    this.#bus = bus;
    this.#microcode = microcode;
    this.#onlooker = onlooker;
    this.#performance = performance;
  }

  #get(address: number): number {
    return this.#words[address >>> 2]!;
  }
  #set(address: number, value: number): void {
    this.#words[address >>> 2] = value;
  }

  /** Takes what may be taken now, before the next instruction of the core whose block is at `c`. */
  take(core: number, c: number): void {
    const raised = Atomics.load(this.#words, (c + ATTENTION) >>> 2);
    if (raised !== 0) this.#attend(core, c, raised);
    if (this.#get(c + A20_SEEN) !== this.#get(A20_MASK_WORD)) this.#flushForA20(c);
    if (this.#get(c + SHADOW) !== 0 || this.#get(c + DEBUG_PENDING) !== 0) return;
    if (this.#nmiOpen(c)) {
      this.#set(c + NMI_WANTED, this.#get(c + NMI_WANTED) - 1);
      this.#deliver(core, c, NMI, EVENT_NMI);
      return;
    }
    if (this.#get(c + INTERRUPT_WANTED) === 0 || !this.#interruptsOn(c)) return;
    const activity = this.#get(c + ACTIVITY);
    if (activity !== ACTIVE && activity !== HALTED) return;
    const host = this.#hosts[core]!;
    if (host.pendingInterrupt()) {
      const vector = host.acknowledge();
      if (vector >= 0) this.#deliver(core, c, vector, EVENT_EXTERNAL);
    }
    this.#set(c + INTERRUPT_WANTED, host.pendingInterrupt() ? 1 : 0);
  }
  #attend(core: number, c: number, raised: number): void {
    const words = this.#words;
    const bits = Atomics.and(words, (c + ATTENTION) >>> 2, ~raised) & raised;
    if (bits & ATTENTION_BUS_LOCK && this.running === core) {
      this.#bus.park(core);
      this.#bus.unpark(core);
    }
    if (bits & ATTENTION_STOP) this.stopping = true;
    if (bits & ATTENTION_COUNTERS) this.recounting = true;
    if (bits & ATTENTION_INIT) {
      this.#microcode["reset"]!(c, 1n);
      this.#hosts[core]!.initialise();
      this.forget(c);
    }
    if (bits & ATTENTION_SIPI) this.#microcode["startup"]!(c, BigInt(this.#get(c + STARTUP_VECTOR) & 0xff));
    if (bits & ATTENTION_NMI) this.#takeNmis(c);
    if (bits & ATTENTION_INTERRUPT) this.#set(c + INTERRUPT_WANTED, 1);
  }
  /** One NMI may wait while NMIs are blocked; of those that came since the last look, one more is to be taken at once. */
  #takeNmis(c: number): void {
    const posted = Atomics.exchange(this.#words, (c + NMIS_POSTED) >>> 2, 0);
    const room = this.#get(c + NMI_BLOCKED) !== 0 ? 1 : 2;
    this.#set(c + NMI_WANTED, Math.min(room, this.#get(c + NMI_WANTED) + posted));
  }
  #nmiOpen(c: number): boolean {
    return this.#get(c + NMI_WANTED) !== 0 && this.#get(c + NMI_BLOCKED) === 0;
  }
  #interruptsOn(c: number): boolean {
    return (this.#get(c + FLAGS_OTHER) & FLAG_IF) !== 0;
  }
  #deliver(core: number, c: number, vector: number, kind: number): void {
    this.#onlooker.interrupt(core, vector, kind === EVENT_NMI);
    this.#performance.transfer(c);
    this.#microcode["interrupt"]!(c, BigInt(vector), BigInt(kind));
  }
  #flushForA20(c: number): void {
    this.#set(c + A20_SEEN, this.#get(A20_MASK_WORD));
    this.#microcode["flushTlb"]!(c);
  }

  /** RESET and INIT: what waited is gone. */
  forget(c: number): void {
    this.#set(c + INTERRUPT_WANTED, 0);
    this.#set(c + NMI_WANTED, 0);
  }

  /** Debug traps are there and may be taken. */
  trapping(c: number): boolean {
    return this.#get(c + DEBUG_PENDING) !== 0 && this.#get(c + SHADOW) !== SHADOW_STACK;
  }

  /** Whether a run would do anything: the core is active, or something is there that wakes it. */
  wakes(core: number, c: number): boolean {
    const activity = this.#get(c + ACTIVITY);
    if (activity === ACTIVE) return true;
    const raised = Atomics.load(this.#words, (c + ATTENTION) >>> 2);
    if (raised & ATTENTION_INIT) return true;
    if (activity === WAIT_FOR_SIPI && raised & ATTENTION_SIPI) return true;
    if (raised !== 0) this.#attend(core, c, raised);
    if (activity !== HALTED) return false;
    const words = this.#words;
    if (waits(words, c) && (lineStored(words, c) || this.#interruptBreaks(core, c))) {
      this.#set(c + ACTIVITY, ACTIVE);
      return true;
    }
    if (this.trapping(c) || this.#nmiOpen(c)) return true;
    return (
      this.#interruptsOn(c) && this.#get(c + INTERRUPT_WANTED) !== 0 && this.#hosts[core]!.pendingInterrupt()
    );
  }
  #interruptBreaks(core: number, c: number): boolean {
    return wantsInterrupt(this.#words, c) && this.#hosts[core]!.pendingInterrupt();
  }
}
