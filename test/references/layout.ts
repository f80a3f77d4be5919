// Where the ROM's parts lie and what its log is made of: shared by the monitor, which writes it, and compare.ts.
//
//   50000 variables   58000 monitor's stack, down   59000 code of real mode   60000 monitor's page tables
//   F0000 the ROM's last 64 KiB: start and monitor  100000 copy of the ROM's rest: pristine pages, then the cases

import { at, REAL_BASE } from "./tables.js";

export type Mode = "legacy" | "long";

/** The dwords in front of a case's words. RIP and CS are neighbours: a far pointer. */
export const FIELDS = [
  "bytes", "words", "rip", "cs", "flags", "rsp", "ss", "es", "ds", "fs", "gs", "rdi", "rsi", "rbp", "rbx", "rdx", "rcx",
  "rax", "cr0", "cr3", "cr4", "efer", "dr0", "dr1", "dr2", "dr3", "dr7", "events", "ldtr", "tr", "real", "pkru",
] as const; // biome-ignore format: a list
export type Field = (typeof FIELDS)[number];
export const field = Object.fromEntries(FIELDS.map((name, i) => [name, 4 * i])) as Record<Field, number>;

export const ROM_BYTES = 0x10_0000;
export const MONITOR = 0xf_0000;
/** Where the ROM is copied to, and where its cases begin there. */
export const COPY = 0x10_0000;
export const CASES = COPY + at.pagesEnd - at.pagesStart;
/** The segment of real mode that variables, its stack and its code share. */
export const REAL_SEGMENT = REAL_BASE >>> 4;
const variable = (offset: number) => (REAL_SEGMENT << 4) + offset;
export const CURRENT = variable(0);
export const EVENTS = variable(8);
/** What a case's FIELDS are copied to. */
export const ENTRY = variable(0x100);
/** What an event tells besides what is on the stack. */
export const EXTRA = variable(0x200);
/** What the code of real mode found. */
export const FOUND = variable(0x400);
export const MONITOR_STACK = variable(0x8000);
export const REAL_CODE = variable(0x9000);
/** Where the code of real mode lies in the ROM. */
export const REAL_CODE_ROM = 0xf_c000;
export const REAL_CODE_BYTES = 0x1000;
export const MONITOR_TABLES = 0x6_0000;

/** Vectors with handlers; the rest of the IDT is not there. */
export const VECTORS = 0x42;
export const END_VECTOR = 0x40;
export const CR0_PLAIN = { legacy: 0x33, long: 0x8000_0033 } as const;
export const CR4_PLAIN = { legacy: 0x600, long: 0x620 } as const;

const SEGMENTS = ["gs", "fs", "es", "ds"];
/** General registers as the monitor stores them. */
export const GENERAL = {
  legacy: ["rdi", "rsi", "rbp", "rbx", "rdx", "rcx", "rax"],
  long: ["r15", "r14", "r13", "r12", "r11", "r10", "r9", "r8", "rdi", "rsi", "rbp", "rbx", "rdx", "rcx", "rax"],
} as const; // biome-ignore format: lists
/** An event's words on the monitor's stack, lowest first; those from "vector" on were pushed by stub and processor. */
export const STACKED = {
  legacy: [...SEGMENTS, ...GENERAL.legacy, "vector", "error", "rip", "cs", "flags", "rsp", "ss", "v_es", "v_ds", "v_fs", "v_gs"],
  long: [...SEGMENTS, ...GENERAL.long, "vector", "error", "rip", "cs", "flags", "rsp", "ss"],
} as const; // biome-ignore format: lists
/** What follows them, in the mode's width; of 16 bits or more. */
export const EXTRAS = [
  "dr6",
  "dr7",
  "cr0",
  "cr2",
  "cr3",
  "cr4",
  "ldtr",
  "tr",
  "handler_rsp",
  "fsw",
  "mxcsr",
] as const;
/** MSRs that each case finds so, and that each event tells: 64 bits each, whatever the mode. */
export const MSRS = {
  star: { number: 0xc000_0081, high: 0x008b_0008, low: at.landing },
  lstar: { number: 0xc000_0082, high: 0, low: at.landing },
  cstar: { number: 0xc000_0083, high: 0, low: at.landing },
  sfmask: { number: 0xc000_0084, high: 0, low: 0 },
  fs_base: { number: 0xc000_0100, high: 0, low: 0 },
  gs_base: { number: 0xc000_0101, high: 0, low: 0 },
  kernel_gs_base: { number: 0xc000_0102, high: 0, low: 0x1_2000 },
  sysenter_cs: { number: 0x174, high: 0, low: 8 },
  sysenter_esp: { number: 0x175, high: 0, low: at.stack0 - 0x200 },
  sysenter_eip: { number: 0x176, high: 0, low: at.landing },
} as const; // biome-ignore format: a table
export const EFER = 0xc000_0080;
/** Those that an event tells; EFER is a field of each case. */
export const TOLD = [
  ...Object.entries(MSRS).map(([name, { number }]) => ({ name, number })),
  { name: "efer", number: EFER },
];

export const WIDTH = { legacy: 4, long: 8 } as const;
export const extraBytes = (mode: Mode) => WIDTH[mode] * EXTRAS.length + 8 * TOLD.length;
export const stackedBytes = (mode: Mode) => WIDTH[mode] * STACKED[mode].length;
/** How many bytes follow each mark of the log. */
export const eventBytes = (mode: Mode) => stackedBytes(mode) + extraBytes(mode);
export const DIGEST_BYTES = 4 * at.digested.length;
export const mark = { case: 0xc5, event: 0xe1, double: 0xdf, digest: 0xd1, end: 0x99 } as const;
