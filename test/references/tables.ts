// What every case finds, drawn once: descriptor tables, two 32-bit and one 16-bit task, page tables of all three kinds,
// pages for code, data and stacks. All of it is restored before each case.
//
//   1000 GDT   1800 LDT   2000 IDT   3000 TSS   3400 another  3800 a 16-bit one   3C00 that of #DF
//   4000 pointers for LGDT and LIDT          5000 stack of ring 0    6000 stack of ring 3
//   7000 page directory   8000 its page table   9000 PAE: pointers   A000 directory   B000 table
//   C000 PML4   D000 pointers   E000 directory   F000 table
//   10000 code   11000, 12000, 13000 data (linear addresses are physical ones)

export const at = {
  pagesStart: 0x1000, pagesEnd: 0x1_4000,
  gdt: 0x1000, ldt: 0x1800, idt: 0x2000,
  tss: 0x3000, otherTss: 0x3400, tss16: 0x3800, doubleTss: 0x3c00,
  pointers: 0x4000,
  stack0: 0x5ff0, stack3Page: 0x6000, stack3: 0x6ff0,
  directory: 0x7000, table: 0x8000,
  paePointers: 0x9000, paeDirectory: 0xa000, paeTable: 0xb000,
  pml4: 0xc000, longPointers: 0xd000, longDirectory: 0xe000, longTable: 0xf000,
  code: 0x1_0000, landing: 0x1_0800, data: 0x1_1000,
  digested: [0x1000, 0x2000, 0x3000, 0x6000, 0x7000, 0x8000, 0x9000, 0xa000, 0xb000, 0xc000, 0xd000, 0xe000, 0xf000, 0x1_0000, 0x1_1000, 0x1_2000, 0x1_3000],
} as const; // biome-ignore format: a map

export const selectors = {
  code: 0x08, data: 0x10, userCode: 0x1b, userData: 0x23, code32: 0x28, task: 0x30, // and 38, in long mode
  otherTask: 0x40, task16: 0x48, doubleTask: 0x50, ldt: 0x58, // and 60, in long mode
  code16: 0x68, userCode16: 0x73, userCode32: 0x7b, data16: 0x80,
  /** Legacy mode only: the way to real mode. */
  realCode: 0x60,
  /** Free for a case: A and B, B with 16 bytes. */
  a: 0x90, b: 0xa0,
} as const; // biome-ignore format: a table
/** The base of real mode's code: layout.ts's REAL_SEGMENT. */
export const REAL_BASE = 0x5_0000;
export const GDT_BYTES = 0xb0;
export const LDT_BYTES = 0x40;
/** Selector of the LDT's code, data, and user data segment. */
export const inLdt = { code: 0x0c, data: 0x14, userData: 0x1f } as const;

export const descriptor = (type: number, base: number, limit: number, flags = 0): bigint =>
  BigInt(limit & 0xffff) | (BigInt(base & 0xff_ffff) << 16n) | (BigInt(type) << 40n) |
  (BigInt((flags & 0xf0) | ((limit >>> 16) & 15)) << 48n) | (BigInt(base >>> 24) << 56n); // biome-ignore format: one idea a line
export const gateTo = (type: number, selector: number, offset: number, count = 0): bigint =>
  BigInt(offset & 0xffff) |
  (BigInt(selector) << 16n) |
  (BigInt(count) << 32n) |
  (BigInt(type) << 40n) |
  (BigInt(offset >>> 16) << 48n);

/** A quadword as two words of a case. */
export const quad = (address: number, value: bigint): [number, number][] => [
  [address, Number(value & 0xffff_ffffn)],
  [address + 4, Number((value >> 32n) & 0xffff_ffffn)],
];

const PRESENT_WRITABLE = 3;
const USER = 4;
/** Pages that ring 3 may touch: its stack, code and data. */
const isUser = (page: number) => page === 6 || (page >= 0x10 && page < 0x14);

