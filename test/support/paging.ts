// Page tables, descriptor tables and modes for tests that drive the microcode directly.

import * as L from "../../emulator/cpu/layout.js";
import type { Microcode } from "./microcode.js";

export const P = 1n;
export const W = 2n;
export const U = 4n;
export const A = 0x20n;
export const D = 0x40n;
export const PS = 0x80n;
export const G = 0x100n;
export const NX = 1n << 63n;
export const ADDRESS = 0x000f_ffff_ffff_f000n;

export const CR0 = { PE: 1n, MP: 2n, EM: 4n, TS: 8n, ET: 16n, NE: 32n, WP: 1n << 16n, PG: 1n << 31n };
export const CR4 = {
  TSD: 4n,
  DE: 8n,
  PSE: 0x10n,
  PAE: 0x20n,
  PGE: 0x80n,
  OSFXSR: 0x200n,
  UMIP: 0x800n,
  SMEP: 1n << 20n,
  SMAP: 1n << 21n,
};
export const EFER = { SCE: 1n, LME: 0x100n, LMA: 0x400n, NXE: 0x800n };
export const MSR_EFER = 0xc000_0080;

/** Selectors of the GDT that setUp() writes. */
export const selector = {
  code64: 0x08,
  data: 0x10,
  userCode32: 0x18 | 3,
  userData: 0x20 | 3,
  userCode64: 0x28 | 3,
  code32: 0x30,
  task: 0x40, // 16 bytes
  code16: 0x50,
  data16: 0x58,
} as const;

export const GDT = 0x1000;
export const GDT_BYTES = 0x100;
export const IDT = 0x2000;
export const TSS = 0x3000;
export const TSS_BYTES = 0x68;
const FIRST_TABLE = 0x10_0000;

/** A code or data descriptor: type and S as in bits 8..12. */
export function descriptor(type: number, dpl: number, flags: number, base = 0, limit = 0xf_ffff): bigint {
  const low = (limit & 0xffff) | ((base & 0xffff) << 16);
  const high =
    ((base >>> 16) & 0xff) |
    ((type | 0x10 | (dpl << 5) | 0x80) << 8) |
    (limit & 0xf_0000) |
    (flags << 20) |
    (base & 0xff00_0000);
  return BigInt(low >>> 0) | (BigInt(high >>> 0) << 32n);
}
/** Flags of a descriptor: G, D/B, L. */
export const GRANULAR = 8;
export const BIG = 4;
export const LONG = 2;
export const CODE = 0xb; // readable, accessed
export const DATA = 0x3; // writable, accessed

/** A GDT with flat segments of every kind and a TSS, loaded. */
export function loadGdt(m: Microcode): void {
  const gdt: [number, bigint][] = [
    [selector.code64, descriptor(CODE, 0, GRANULAR | LONG)],
    [selector.data, descriptor(DATA, 0, GRANULAR | BIG)],
    [selector.userCode32, descriptor(CODE, 3, GRANULAR | BIG)],
    [selector.userData, descriptor(DATA, 3, GRANULAR | BIG)],
    [selector.userCode64, descriptor(CODE, 3, GRANULAR | LONG)],
    [selector.code32, descriptor(CODE, 0, GRANULAR | BIG)],
    [selector.code16, descriptor(CODE, 0, 0, 0, 0xffff)],
    [selector.data16, descriptor(DATA, 0, 0, 0, 0xffff)],
  ];
  for (const [at, value] of gdt) m.write64(GDT + (at & ~7), value);
  // An available 32- or 64-bit TSS: a system descriptor, S clear
  m.write64(GDT + selector.task, descriptor(0x9, 0, 0, TSS, TSS_BYTES - 1) & ~(0x10n << 40n));
  m.write64(GDT + selector.task + 8, 0n);
  m.call("loadGdtr", GDT, GDT_BYTES - 1);
  m.call("loadIdtr", IDT, 0xfff);
}

/** Real mode to flat 32-bit protected mode without paging. */
export function enterProtected(m: Microcode): void {
  loadGdt(m);
  must(m, "writeControl", 0, CR0.PE | CR0.ET | CR0.NE);
  must(m, "farJump", selector.code32, 0x8000, 4);
  for (const s of [L.ES, L.SS, L.DS]) must(m, "loadSegment", s, selector.data);
  must(m, "loadTr", selector.task);
}

