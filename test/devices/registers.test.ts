import { describe, expect, test } from "vitest";
import { address } from "../../emulator/board/map.js";
import { isRam, Line, notYet, RegisterFile } from "../../emulator/devices/device.js";
import { TestMemory, tracer } from "./bench.js";

describe("a register file", () => {
  const state = { a: 0x11, wide: 0x4433_2211, command: [] as number[], mixed: 0xaaaa_bbbb };
  const { trace, lines } = tracer();
  let vacant = 0;
  const file = new RegisterFile(
    "chip",
    16,
    {
      A: [0, 1, { read: () => state.a, write: (v) => void Object.assign(state, { a: v }) }],
      COMMAND: [1, 1, { write: (v) => state.command.push(v) }],
      FIXED: [2, 2, { read: () => 0x5678 }],
      WIDE: [4, 4, { read: () => state.wide, write: (v) => void Object.assign(state, { wide: v }) }],
      MIXED: [
        8,
        4,
        { read: () => state.mixed, write: (v) => void Object.assign(state, { mixed: v }), bytewise: true },
      ],
      LATER: [12, 1, notYet],
    },
    trace,
    0xff,
    () => vacant++,
  );

  test("an access of a register's own width reaches it", () => {
    file.write(4, 4, 0xdead_beef);
    expect(file.read(4, 4)).toBe(0xdead_beef);
  });

  test("a wider access is several, low first", () => {
    expect(file.read(0, 4)).toBe(0x5678_ff11); // the command register is write-only
    file.write(0, 2, 0x2233);
    expect([state.a, state.command.at(-1)]).toEqual([0x33, 0x22]);
  });

  test("a narrower read sees its part", () => {
    expect(file.read(6, 2)).toBe(0xdead);
    expect(file.read(3, 1)).toBe(0x56);
  });

  test("a narrower write is merged where the row allows it, else dropped and reported", () => {
    file.write(9, 1, 0x77);
    expect(state.mixed).toBe(0xaaaa_77bb);
    lines.length = 0;
    file.write(5, 1, 0x77);
    expect(file.read(4, 4)).toBe(0xdead_beef);
    expect(lines).toEqual(["chip: write of 0x77 to a part of WIDE dropped"]);
  });

  test("what is not implemented, read-only, write-only or not there says so", () => {
    lines.length = 0;
    expect(file.read(12, 1)).toBe(0);
    file.write(12, 1, 5);
    file.write(2, 2, 9);
    expect(file.read(1, 1)).toBe(0xff);
    expect(file.read(14, 1)).toBe(0xff);
    file.write(15, 1, 1);
    expect(lines).toEqual([
      "chip: read of LATER, which is not implemented",
      "chip: write of 0x5 to LATER, which is not implemented",
      "chip: write of 0x9 to FIXED, which is read-only",
      "chip: read of COMMAND, which is write-only",
      "chip: read of nothing at offset 0xe",
      "chip: write of 0x1 to nothing at offset 0xf",
    ]);
    expect(vacant).toBe(2);
  });

  test("overlapping rows and rows outside are refused when it is built", () => {
    const row = { read: () => 0 };
    expect(() => new RegisterFile("x", 4, { A: [0, 2, row], B: [1, 1, row] }, trace)).toThrow(
      /x.B: overlaps A/,
    );
    expect(() => new RegisterFile("x", 4, { A: [2, 4, row] }, trace)).toThrow(/outside/);
  });
});

test("a line tells its wire about edges only, and settles silently", () => {
  const line = new Line();
  const seen: boolean[] = [];
  line.to((level) => seen.push(level));
  for (const level of [false, true, true, false]) line.set(level);
  line.settle(true);
  expect([seen, line.level]).toEqual([[true, false], true]);
});

test("devices reach RAM where the board's map has RAM, and nothing else", () => {
  const memory = new TestMemory(0x20_0000);
  expect(isRam(memory, 0, address.videoHole)).toBe(true);
  expect(isRam(memory, address.videoHole - 1, 2)).toBe(false);
  expect(isRam(memory, address.videoHole, 1)).toBe(false);
  expect(isRam(memory, address.lowRomEnd - 1, 1)).toBe(false);
  expect(isRam(memory, address.highRam, 0x10_0000)).toBe(true);
  expect(isRam(memory, address.highRam, 0x10_0001)).toBe(false);
  for (const wrong of [-1, 2 ** 53, Number.NaN, 0.5]) expect(isRam(memory, wrong, 1)).toBe(false);
  expect(isRam(memory, 0, -1)).toBe(false);
});
