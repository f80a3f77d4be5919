import { expect, test } from "vitest";
import { Cpu } from "../support/cpu.js";

test("a loop counts down", async () => {
  const cpu = await Cpu.create();
  cpu.start("mov ecx, 10;; xor eax, eax;; again: add eax, ecx;; dec ecx;; jnz again;; hlt");
  const n = cpu.run(1000);
  expect(cpu.state().register("rax")).toBe(55n);
  expect(n).toBe(2 + 30 + 1);
});
