// Differences of pages: what one machine writes another makes the same page of, and nothing else is believed.
import { expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import { chance } from "../support/search.js";

const kernel = new KernelWasm();
const PAGE = 4096;
const most = kernel.constant("DIFFERENCE_MAX");
const [before, now, there, difference] = [PAGE, PAGE, PAGE, PAGE].map((bytes) => kernel.room(bytes)) as [
  number,
  number,
  number,
  number,
];

test("random changes of random pages arrive, in few bytes or not at all", () => {
  const next = chance(11);
  let written = 0;
  for (let round = 0; round < 2000; round++) {
    for (let at = 0; at < PAGE; at += 4) kernel.view.setUint32(before + at, next(2 ** 32), true);
    kernel.bytes.copyWithin(now, before, before + PAGE);
    kernel.bytes.copyWithin(there, before, before + PAGE);
    const changes = next(round % 2 === 0 ? 12 : 300);
    const words = new Set<number>();
    for (let i = 0; i < changes; i++) {
      const at = next(PAGE);
      kernel.bytes[now + at] = next(256);
      words.add(at >> 3);
    }
    const bytes = kernel.call("differenceWrite")(now, before, difference);
    if (bytes > most) {
      expect(words.size).toBeGreaterThan(most / 32);
      continue;
    }
    written++;
    expect(bytes).toBeLessThanOrEqual(words.size * 32);
    expect(kernel.call("differenceValid")(difference, bytes)).toBe(1);
    kernel.call("differenceApply")(there, difference, bytes);
    expect(Buffer.compare(kernel.bytes.slice(there, there + PAGE), kernel.bytes.slice(now, now + PAGE))).toBe(
      0,
    );
  }
  expect(written).toBeGreaterThan(900);
});

test("no change is no bytes", () => {
  kernel.bytes.copyWithin(now, before, before + PAGE);
  expect(kernel.call("differenceWrite")(now, before, difference)).toBe(0);
  expect(kernel.call("differenceValid")(difference, 0)).toBe(1);
});

const refused: [string, number[][]][] = [
  ["a run behind the page's end", [[4096, 8]]],
  ["a run across the page's end", [[4088, 16]]],
  ["a run of nothing", [[0, 0]]],
  ["an offset between words", [[4, 8]]],
  [
    "runs that overlap",
    [
      [8, 16],
      [16, 8],
    ],
  ],
  [
    "runs out of order",
    [
      [64, 8],
      [8, 8],
    ],
  ],
  ["more than there is", [[0, 64]]],
];
test.each(refused)("refused: %s", (what, runs) => {
  let at = difference;
  kernel.bytes.fill(0, difference, difference + PAGE);
  for (const [offset, length] of runs as [number, number][]) {
    kernel.view.setUint16(at, offset, true);
    kernel.view.setUint16(at + 2, length, true);
    at += 8 + length;
  }
  const bytes = what === "more than there is" ? 16 : at - difference;
  expect(kernel.call("differenceValid")(difference, bytes)).toBe(0);
});

test("refused: half a header, and one with something in its empty part", () => {
  kernel.bytes.fill(0, difference, difference + 32);
  kernel.view.setUint16(difference + 2, 8, true);
  expect(kernel.call("differenceValid")(difference, 16)).toBe(1);
  expect(kernel.call("differenceValid")(difference, 20)).toBe(0);
  kernel.bytes[difference + 5] = 1;
  expect(kernel.call("differenceValid")(difference, 16)).toBe(0);
});
