// Virtual interrupts: CR4.VME with any IOPL, VIF and VIP, and a redirection bitmap, in virtual-8086 mode; CR4.PVI in ring 3.
// QEMU redirects no INT n; what begins with VIF and VIP set is #GP on neither of the two (virtual-8086.test.ts has that).

import type { Draw } from "../draw.js";
import type { Mode } from "../layout.js";
import type { Case } from "../rom.js";
import { at } from "../tables.js";

const VM = 0x2_0000;
const VIF = 0x8_0000;
const VIP = 0x10_0000;
const IF = 0x200;
const images = [0, IF, 0x100, 0x300, 0x3000, 0x3200, 0x4ad7, 0x7fff, 0x7edd];

const word = (n: number) => `push ${n}`;
const interrupted = (d: Draw) =>
  d.pick([
    "int 0x41", "int 0x41", "int 0x20", "int 0x40", "int 3", "int3", "db 0xf1", "mov al, 0x7f;; inc al;; into", "int 0x41;; nop", "int 0xff", "int 0",
  ]); // biome-ignore format: a list

const instruction = (d: Draw): string =>
  d.pick([
    () => "cli",
    () => "sti",
    () => "cli;; pushf;; sti;; pushf",
    () => "pushf;; pop ax",
    () => "pushfd",
    () => `${word(d.pick(images))};; popf`,
    () => `${word(d.pick(images))};; popf;; pushf;; pop bx`,
    () => "popfd",
    () => `${word(d.pick(images))};; push 0x1080;; push 0;; iret`,
    () => "db 0x66, 0xcf",
    () => interrupted(d),
    () => interrupted(d),
  ])();

/** The permission bitmap moves up, to leave room for the one of interrupts. */
function task(d: Draw): [number, number][] {
  const map = d.pick([0xc0, 0xc0, 0xc0, 0xc0, 0x88, 0x20, 0x21f, 0x2000, 0xffff]);
  const words: [number, number][] = [[at.tss + 0x64, map << 16]];
  for (let i = 0; i < 32; i += 4) {
    const bits = d.pick([0, 0, 0xffff_ffff, 1, 2]);
    words.push([at.tss + 0xa0 + i, bits], [at.tss + 0xc0 + i, 0]);
  }
  return words;
}

/** Vectors 0, 3, 20 and 41 of the program's own table, in a page of its own, go to the landing place. */
const table: [number, number][] = [
  ...[0, 3, 0x20, 0x41].map((n): [number, number] => [4 * n, (at.landing >>> 4) << 16]),
  [at.landing, 0x40cd_40cd],
  [at.table, 7],
];

export function virtualInterrupts(d: Draw): Case {
  const code = instruction(d);
  const iopl = d.pick([0, 0, 1, 2, 3, 3]) << 12;
  const pending = d.pick([0, 0, VIF, VIF, VIP]);
  return {
    name: code, code, bits: 16, virtual: true, events: 2,
    words: [...task(d), ...table],
    registers: { flags: 2 | VM | iopl | pending | d.pick([0, IF, 0x100, 0x4000]), cr4: d.rarely(6) ? 0x610 : 0x611, rsp: d.pick([0xff0, 0xff0, 4, 0xfffe]) },
  }; // biome-ignore format: one idea a line
}

export function protectedInterrupts(mode: Mode): (d: Draw) => Case {
  const wide = mode === "long";
  const flags = wide ? "pushfq;; pop rax" : "pushfd;; pop eax";
  return (d) => {
    const code = d.pick([
      "cli",
      "sti",
      `cli;; ${flags}`,
      `sti;; ${flags}`,
      flags,
      `push ${d.pick(images) & ~0x100};; popf${wide ? "q" : "d"};; ${flags}`,
      "int 0x41",
    ]);
    return {
      name: code, code, bits: wide ? 64 : 32, ring: d.pick([0, 3, 3, 3] as const), events: 2,
      registers: { flags: 2 | (d.below(4) << 12) | d.pick([0, VIF, VIP]) | d.pick([0, IF]), cr4: (wide ? 0x620 : 0x610) | d.pick([0, 1, 2, 2, 3]) },
    }; // biome-ignore format: one idea a line
  };
}
