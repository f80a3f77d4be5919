// Accesses that no operand names: descriptor tables, task state and permission bitmaps on pages with any rights, reached
// from both rings, with SMAP, SMEP, write protection and protection keys. What the processor reads there it reads as the
// supervisor, and EFLAGS.AC does not help (SDM vol. 3A, 4.6.1).

import type { Draw } from "../draw.js";
import type { Mode } from "../layout.js";
import type { Case } from "../rom.js";
import { at, descriptor, quad, selectors } from "../tables.js";

const TABLE = at.data + 0x1000;
const PAGE = TABLE >>> 12;
const KEYS = 0x40_0000;

const explicit = [
  `mov eax, [${TABLE}]`,
  `mov [${TABLE}], eax`,
  `stac;; mov eax, [${TABLE}]`,
  `add dword ptr [${TABLE + 4}], 1`,
  `lock xadd [${TABLE}], eax`,
  `mov eax, [${TABLE - 2}]`,
  `mov [${TABLE + 0xffe}], eax`,
  `mov eax, ${TABLE + 0x80};; jmp REG`,
  `push STACK ptr [${TABLE}]`,
  `bts dword ptr [${TABLE}], 1`,
  `xor eax, eax;; xor ecx, ecx;; xor edx, edx;; wrpkru;; mov eax, [${TABLE}]`,
  "xor ecx, ecx;; rdpkru",
  `mov eax, -1;; xor ecx, ecx;; xor edx, edx;; wrpkru;; mov [${TABLE}], eax`,
  "mov ecx, 1;; rdpkru",
  "xor ecx, ecx;; mov edx, 1;; wrpkru",
  `movups [${TABLE - 8}], xmm0`,
];
const implicit = [
  "mov eax, 0x0f;; mov ds, ax",
  "mov eax, 0x17;; mov fs, ax",
  "mov eax, 0x0f;; lar ecx, eax",
  "mov eax, 0x17;; verw ax",
  "mov eax, 0x0f;; lsl ecx, eax",
  "in al, 0xea",
  "out 0x30, al",
  "mov dx, 0x7f;; out dx, ax",
  `db 0xff, 0x2c, 0x25\ndd ${at.data + 0x100}`,
];

export function implicitly(mode: Mode): (d: Draw) => Case {
  const long = mode === "long";
  return (d) => {
    const ring = d.pick([0, 3, 3] as const);
    const bits = long ? d.pick([64, 64, 32] as const) : 32;
    const named = d.rarely(2);
    let code = d
      .pick(named ? explicit : implicit)
      .replace("REG", bits === 64 ? "rax" : "eax")
      .replace("STACK", bits === 64 ? "qword" : "dword");
    if (code.startsWith("db 0xff") && bits === 32) code = `db 0xff, 0x2d\ndd ${at.data + 0x100}`;
    const key = d.below(4);
    const entry =
      BigInt(TABLE) |
      (d.rarely(10) ? 0n : 1n) |
      BigInt(d.pick([2, 0, 6, 4, 6, 2])) |
      BigInt(d.pick([0, 0x20, 0x60, 0x40])) |
      (long ? BigInt(key) << 59n : 0n) |
      (d.rarely(5) ? 1n << 63n : 0n);
    const page = { legacy: at.paeTable, long: at.longTable }[mode] + 8 * PAGE;
    const words = quad(page, entry);
    // The LDT, a TSS whose bitmap is on the page, and code that lands
    words.push(...quad(at.gdt + selectors.ldt, descriptor(0x82, TABLE, 0x1f)));
    const state = TABLE - 0x68;
    words.push(...quad(at.gdt + selectors.task, descriptor(0x89, state, 0x1ff)));
    for (let i = 0; i < 0x68; i += 4) words.push([state + i, 0]);
    words.push(
      [state + 4, at.stack0],
      [state + 8, selectors.data],
      [state + 0x24, 0x5_7000],
      [state + 0x64, 0x68 << 16],
    );
    words.push(
      ...quad(TABLE + 8, descriptor(d.pick([0xf2, 0xf3]), 0, 0xf_ffff, 0xc0)),
      ...quad(TABLE + 0x10, descriptor(d.pick([0xf2, 0xf3, 0xfa]), 0, 0xf_ffff, long ? 0xa0 : 0xc0)),
    );
    words.push(
      [TABLE + 0x80, 0x40cd_40cd],
      [at.data + 0x100, at.landing],
      [at.data + 0x104, 0x17],
      [at.landing, 0x40cd_40cd],
    );
    for (let i = 0; i < 0x20; i += 4)
      if (i !== 8 && i !== 12 && i !== 0x10 && i !== 0x14) words.push([TABLE + i, d.pick([0, 0xffff_ffff])]);
    const pick = (bit: number, once: number) => (d.rarely(once) ? bit : 0);
    return {
      name: `implicit ${mode}`, code, bits, ring, words,
      registers: {
        pkru: d.bits() & 0xff, // Neither reference tells ring 0's implicit accesses from explicit ones: AC lets both through.
        flags: named ? d.pick([2, 0x4_0002]) : 2 | pick(0x3000, 4), cr3: long ? at.pml4 : at.paePointers,
        cr0: 0x8000_0033 | pick(0x1_0000, 2), cr4: (long ? 0x620 : 0x630) | pick(0x20_0000, 2) | (ring === 3 ? pick(0x10_0000, 2) : 0) | (long ? pick(KEYS, 2) : 0), efer: long ? 0xd01 : 0x800,
      },
    }; // biome-ignore format: one idea a line
  };
}
