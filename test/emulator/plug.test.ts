// What `buslock boot` plugs in for its options.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Machine } from "../../emulator/index.js";
import { plug } from "../../emulator/plug.js";
import { temporaryFolder } from "../support/folder.js";

test("--debug-console prints what port E9 is given, though the test device has that port otherwise", async () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "e9");
  try {
    const { options, end } = plug({ seed: 1, debugConsole: `file:${path}` });
    const machine = await Machine.create({ memory: 1 << 20, ...options });
    machine.start("mov al, 0x4f;; out 0xe9, al;; mov al, 0x4b;; out 0xe9, al;; hlt");
    expect(machine.run()).toBe("halted");
    await end();
    expect(readFileSync(path, "latin1")).toBe("OK");
  } finally {
    folder.remove();
  }
  expect(plug({ seed: 1 }).options.testDevice).toBe(true);
});
