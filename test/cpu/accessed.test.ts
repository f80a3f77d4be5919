// The accessed bit of segment descriptors: set when a register is loaded (SDM vol. 3A, 3.4.5.1), so a transfer that fails
// marks nothing, whichever of its two segments was good; one that is done marks both. Bochs agrees.

import { beforeAll, describe, expect, test } from "vitest";
import { Cpu, GDT } from "../support/cpu.js";

let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create();
});

const HANDLERS = 0x4_0000;
const TARGET = 0x5_0000;
const FRESH_CODE = 0x48;
const FRESH_DATA = 0x50;
const GATE = 0x58; // and 60
const [USER, INNER] = [0x60, 0];
const marked = (selector: number) => (Number(cpu.read(GDT + (selector & ~7) + 5, 1)) & 1) !== 0;

/** Runs 64-bit code at ring 0, with code (of that DPL) and data (DPL 3) that nobody has touched. */
function run(program: string, dpl: number): number {
  cpu.start(program);
  cpu.state().gdtr = { base: BigInt(GDT), limit: 0x67 };
  cpu.write(GDT + FRESH_CODE, 8, 0x00af_9a00_0000_ffffn | (BigInt(dpl) << 40n));
  cpu.write(GDT + FRESH_DATA, 8, 0x00cf_f200_0000_ffffn);
  cpu.write(
    GDT + GATE,
    8,
    BigInt(TARGET & 0xffff) |
      (BigInt(FRESH_CODE) << 16n) |
      0xec00_0000_0000n |
      (BigInt(TARGET >>> 16) << 48n),
  );
  cpu.write(GDT + GATE + 8, 8, 0);
  cpu.place(TARGET, "mov esi, 1;; hlt");
  cpu.state().set({ rsi: 0 });
  for (const vector of [11, 12, 13, 14]) {
    cpu.place(HANDLERS + 16 * vector, `mov esi, ${vector};; hlt`);
    cpu.gate(vector, HANDLERS + 16 * vector);
  }
  cpu.gate(0x30, TARGET);
  cpu.write(0x9000 + 16 * 0x30 + 2, 2, FRESH_CODE); // its gate's selector
  cpu.run(50);
  return Number(cpu.state().register("rsi"));
}

const leave = (ss: number) =>
  ["retf", "iret"].map(
    (way) => `${[ss, 0x6_0000].map((n) => `push ${n}`).join("\n")}
  ${way === "iret" ? "push 2" : ""}
  push ${FRESH_CODE | 3}
  mov eax, ${TARGET};; push rax
  ${way === "iret" ? "iretq" : "db 0x48, 0xcb"}`,
  );

describe("accessed bits of descriptors (SDM vol. 3A, 3.4.5.1)", () => {
  test("a return that fails for its SS leaves CS's descriptor alone, one that is done marks both", () => {
    for (const program of leave(FRESH_DATA)) {
      // RPL 0 of SS is not the level that is returned to
      expect(run(program, USER)).toBe(13);
      expect([marked(FRESH_CODE), marked(FRESH_DATA)]).toEqual([false, false]);
    }
    for (const program of leave(FRESH_DATA | 3)) {
      expect(run(program, USER)).toBe(13); // HLT, in ring 3
      expect([marked(FRESH_CODE), marked(FRESH_DATA)]).toEqual([true, true]);
    }
  });

  test("a call or interrupt that cannot push leaves CS's descriptor alone", () => {
    for (const what of ["db 0xcd, 0x30", "db 0xff, 0x1c, 0x25;; dd 0x30000"]) {
      const point = `mov dword ptr [0x30000], 0;; mov word ptr [0x30004], ${GATE}`;
      const good = run(`${point}\n${what}`, INNER);
      expect([what, good, marked(FRESH_CODE)]).toEqual([what, 1, true]);
      run(`${point}\nmov rsp, 0x8000000000000000\n${what}`, INNER);
      expect([what, marked(FRESH_CODE)]).toEqual([what, false]);
    }
  });
});
