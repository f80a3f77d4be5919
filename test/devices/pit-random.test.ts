// Goal: the PIT, which computes what a counter would hold, tells the same as a counter that counts. Method: both are
// given the same control words, counts, gates and latch commands at random, and are compared at each tick.

import { expect, test } from "vitest";
import { timeOfTick } from "../../emulator/clock.js";
import { Pit } from "../../emulator/devices/pit.js";
import { Random } from "../../emulator/random.js";
import { TestClock, tracer } from "./bench.js";
import { Counter8254 } from "./i8254-model.js";

const HERTZ = 1_193_182;
const SEEDS = 10;
const TICKS = 1_000;
const LINES_SHOWN = 30;
const CONTROL = 3;

/** What one tick may bring to a channel: registers written, and those read with what the data sheet has there. */
class Pair {
  readonly #clock = new TestClock();
  readonly #pit: Pit;
  readonly #counters = [true, true, false].map((gate) => new Counter8254(gate));
  readonly #random: Random;
  readonly #log: string[] = [];
  #tick = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    const alarm = this.#clock.alarm(() => this.#pit.timerExpired());
    this.#pit = new Pit(HERTZ, this.#clock, alarm, tracer().trace);
    for (const channel of [0, 1, 2]) this.#program(channel);
  }

  #write(register: number, value: number): void {
    this.#log.push(`${this.#tick}: ${register} <- ${value.toString(16)}`);
    this.#pit.registers.write(register, 1, value);
  }

  #below(limit: number): number {
    return this.#random.below(limit);
  }

  #program(channel: number): void {
    const word = (channel << 6) | ((1 + this.#below(3)) << 4) | this.#below(16);
    this.#write(CONTROL, word);
    this.#counters[channel].control(word);
  }

  /** A byte of a count: the counter is to come to its end, so high halves are mostly 0; 1 is illegal in modes 2 and 3. */
  #count(channel: number): void {
    const counter = this.#counters[channel];
    const byte =
      counter.highByteNext && this.#below(8) !== 0 ? 0 : this.#below(20) === 0 ? 0 : 2 + this.#below(8);
    this.#write(channel, byte);
    counter.write(byte);
  }

  #gate(): void {
    const gate = this.#below(2) === 0;
    this.#log.push(`${this.#tick}: gate ${gate}`);
    this.#pit.speaker.write(0, 1, gate ? 1 : 0);
    this.#counters[2].setGate(gate);
  }

  #latch(word: number): void {
    this.#write(CONTROL, word);
    if (word >> 6 < 3) this.#counters[word >> 6].latch(true, false);
    else
      for (const [index, counter] of this.#counters.entries())
        if (word & (2 << index)) counter.latch((word & 0x20) === 0, (word & 0x10) === 0);
  }

  #read(channel: number): void {
    const seen = this.#pit.registers.read(channel, 1);
    const wanted = this.#counters[channel].read();
    this.#log.push(
      `${this.#tick}: ${channel} -> ${seen.toString(16)}, by the data sheet ${wanted?.toString(16)}`,
    );
    if (wanted !== undefined) this.#same(seen, wanted);
  }

  #same(seen: unknown, wanted: unknown): void {
    if (seen !== wanted) expect(seen, this.#log.slice(-LINES_SHOWN).join("\n")).toBe(wanted);
  }

  #something(): void {
    const channel = this.#below(4) === 0 ? this.#below(2) : 2;
    const what = this.#below(40);
    if (what === 0) this.#program(channel);
    else if (what < 10) this.#count(channel);
    else if (what < 20) this.#gate();
    else if (what < 22) this.#latch(0xc0 | this.#below(64));
    else if (what < 24) this.#latch(channel << 6);
    else if (what < 27) this.#read(channel);
  }

  /** OUT and count of each channel. */
  #compare(): void {
    this.#latch(0xce);
    for (const channel of [0, 1, 2]) for (let byte = 0; byte < 3; byte++) this.#read(channel);
    this.#same(this.#pit.irq.level, this.#counters[0].out);
    this.#same((this.#pit.speaker.read(0, 1) & 0x20) !== 0, this.#counters[2].out);
  }

  run(): void {
    while (this.#tick < TICKS) {
      for (let steps = this.#below(4); steps > 0; steps--) this.#something();
      this.#compare();
      this.#tick++;
      this.#clock.advance(timeOfTick(this.#tick, HERTZ) - this.#clock.time);
      for (const counter of this.#counters) counter.clock();
      this.#compare();
    }
  }
}

// Intel 8254
test.each(Array.from({ length: SEEDS }, (_, seed) => seed))("as a counter that counts, seed %i", (seed) => {
  new Pair(seed).run();
});