/** On to 64-bit mode over `tables`, in ring 0. */
export function enterLong(m: Microcode, tables: Tables, cr4 = 0n): void {
  loadGdt(m);
  must(m, "writeControl", 0, CR0.PE | CR0.ET | CR0.NE);
  must(m, "writeControl", 4, CR4.PAE | cr4);
  must(m, "writeControl", 3, BigInt(tables.root));
  must(m, "writeMsr", MSR_EFER, EFER.LME | EFER.NXE | EFER.SCE);
  must(m, "writeControl", 0, CR0.PE | CR0.ET | CR0.NE | CR0.WP | CR0.PG);
  must(m, "farJump", selector.code64, 0x8000, 4);
  for (const s of [L.ES, L.SS, L.DS]) must(m, "loadSegment", s, selector.data);
  must(m, "loadTr", selector.task);
}

/** A call that must not fault. */
export function must(m: Microcode, name: string, ...args: (bigint | number)[]): bigint {
  const result = m.call(name, ...args);
  const fault = m.takeFault();
  if (fault !== undefined) throw new Error(`${name} raised vector ${fault.vector}, error ${fault.error}`);
  return result;
}

/** Four-level tables in RAM from 1 MiB on. */
export class Tables {
  readonly root: number;
  #next = FIRST_TABLE;
  constructor(readonly m: Microcode) {
    this.root = this.page();
  }
  /** A fresh zeroed page of RAM. */
  page(): number {
    const at = this.#next;
    this.#next += 0x1000;
    this.m.ram.fill(0, at, at + 0x1000);
    return at;
  }
  /** Physical address of the entry for va at a level (4 ... 1); missing tables above it are made, all rights open. */
  entry(va: bigint, level: number): number {
    let table = this.root;
    for (let l = 4; ; l--) {
      const at = table + Number((va >> BigInt(12 + 9 * (l - 1))) & 511n) * 8;
      if (l === level) return at;
      let e = this.m.read64(at);
      if (!(e & P)) {
        e = BigInt(this.page()) | P | W | U;
        this.m.write64(at, e);
      }
      table = Number(e & ADDRESS);
    }
  }
  /** Maps 4 KiB (level 1), 2 MiB (2) or 1 GiB (3). */
  map(va: bigint, physical: number | bigint, flags: bigint, level = 1): number {
    const at = this.entry(va, level);
    this.m.write64(at, BigInt(physical) | flags | (level > 1 ? PS : 0n));
    return at;
  }
  /** The first 16 MiB one to one, for the supervisor, in 2 MiB pages. */
  identity(flags = P | W): this {
    for (let at = 0; at < 0x100_0000; at += 0x20_0000) this.map(BigInt(at), at, flags, 2);
    return this;
  }
}

/** A 16-byte gate of long mode, written to the IDT. */
export function longGate(
  m: Microcode,
  vector: number,
  gate: { selector?: number; offset?: bigint; type?: number; dpl?: number; present?: boolean; ist?: number },
): void {
  const {
    selector: s = selector.code64,
    offset = HANDLER(vector),
    type = 14,
    dpl = 0,
    present = true,
    ist = 0,
  } = gate;
  const attributes = BigInt(type | (dpl << 5) | (present ? 0x80 : 0));
  m.write64(
    IDT + vector * 16,
    (offset & 0xffffn) |
      (BigInt(s) << 16n) |
      (BigInt(ist) << 32n) |
      (attributes << 40n) |
      (((offset >> 16n) & 0xffffn) << 48n),
  );
  m.write64(IDT + vector * 16 + 8, offset >> 32n);
}

/** An 8-byte gate of protected mode. */
export function gate(
  m: Microcode,
  vector: number,
  {
    selector: s = selector.code32 as number,
    offset = Number(HANDLER(vector)),
    type = 14,
    dpl = 0,
    present = true,
  } = {},
): void {
  const attributes = BigInt(type | (dpl << 5) | (present ? 0x80 : 0));
  m.write64(
    IDT + vector * 8,
    BigInt(offset & 0xffff) | (BigInt(s) << 16n) | (attributes << 40n) | (BigInt(offset >>> 16) << 48n),
  );
}

/** Where the gates lead unless told otherwise. */
export const HANDLER = (vector: number): bigint => 0x9000n + BigInt(vector) * 16n;
