// Intel 8259A data sheet; the pair as a PC wires it.

import { beforeEach, describe, expect, test } from "vitest";
import { PicPair } from "../../emulator/devices/pic.js";
import { throughJson, tracer } from "./bench.js";

let pair: PicPair;
let edges: boolean[];
let lines: string[];

const command = (value: number) => pair.master.write(0, 1, value);
const data = (value: number) => pair.master.write(1, 1, value);
const slaveCommand = (value: number) => pair.slave.write(0, 1, value);
const slaveData = (value: number) => pair.slave.write(1, 1, value);
const read = (ocw3: number) => {
  command(ocw3);
  return pair.master.read(0, 1);
};
const isr = () => read(0x0b);
const irr = () => read(0x0a);

/** ICW1 to ICW4 of both chips: vectors 0x20 and 0x28. */
function initialise(icw4 = 1, slaveIcw4 = 1): void {
  command(0x11);
  for (const word of [0x20, 0x04, icw4]) data(word);
  slaveCommand(0x11);
  for (const word of [0x28, 0x02, slaveIcw4]) slaveData(word);
}

beforeEach(() => {
  const traced = tracer();
  lines = traced.lines;
  edges = [];
  pair = new PicPair(traced.trace);
  pair.intr.to((level) => edges.push(level));
  initialise();
});

describe("a request", () => {
  test("raises INTR, is acknowledged with its vector, and ends by EOI", () => {
    pair.setLine(4, true);
    expect([pair.intr.level, irr()]).toEqual([true, 0x10]);
    expect(pair.acknowledge()).toBe(0x24);
    expect([pair.intr.level, irr(), isr()]).toEqual([false, 0, 0x10]);
    command(0x20);
    expect(isr()).toBe(0);
    expect(pair.intr.level).toBe(false); // still high, but that was one edge
    pair.setLine(4, false);
    pair.setLine(4, true);
    expect(edges).toEqual([true, false, true]);
  });

  test("of the highest input, 0, is one as well", () => {
    pair.setLine(0, true);
    expect(pair.intr.level).toBe(true);
    pair.setLine(0, false);
    expect(pair.intr.level).toBe(false);
  });

  test("that comes again while it is served waits for the EOI", () => {
    pair.setLine(4, true);
    pair.acknowledge();
    pair.setLine(4, false);
    pair.setLine(4, true);
    expect(pair.intr.level).toBe(false);
    command(0x20);
    expect(pair.intr.level).toBe(true);
  });

  test("of the slave comes through the cascade; both chips want an EOI", () => {
    pair.setLine(12, true);
    expect(pair.acknowledge()).toBe(0x2c);
    expect(isr()).toBe(4);
    pair.setLine(9, true); // higher within the slave, but the master still serves the slave
    expect(pair.intr.level).toBe(false);
    slaveCommand(0x20);
    command(0x20);
    expect(pair.acknowledge()).toBe(0x29);
  });

  test.each([
    [[1, 5], 0x21],
    [[9, 5], 0x29],
    [[0, 15], 0x20],
    [[14, 8], 0x28],
  ])("lines %j: the highest priority goes first", (inputs, vector) => {
    for (const input of inputs) pair.setLine(input, true);
    expect(pair.acknowledge()).toBe(vector);
  });

  test("of higher priority interrupts one in service, a lower one waits", () => {
    pair.setLine(5, true);
    pair.acknowledge();
    pair.setLine(6, true);
    expect(pair.intr.level).toBe(false);
    pair.setLine(1, true);
    expect(pair.acknowledge()).toBe(0x21);
    command(0x20);
    expect(pair.intr.level).toBe(false);
    command(0x20);
    expect(pair.acknowledge()).toBe(0x26);
  });

  test("is held back by the mask and comes when it goes", () => {
    data(0x10);
    pair.setLine(4, true);
    expect([pair.intr.level, irr(), pair.master.read(1, 1)]).toEqual([false, 0x10, 0x10]);
    data(0);
    expect(pair.intr.level).toBe(true);
  });

  test("that goes away before INTA leaves the spurious IR7, without an ISR bit", () => {
    pair.setLine(4, true);
    pair.setLine(4, false);
    expect([pair.intr.level, pair.acknowledge(), isr()]).toEqual([false, 0x27, 0]);
  });

  test("of the slave that goes away: the slave's IR7, and the master serves the cascade", () => {
    pair.setLine(12, true);
    pair.intr.to((level) => level || pair.setLine(12, false)); // falls during the first INTA
    expect([pair.acknowledge(), isr()]).toEqual([0x2f, 4]);
  });
});

