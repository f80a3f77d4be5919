import { Machine } from "buslock";
import { expect, test } from "vitest";

test("lock add of four cores adds up", async () => {
  const machine = await Machine.create({ cores: 4 });
  machine.start(`mov ecx, 1000
            top: lock add dword ptr [0x50000], 1
                 loop top
                 hlt`);
  machine.run({ seed: 7 });
  expect(machine.read(0x50000, 4)).toBe(4000n);
});
