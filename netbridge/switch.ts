// A learning Ethernet switch (IEEE 802.1D, 7.7-7.9, without spanning tree). Pure: frame in, frames out; no
// socket, no clock, no queue. A port is a member's sink; what a sink cannot take, it drops and counts itself.
// Invariant: a frame never leaves by the port on which it came in.

import { addressKey, isGroup, malformed } from "./frame.js";

export type Sink = (frame: Uint8Array) => void;

/** Addresses that the table holds at most; the oldest learnt is forgotten first. */
const ADDRESSES_MAX = 4096;

export class Switch {
  readonly #sinks = new Map<number, Sink>();
  readonly #learnt = new Map<number, number>(); // address -> port, oldest first
  #nextPort = 1;
  readonly counts = { forwarded: 0, flooded: 0, refused: 0 };

  /** Adds a port and gives its number; numbers are not used again. */
  attach(sink: Sink): number {
    const port = this.#nextPort++;
    this.#sinks.set(port, sink);
    return port;
  }

  detach(port: number): void {
    this.#sinks.delete(port);
    for (const [address, at] of this.#learnt) if (at === port) this.#learnt.delete(address);
  }

  /** Forgets all addresses, as a switch does when it is switched on. */
  forget(): void {
    this.#learnt.clear();
  }

  /** The addresses with their ports, the oldest first. */
  snapshot(): [address: number, port: number][] {
    return [...this.#learnt];
  }

  restore(learnt: readonly (readonly [address: number, port: number])[]): void {
    this.#learnt.clear();
    for (const [address, port] of learnt) this.#learnt.set(address, port);
  }

  /** Takes a frame that came in on `port`. Gives the reason when it is refused, else null. */
  receive(port: number, frame: Uint8Array): string | null {
    const reason = malformed(frame);
    if (reason !== null) {
      this.counts.refused++;
      return reason;
    }
    this.#learn(addressKey(frame, 6), port);
    const target = isGroup(frame, 0) ? undefined : this.#learnt.get(addressKey(frame, 0));
    if (target === port) return null; // the destination is on the sender's own segment
    const sink = target === undefined ? undefined : this.#sinks.get(target);
    if (sink !== undefined) {
      this.counts.forwarded++;
      sink(frame);
      return null;
    }
    this.counts.flooded++;
    for (const [other, flood] of this.#sinks) if (other !== port) flood(frame);
    return null;
  }

  #learn(address: number, port: number): void {
    if (this.#learnt.get(address) === port) return;
    this.#learnt.delete(address);
    this.#learnt.set(address, port);
    if (this.#learnt.size > ADDRESSES_MAX) this.#learnt.delete(this.#learnt.keys().next().value!);
  }
}
