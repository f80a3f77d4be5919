// Registers with rules, and what goes from ring to ring without gates: MSRs, control and debug registers, XCR0, SYSCALL and
// SYSENTER and their returns, SWAPGS, FS and GS bases, UMIP, and who may read the counters.

import type { Draw } from "../draw.js";
import type { Mode } from "../layout.js";
import type { Case } from "../rom.js";
import { at, descriptor, quad, selectors } from "../tables.js";

const NUMBERS = [
  0xc000_0080, 0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084, 0xc000_0100, 0xc000_0101, 0xc000_0102,
  0x174, 0x175, 0x176,
];
const ADDRESSES: [number, number][] = [
  [0, at.landing], [0, 0], [0x7fff, 0xffff_ffff], [0x8000, 0], [0xffff_8000, 0], [0xffff_7fff, 0xffff_ffff], [0xffff_ffff, 0xffff_fff0], [1, 0x1_0000], [0x008b_0008, at.landing], [0x8000_0000, 0],
]; // biome-ignore format: a list

const hex = (n: number) => `0x${(n >>> 0).toString(16)}`;
const write = (d: Draw) => {
  const number = d.pick(NUMBERS);
  const efer = [0x501, 0xd01, 0x500, 0xd00, 0x100, 0x901, 0x1501, 0x2501, 0x4501, 0x0d03, 0x8d01, 0x400, 0x1];
  const [above, low] = number === 0xc000_0080 ? [d.rarely(8) ? 1 : 0, d.pick(efer)] : d.pick(ADDRESSES);
  // SFMASK has 32 bits; what a write to the others does no manual says.
  const high = number === 0xc000_0084 ? 0 : above;
  return `mov ecx, ${hex(number)};; mov eax, ${hex(low)};; mov edx, ${hex(high)};; wrmsr`;
};

const wide = (high: number, low: number) =>
  `mov rax, 0x${(BigInt(high >>> 0) * 0x1_0000_0000n + BigInt(low >>> 0)).toString(16)}`;

function control(d: Draw, long: boolean): string {
  const bit = () => 1 << d.below(32);
  const r = long ? "rax" : "eax";
  const [cr0, cr4] = [0x8001_0033, long ? 0x620 : 0x610];
  const high = long && d.rarely(6) ? `mov ecx, 1;; shl rcx, ${32 + d.below(32)};; or rax, rcx;; ` : "";
  switch (d.below(7)) {
    case 0:
      return `mov eax, ${hex(cr0 ^ bit() ^ (d.rarely(3) ? bit() : 0))};; ${high}mov cr0, ${r};; jmp next;; next: mov ${r}, cr0`;
    case 1: {
      // What both machines have: not what only one of the announced processors would
      const known = [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 19, 22, 25, 26, 27, 28, 29, 30, 31, 20, 21, 16,
      ].filter((n) => n > 1 || n === 2);
      return `mov eax, ${hex(cr4 ^ (1 << d.pick(known)))};; ${high}mov cr4, ${r};; mov ${r}, cr4`;
    }
    case 2:
      return `mov eax, ${hex((long ? at.pml4 : at.directory) | d.pick([0, 8, 0x10, 0x18, 1, 0x800]))};; ${high}mov cr3, ${r};; nop`;
    case 3:
      return long
        ? `mov eax, ${d.pick([0, 5, 15, 16, 0xff])};; mov cr8, rax;; mov rcx, cr8;; xor eax, eax;; mov cr8, rax`
        : "mov eax, cr2";
    case 4:
      return `mov eax, ${hex(bit() | d.pick([0, 0x400, 0xffff_0ff0]))};; ${high}mov ${d.pick(["dr6", "dr7"])}, ${r};; mov ${r}, dr6`;
    case 5:
      return `mov eax, ${hex(bit())};; lmsw ax;; smsw eax`;
    default:
      return `mov eax, ${hex(d.pick([1, 3, 2, 0, 7, 5, 0x12, 0xffff_ffff, 0x201]))};; xor edx, edx;; mov ecx, ${d.pick([0, 0, 0, 1])};; xsetbv`;
  }
}

const UNPRIVILEGED = [
  "sgdt [0x11000]",
  "sidt [0x11000]",
  "sldt ax",
  "sldt [0x11000]",
  "str ax",
  "str [0x11000]",
  "smsw ax",
  "smsw eax",
  "smsw [0x11000]",
];
const PRIVILEGED = [
  "lgdt [0x11000]",
  "lidt [0x11000]",
  "lldt ax",
  "ltr ax",
  "lmsw ax",
  "clts",
  "invlpg [0x11000]",
  "wbinvd",
  "mov eax, 1;; mov cr8, rax",
  "mov rax, cr0",
  "mov rax, dr7",
  "mov dr7, rax",
  "mov ecx, 0x174;; rdmsr",
  "mov ecx, 0x174;; xor edx, edx;; wrmsr",
  "hlt",
  "swapgs",
  "invd",
  "stac",
  "clac",
  "xor ecx, ecx;; xgetbv",
  "xor ecx, ecx;; xor eax, eax;; xor edx, edx;; xsetbv",
  "monitor",
  "mwait",
  "cli",
  "sti",
  "in al, 0xea",
  "out 0x84, al",
  "mov dx, 0x24;; out dx, al",
];