describe("end of interrupt", () => {
  test("specific EOI ends the one named", () => {
    for (const input of [5, 1]) {
      pair.setLine(input, true);
      pair.acknowledge();
    }
    command(0x65);
    expect(isr()).toBe(2);
  });

  test("automatic EOI leaves nothing in service", () => {
    initialise(3, 3);
    pair.setLine(3, true);
    expect([pair.acknowledge(), isr()]).toEqual([0x23, 0]);
    for (const input of [9, 12]) pair.setLine(input, true);
    expect([pair.acknowledge(), pair.acknowledge()]).toEqual([0x29, 0x2c]);
  });

  test("rotate on non-specific EOI makes the served one the lowest", () => {
    pair.setLine(3, true);
    pair.acknowledge();
    pair.setLine(3, false);
    command(0xa0);
    for (const input of [3, 1, 4]) pair.setLine(input, true);
    const order = [0, 1, 2].map(() => {
      const vector = pair.acknowledge();
      command(0x20);
      return vector;
    });
    expect(order).toEqual([0x24, 0x21, 0x23]);
  });

  test("rotate on specific EOI, and set priority", () => {
    pair.setLine(3, true);
    pair.acknowledge();
    command(0xe5); // ends nothing that is in service but makes 5 the lowest
    expect(isr()).toBe(8);
    command(0x63);
    command(0xc6); // 6 the lowest, 7 the highest
    for (const input of [7, 0]) pair.setLine(input, true);
    expect(pair.acknowledge()).toBe(0x27);
  });

  test("rotate in automatic EOI mode, set and cleared", () => {
    initialise(3);
    command(0x80);
    pair.setLine(3, true);
    pair.acknowledge();
    pair.setLine(3, false);
    for (const input of [3, 4]) pair.setLine(input, true);
    expect(pair.acknowledge()).toBe(0x24);
    command(0x00);
    expect(pair.acknowledge()).toBe(0x23);
    pair.setLine(4, false);
    pair.setLine(3, false);
    for (const input of [4, 3]) pair.setLine(input, true);
    expect(pair.acknowledge()).toBe(0x23); // 4 is still the lowest
  });
});

describe("modes", () => {
  test("special mask mode: one in service and masked no longer blocks lower ones", () => {
    pair.setLine(2 + 1, true);
    pair.acknowledge();
    pair.setLine(6, true);
    data(0x08);
    expect(pair.intr.level).toBe(false);
    command(0x68);
    expect(pair.acknowledge()).toBe(0x26);
    command(0x20); // non-specific EOI passes over the masked one
    expect(isr()).toBe(8);
    command(0x48);
  });

  test("special fully nested mode: the slave's further requests come through", () => {
    initialise(0x11);
    pair.setLine(12, true);
    pair.acknowledge();
    pair.setLine(9, true);
    expect(pair.acknowledge()).toBe(0x29);
    pair.setLine(5, true);
    expect(pair.intr.level).toBe(false);
  });

  test("poll: the next read is the acknowledge", () => {
    pair.setLine(4, true);
    command(0x0c);
    expect(pair.master.read(0, 1)).toBe(0x84);
    expect(isr()).toBe(0x10);
    command(0x0c);
    expect(pair.master.read(0, 1)).toBe(0);
    pair.setLine(0, true);
    command(0x0c);
    expect(pair.master.read(0, 1)).toBe(0x80);
  });

  test("ELCR: level-triggered inputs request as long as they are asserted; some can only be edges", () => {
    pair.elcr.write(0, 2, 0xffff);
    expect(pair.elcr.read(0, 2)).toBe(0xdef8);
    pair.setLine(11, true);
    for (let round = 0; round < 3; round++) {
      expect(pair.acknowledge()).toBe(0x2b);
      slaveCommand(0x20);
      command(0x20);
    }
    pair.setLine(11, false);
    expect(pair.intr.level).toBe(false);
  });

  test("LTIM of ICW1 makes all inputs levels", () => {
    command(0x19);
    for (const word of [0x20, 0x04, 0x01]) data(word);
    pair.setLine(1, true);
    pair.acknowledge();
    command(0x20);
    expect(pair.intr.level).toBe(true);
  });

  test("without ICW4 the vector is not that of an x86: it says so", () => {
    command(0x10);
    for (const word of [0x20, 0x04]) data(word);
    pair.setLine(1, true);
    pair.acknowledge();
    expect(lines.at(-1)).toMatch(/MCS-80\/85 mode is not implemented/);
  });

  test("a single chip takes no ICW3", () => {
    command(0x13);
    for (const word of [0x40, 0x01, 0xf0]) data(word); // ICW2, ICW4, OCW1
    expect(pair.master.read(1, 1)).toBe(0xf0);
  });

  test("ICW1 clears mask, service, edges and priorities", () => {
    data(0x55);
    pair.setLine(1, true);
    command(0xc3);
    initialise();
    expect([irr(), isr(), pair.master.read(1, 1)]).toEqual([0, 0, 0]);
  });
});

test("the cascade is nobody's line", () => {
  expect(() => pair.setLine(2, true)).toThrow(/cascade/);
});

test("a snapshot round trip keeps requests, service and modes, and makes no edge", () => {
  pair.setLine(12, true);
  pair.acknowledge();
  pair.setLine(1, true);
  command(0x68);
  const saved = throughJson(pair.snapshot());
  initialise();
  edges.length = 0;
  pair.restore(saved);
  expect([pair.snapshot(), edges, pair.intr.level]).toEqual([saved, [], true]);
  expect(pair.acknowledge()).toBe(0x21);
});

test("the master's and slave's own ports answer bytes only by register", () => {
  data(0x0f);
  expect(pair.master.read(0, 2)).toBe(0x0f00);
});
