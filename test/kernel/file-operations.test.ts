// What the kernel has for files, by the symbols of its image, as nm shows them.
import { expect, test } from "vitest";
import { kernelPath, readImage } from "../../emulator/images.js";
import { elfSymbols } from "../../emulator/symbols.js";

test("promise 76: there is no lease among the operations on files; coherence is the page protocol's", () => {
  const { names } = elfSymbols(readImage("kernel", kernelPath));
  const ofFiles = names.filter((name) => /^kernel\/(fs|process\/file-calls)\//.test(name));
  expect(ofFiles.length).toBeGreaterThan(20);
  expect(ofFiles.filter((name) => /lease/i.test(name.replace(/release/gi, "")))).toEqual([]);
  expect(ofFiles).toContain("kernel/fs/file/writeShared");
});
