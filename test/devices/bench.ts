// What a device needs around it in a test: a clock that the test moves, memory, and the trace as a list.

import { type Alarm, Timers } from "../../emulator/clock.js";
import type { GuestMemory, Trace } from "../../emulator/devices/device.js";

/** A clock with timers; `advance` moves both, stopping at every deadline as a machine would. */
export class TestClock {
  readonly timers = new Timers();
  time = 0;

  now(): number {
    return this.time;
  }

  alarm(expired: () => void): Alarm {
    return this.timers.alarm(expired);
  }

  advance(nanoseconds: number): void {
    const end = this.time + nanoseconds;
    for (let next = this.timers.nextDeadline(); next <= end; next = this.timers.nextDeadline()) {
      this.time = Math.max(this.time, next);
      this.timers.run(this.time);
    }
    this.time = end;
  }

  /** Moves on without stopping, as a machine that was away for a while. */
  leap(nanoseconds: number): void {
    this.time += nanoseconds;
    this.timers.run(this.time);
  }
}

export class TestMemory implements GuestMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly writes: [physical: number, length: number][] = [];

  constructor(size: number) {
    this.bytes = new Uint8Array(new SharedArrayBuffer(size));
    this.view = new DataView(this.bytes.buffer);
  }

  written(physical: number, length: number): void {
    if (physical < 0 || physical + length > this.bytes.length)
      throw new RangeError(`written(${physical}, ${length}) is outside of RAM`);
    this.writes.push([physical, length]);
  }
}

export function tracer(): { trace: Trace; lines: string[] } {
  const lines: string[] = [];
  return { lines, trace: (source, text) => lines.push(`${source}: ${text}`) };
}

/** Through JSON, as a snapshot on disk would go. */
export const throughJson = <T>(state: T): T => JSON.parse(JSON.stringify(state)) as T;
