import { expect, test } from "vitest";
import * as L from "../../emulator/cpu/layout.js";
import { Microcode } from "../support/microcode.js";

test("after reset memory is flat and RAM answers", () => {
  const m = new Microcode();
  m.physical.setUint32(0x1234, 0xcafebabe, true);
  expect(m.call("loadSlow", 0x1234n, 4)).toBe(0xcafebaben);
  expect(m.u32(L.MODE)).toBe(0);
});
