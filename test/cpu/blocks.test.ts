// The cache of decoded blocks: a block is found again while the code that it was made from is as it was, also when its
// instruction runs on into another page, and never afterwards.

import { describe, expect, test } from "vitest";
import { type DecodedBlock, NO_LINK } from "../../emulator/cpu/block-decoder.js";
import { Blocks, type CodePlace, type SecondPage } from "../../emulator/cpu/blocks.js";
import { OP_BYTES } from "../../emulator/cpu/layout.js";

const CACHE_AT = 4096;
const CACHE_BYTES = 1 << 20;
const [FIRST_WORD, SECOND_WORD] = [16, 32];

function cache() {
  const buffer = new SharedArrayBuffer(CACHE_AT + CACHE_BYTES);
  const words = new Uint32Array(buffer);
  words[FIRST_WORD >>> 2] = 3;
  words[SECOND_WORD >>> 2] = 5;
  return { words, blocks: new Blocks(buffer, CACHE_AT, CACHE_BYTES, () => {}) };
}
const instruction = (length: number): DecodedBlock => ({
  bytes: new Uint8Array(length),
  length,
  count: 1,
  words: new Int32Array((2 * OP_BYTES) / 4),
  wordCount: (2 * OP_BYTES) / 4,
  links: Float64Array.of(NO_LINK, NO_LINK),
});
const place: CodePlace = {
  rip: 0x1ffcn,
  physical: 0x5ffc,
  key: 0,
  bytes: new Uint8Array(4),
  generationAt: FIRST_WORD,
  generation: 3,
};
const second: SecondPage = {
  bytes: new Uint8Array(15),
  page: 9,
  generationAt: SECOND_WORD,
  generation: 5,
};

describe("a block whose instruction runs on into a second page", () => {
  test("is found with that page, and with no other", () => {
    const { blocks } = cache();
    const block = blocks.add(place, instruction(7), second);
    expect(blocks.find(place, second)).toBe(block);
    expect(blocks.find(place)).toBe(0);
    expect(blocks.find(place, { ...second, page: 8 })).toBe(0);
  });
  test.each([
    ["first", FIRST_WORD],
    ["second", SECOND_WORD],
  ])("is not found once code of the %s page has changed", (_, word) => {
    const { blocks, words } = cache();
    blocks.add(place, instruction(7), second);
    words[word >>> 2] += 2;
    expect(blocks.find(place, second)).toBe(0);
  });
  test("is not found where the code segment ends before it", () => {
    const { blocks } = cache();
    blocks.add(place, instruction(7), second);
    expect(blocks.find(place, { ...second, bytes: new Uint8Array(2) })).toBe(0);
  });
});

test("a block of one page is found without a second", () => {
  const { blocks } = cache();
  const block = blocks.add(place, instruction(3));
  expect(blocks.find(place)).toBe(block);
  expect(blocks.find(place, second)).toBe(0);
});
