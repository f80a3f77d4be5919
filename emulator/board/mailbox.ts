// A core's mailbox: 64 words of shared memory through which any thread reaches the core's local APIC, and
// in which the local APIC publishes what others need to route an interrupt to it.
//
//   word  0-7   IRR: any thread ORs a vector in, only the core takes it out
//         8-15  TMR: set or cleared, before the IRR bit, by whoever posts the vector
//         16    attention: what the core must look at (bits below); the core polls this one word, and a
//               halted core sleeps on it with Atomics.wait
//         17    start-up vector of the last SIPI
//         18-22 published by the core: APIC id, LDR, DFR, TPR, state (1 hardware-enabled, 2 software-enabled,
//               4 in x2APIC mode)
//         23,24 LINT0: level, and a count of its rising edges      25,26 LINT1: the same
//         27    an interrupt message of mode ExtINT is waiting
//         29    NMIs posted and not yet taken in by the core
//         28    errors seen by senders and other threads, to be merged into the ESR
// Invariant: a word changed by several threads is changed by Atomics only, and attention is raised last.

import type { Mailbox, Published } from "../devices/local-apic.js";

export const MAILBOX_WORDS = 64;

/** Bits of the attention word; the engine has more of its own. `interrupt` says: ask the local APIC again; it
 * is no promise of a vector. */
export const attention = { interrupt: 1, nmi: 2, init: 4, startup: 8, stop: 16 } as const;

export const word = {
  irr: 0,
  tmr: 8,
  attention: 16,
  startupVector: 17,
  apicId: 18,
  logicalDestination: 19,
  destinationFormat: 20,
  taskPriority: 21,
  state: 22,
  lint0: 23,
  lint0Edges: 24,
  lint1: 25,
  lint1Edges: 26,
  external: 27,
  errors: 28,
  nmis: 29,
} as const;

export const hardwareEnabled = 1;
export const softwareEnabled = 2;
export const extended = 4;

export class SharedMailbox implements Mailbox {
  readonly words: Int32Array;

  constructor(words: Int32Array) {
    if (words.length !== MAILBOX_WORDS) throw new RangeError(`a mailbox has ${MAILBOX_WORDS} words`);
    this.words = words;
  }

  post(vector: number, level: boolean): void {
    const bit = 1 << (vector & 31);
    const index = vector >> 5;
    if (level) Atomics.or(this.words, word.tmr + index, bit);
    else Atomics.and(this.words, word.tmr + index, ~bit);
    Atomics.or(this.words, word.irr + index, bit);
    this.attend(attention.interrupt);
  }

  highest(): number {
    for (let index = 7; index >= 0; index--) {
      const bits = Atomics.load(this.words, word.irr + index);
      if (bits !== 0) return index * 32 + 31 - Math.clz32(bits);
    }
    return -1;
  }

  take(vector: number): void {
    Atomics.and(this.words, word.irr + (vector >> 5), ~(1 << (vector & 31)));
  }

  requests(index: number): number {
    return Atomics.load(this.words, word.irr + index) >>> 0;
  }

  triggers(index: number): number {
    return Atomics.load(this.words, word.tmr + index) >>> 0;
  }

  clearRequests(): void {
    for (let index = 0; index < 16; index++) Atomics.store(this.words, index, 0);
    Atomics.store(this.words, word.external, 0);
    Atomics.store(this.words, word.errors, 0);
  }

  publish({ id, ldr, dfr, tpr, mode, softwareEnabled: software }: Published): void {
    Atomics.store(this.words, word.apicId, id);
    Atomics.store(this.words, word.logicalDestination, ldr);
    Atomics.store(this.words, word.destinationFormat, dfr);
    Atomics.store(this.words, word.taskPriority, tpr);
    const hardware = mode === "disabled" ? 0 : hardwareEnabled;
    const form = mode === "x2apic" ? extended : 0;
    Atomics.store(this.words, word.state, hardware | form | (software ? softwareEnabled : 0));
  }

  pin(pin: 0 | 1): boolean {
    return Atomics.load(this.words, pin === 0 ? word.lint0 : word.lint1) !== 0;
  }

  pinEdges(pin: 0 | 1): number {
    return Atomics.load(this.words, pin === 0 ? word.lint0Edges : word.lint1Edges);
  }

  /** Board side: the level of a local interrupt pin. */
  setPin(pin: 0 | 1, level: boolean): void {
    const was = Atomics.exchange(this.words, pin === 0 ? word.lint0 : word.lint1, level ? 1 : 0);
    if (was === 0 && level) Atomics.add(this.words, pin === 0 ? word.lint0Edges : word.lint1Edges, 1);
    if (level) this.attend(attention.interrupt);
  }

  external(): boolean {
    return Atomics.load(this.words, word.external) !== 0;
  }

  takeExternal(): void {
    Atomics.store(this.words, word.external, 0);
  }

  postExternal(): void {
    Atomics.store(this.words, word.external, 1);
    this.attend(attention.interrupt);
  }

  postError(bits: number): void {
    Atomics.or(this.words, word.errors, bits);
    this.attend(attention.interrupt);
  }

  takeErrors(): number {
    if (Atomics.load(this.words, word.errors) === 0) return 0;
    return Atomics.exchange(this.words, word.errors, 0);
  }

  /** Counted, for a core that looks seldom: hardware has an instruction boundary between any two. */
  postNmi(): void {
    Atomics.add(this.words, word.nmis, 1);
    this.attend(attention.nmi);
  }

  postInit(): void {
    this.attend(attention.init);
  }

  postStartup(vector: number): void {
    Atomics.store(this.words, word.startupVector, vector);
    this.attend(attention.startup);
  }

  again(): void {
    this.attend(attention.interrupt);
  }

  /** RESET, by the board before any core runs: empty, and published as core `core`'s APIC after RESET, so that
   * an INIT or SIPI finds it even before the core's own thread has come up. */
  reset(core: number): void {
    for (let index = 0; index < MAILBOX_WORDS; index++)
      if (index !== word.attention) Atomics.store(this.words, index, 0);
    const { interrupt, nmi, init, startup } = attention;
    this.takeAttention(interrupt | nmi | init | startup);
    this.publish({ id: core, ldr: 0, dfr: ~0, tpr: 0, mode: "xapic", softwareEnabled: false });
  }

  /** Raises attention bits and wakes the core if it sleeps on them. */
  attend(bits: number): void {
    Atomics.or(this.words, word.attention, bits);
    Atomics.notify(this.words, word.attention);
  }

  /** Takes the given attention bits out; returns those that were set. */
  takeAttention(bits: number): number {
    return Atomics.and(this.words, word.attention, ~bits) & bits;
  }
}