function away(d: Draw, long: boolean): string {
  const sfmask = `mov ecx, 0xc0000084;; mov eax, ${hex(d.pick([0, 0x100, 0x200, 0x4_7700, 0xffff_ffff]))};; xor edx, edx;; wrmsr;; `;
  const before = d.rarely(2) ? sfmask : "";
  const flags = d.rarely(2)
    ? `push ${hex(d.pick([0x202, 0x3ad7, 0x4002, 0x4_0002, 0x20_0002]))};; popf;; `
    : "";
  const target = d.pick([
    [0, at.landing],
    [0, at.landing],
    [0x8000, 0],
    [0xffff_8000, 0],
    [0x7fff, 0xffff_ffff],
    [1, 0],
  ] as [number, number][]);
  const r11 = d.pick([0x202, 2, 0x3ad7, 0x1_0002, 0x2_0002, 0x102, 0x24_4002, 0xffff_ffff & ~0x100]);
  if (!long)
    return d.pick([
      `${flags}syscall`,
      `mov ecx, ${hex(at.landing)};; ${flags}sysret`,
      "sysenter",
      `mov ecx, ${hex(at.stack3)};; mov edx, ${hex(at.landing)};; sysexit`,
      `mov ecx, 0x174;; mov eax, ${d.pick([0, 3, 8, 0xb, 0x1_0008, 0x1_0000])};; xor edx, edx;; wrmsr;; ${d.pick(["sysenter", `mov ecx, ${hex(at.stack3)};; mov edx, ${hex(at.landing)};; sysexit`])}`,
    ]);
  const lands = `${wide(...target)};; mov rcx, rax;; mov r11, ${hex(r11)};; `;
  return d.pick([
    `${before}${flags}syscall`,
    `${before}${flags}syscall`,
    `${lands}sysret`,
    `${lands}db 0x48, 0x0f, 0x07`,
    `${lands}db 0x48, 0x0f, 0x07`,
    "sysenter",
    `mov ecx, ${hex(at.stack3)};; mov edx, ${hex(at.landing)};; sysexit`,
  ]);
}

const bases = (d: Draw) =>
  `${wide(...d.pick(ADDRESSES))};; ${d.pick(["wrfsbase rax", "wrgsbase rax", "wrfsbase eax", "wrgsbase eax;; swapgs"])};; ${d.pick(["rdfsbase rcx", "mov ax, fs:[0]", "mov ax, gs:[8]", "mov fs, cx", "xor ecx, ecx;; mov gs, cx", `mov ecx, ${selectors.userData};; mov fs, cx`, "swapgs;; mov al, gs:[0]", "push fs;; pop fs"])}`;

/** With `umip`, which not every processor has, what rings 0 and 3 may run under it. */
export function system(mode: Mode, umip = false): (d: Draw) => Case {
  const long = mode === "long";
  return (d) => {
    const kind = umip
      ? "ring"
      : d.pick(["msr", "control", "control", "ring", "ring", "away", "away", ...(long ? ["bases"] : [])]);
    const bits = long
      ? d.pick(kind === "away" || kind === "ring" ? ([64, 64, 32] as const) : ([64] as const))
      : 32;
    const ring = kind === "msr" || kind === "control" ? (d.rarely(8) ? 3 : 0) : d.pick([0, 3] as const);
    const registers: Record<string, number> = { rax: 0 };
    if (d.rarely(3)) registers.efer = (long ? 0xd00 : 0) | d.below(2);
    else registers.efer = long ? 0xd01 : 1;
    if (kind === "bases") registers.cr4 = 0x620 | (d.rarely(5) ? 0 : 0x1_0000);
    if (kind === "ring")
      registers.cr4 =
        (long ? 0x620 : 0x610) | d.pick(umip ? [0x800, 0x800, 0x804, 0x30_0800] : [0, 4, 0x100, 0x30_0000]);
    if (kind === "control") registers.cr4 = (long ? 0x620 : 0x610) | (d.rarely(2) ? 0x4_0000 : 0);
    if (kind === "ring" && d.rarely(3)) registers.flags = d.pick([0x3002, 0x1002, 0x202]);
    const words = [
      ...quad(at.gdt + selectors.a, descriptor(0xf3, 0, 0xf_ffff, 0xc0)),
      [at.landing, 0x40cd_40cd] as [number, number],
    ];
    words.push([at.data, 0xffff | (at.gdt << 16)], [at.data + 4, 0]);
    const ringCode = d.pick(d.rarely(2) ? UNPRIVILEGED : PRIVILEGED);
    let code = {
      msr: () => write(d),
      control: () => control(d, bits === 64),
      ring: () => ringCode,
      away: () => away(d, bits === 64),
      bases: () => bases(d),
    }[kind as "msr"]();
    // With the IDT of the data page nothing would come back
    if (ring === 0) code = code.replace(/lidt.*|hlt|lgdt.*|mwait|monitor/, "nop");
    if (bits === 32)
      code = code
        .replace(/\br([abcd]x)\b/g, "e$1")
        .replace(/mov cr8, eax|mov eax, cr8|swapgs|sysenter|sysexit/, "nop");
    return { name: `${kind} ${mode}`, code, bits, ring, words, registers, events: 2 };
  };
}