/** The pages from pagesStart to pagesEnd; `handler` gives each vector's address, or 0. */
export function pristinePages(
  mode: "legacy" | "long",
  handler: (vector: number) => number,
  gateBytes: number,
): Uint8Array {
  const bytes = new Uint8Array(at.pagesEnd - at.pagesStart);
  const view = new DataView(bytes.buffer);
  const put = (address: number, value: bigint) => view.setBigUint64(address - at.pagesStart, value, true);
  const put32 = (address: number, value: number) => view.setUint32(address - at.pagesStart, value, true);
  const long = mode === "long";
  const code = (type: number, is64: boolean) => descriptor(type, 0, 0xf_ffff, is64 ? 0xa0 : 0xc0);
  const set = (selector: number, value: bigint) => put(at.gdt + (selector & ~7), value);
  set(selectors.code, code(0x9b, long));
  set(selectors.data, descriptor(0x93, 0, 0xf_ffff, 0xc0));
  set(selectors.userCode, code(0xfb, long));
  set(selectors.userData, descriptor(0xf3, 0, 0xf_ffff, 0xc0));
  set(selectors.code32, code(0x9b, false));
  set(selectors.userCode32, code(0xfb, false));
  set(selectors.task, descriptor(0x89, at.tss, 0x1ff));
  if (!long) {
    set(selectors.realCode, descriptor(0x9b, REAL_BASE, 0xffff));
    set(selectors.otherTask, descriptor(0x89, at.otherTss, 0x1ff));
    set(selectors.task16, descriptor(0x81, at.tss16, 0x2b));
    set(selectors.doubleTask, descriptor(0x89, at.doubleTss, 0x67));
  }
  set(selectors.ldt, descriptor(0x82, at.ldt, LDT_BYTES - 1));
  set(selectors.code16, descriptor(0x9b, 0, 0xf_ffff, 0x80));
  set(selectors.userCode16, descriptor(0xfb, 0, 0xf_ffff, 0x80));
  set(selectors.data16, descriptor(0x93, 0, 0xffff));
  put(at.ldt + 8, code(0x9b, long));
  put(at.ldt + 16, descriptor(0x93, 0, 0xf_ffff, 0xc0));
  put(at.ldt + 24, descriptor(0xf3, 0, 0xf_ffff, 0xc0));
  for (let v = 0; v < 0x42; v++) {
    if (handler(v) === 0) continue;
    const dpl = v >= 0x40 || v === 3 || v === 4 ? 0x60 : 0;
    const task = v === 8 && !long;
    put(
      at.idt + gateBytes * v,
      task
        ? gateTo(0x85, selectors.doubleTask, 0)
        : gateTo(0x8e | dpl, selectors.code, handler(v), v === 8 ? 1 : 0),
    );
  }
  tasks(put32, long);
  if (!long) put32(at.doubleTss + 0x20, handler(8));
  view.setUint16(at.pointers - at.pagesStart, GDT_BYTES - 1, true);
  put32(at.pointers + 2, at.gdt);
  view.setUint16(at.pointers + 16 - at.pagesStart, gateBytes * 0x42 - 1, true);
  put32(at.pointers + 18, at.idt);
  paging(put, put32);
  // What STAR names for SYSRET: 32-bit code here, data in A, 64-bit code behind it
  set(0x88, code(0xfb, false));
  set(0x98, code(0xfb, long));
  for (let i = 0; i < 0x3000; i++) bytes[at.data - at.pagesStart + i] = (i * 7 + (i >>> 8)) & 0xff;
  return bytes;
}

function tasks(put32: (address: number, value: number) => void, long: boolean): void {
  if (long) {
    put32(at.tss + 4, at.stack0);
    put32(at.tss + 0x24, 0x5_7000); // IST 1, for double faults
    put32(at.tss + 0x64, 0x80 << 16);
  } else {
    for (const tss of [at.tss, at.otherTss, at.doubleTss]) {
      put32(tss + 4, at.stack0);
      put32(tss + 8, selectors.data);
      put32(tss + 0x0c, at.stack0 - 0x400); // rings 1 and 2 have no stack segment of their own: #TS
      put32(tss + 0x1c, at.directory);
      put32(tss + 0x24, 2);
      put32(tss + 0x38, tss === at.doubleTss ? 0x5_7000 : at.stack0 - 0x800);
      for (const field of [0x48, 0x50, 0x54, 0x58, 0x5c]) put32(tss + field, selectors.data);
      put32(tss + 0x4c, selectors.code);
      put32(tss + 0x60, selectors.ldt);
      put32(tss + 0x64, 0x80 << 16);
    }
    put32(at.otherTss + 0x20, at.code + 0x800);
    const words = [
      0,
      at.stack0,
      selectors.data,
      0,
      0,
      0,
      0,
      at.code + 0x800,
      2,
      1,
      2,
      3,
      4,
      at.stack3,
      5,
      6,
      7,
      selectors.data,
      selectors.code16,
      selectors.data,
      selectors.data,
      selectors.ldt,
    ];
    for (let i = 0; i < words.length; i += 2)
      put32(at.tss16 + 2 * i, (words[i]! & 0xffff) | ((words[i + 1]! & 0xffff) << 16));
  }
  // The permission bitmap: ports 0 to FF but E9 and the 20s are refused
  for (let i = 0; i < 32; i += 4) put32(at.tss + 0x80 + i, 0);
  put32(at.tss + 0x84, 0xffff_0000);
  put32(at.tss + 0xa0, 0xffff_ffff);
}

/** The first 4 MiB (2 MiB) one to one by 4 KiB pages, in three ways. */
function paging(
  put: (address: number, value: bigint) => void,
  put32: (address: number, value: number) => void,
): void {
  const all = PRESENT_WRITABLE | USER;
  put32(at.directory, at.table | all);
  put(at.paePointers, BigInt(at.paeDirectory | 1));
  put(at.paeDirectory, BigInt(at.paeTable | all));
  put(at.pml4, BigInt(at.longPointers | all));
  put(at.longPointers, BigInt(at.longDirectory | all));
  put(at.longDirectory, BigInt(at.longTable | all));
  for (let page = 0; page < 512; page++) {
    const entry = (page << 12) | PRESENT_WRITABLE | (isUser(page) ? USER : 0);
    put32(at.table + 4 * page, entry);
    put(at.paeTable + 8 * page, BigInt(entry));
    put(at.longTable + 8 * page, BigInt(entry));
  }
}
