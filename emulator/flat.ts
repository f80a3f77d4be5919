// The state in which most hardware-level tests begin, made directly instead of by a boot: flat segments, and in
// 64-bit mode memory mapped one to one. Tables lie in the first pages of RAM, drawn here; tests may change them.
//
//   1000  GDT: null, code64 (08), data (10), code32 (18), user data (23), user code64 (2B), code16 (30), data16 (38)
//   2000  PML4   3000  page directory pointers   4000..7FFF  page directories: 4 GiB by 2 MiB pages, for users too
//
// Reference: Intel SDM vol. 3A, 4.5 (paging), 3.4.5 (descriptors).

import { ACTIVE } from "./cpu/layout.js";
import type { CoreState, SegmentName } from "./cpu/state.js";

export interface FlatOptions {
  /** Where the program stands and every chosen core begins, outside of the tables; 0x10000 unless told, 0x7C00 for 16 bits. */
  readonly at?: number;
  readonly bits?: 16 | 32 | 64;
  /** The cores that begin there; all of them unless told. */
  readonly cores?: readonly number[];
  /** Stack pointer of core i is this less i * 0x1000; 0x90000 unless told. */
  readonly stack?: number;
  /** Ring 0 or 3 (64-bit only). */
  readonly ring?: 0 | 3;
}

export const flat = {
  gdt: 0x1000,
  gdtBytes: 8 * 8,
  pml4: 0x2000,
  pointers: 0x3000,
  directories: 0x4000,
  directoriesEnd: 0x8000,
  selector: {
    code64: 0x08,
    data: 0x10,
    code32: 0x18,
    userData: 0x23,
    userCode64: 0x2b,
    code16: 0x30,
    data16: 0x38,
  },
} as const;

const PRESENT_WRITABLE_USER = 7;
const LARGE = 0x80;
const GIGABYTES = 4;

const DESCRIPTORS = [
  0n,
  0x00af_9b00_0000_ffffn, // code64
  0x00cf_9300_0000_ffffn, // data
  0x00cf_9b00_0000_ffffn, // code32
  0x00cf_f300_0000_ffffn, // user data
  0x00af_fb00_0000_ffffn, // user code64
  0x0000_9b00_0000_ffffn, // code16
  0x0000_9300_0000_ffffn, // data16
];

/** What of a machine is needed. */
interface Target {
  readonly cores: number;
  core(index: number): CoreState;
  write(address: number, bytes: 8, value: bigint | number): void;
}

const SEGMENT16_BYTES = 0x1_0000;

/** Where a program stands unless told: in 16 bits CS reaches the first 64 KiB. */
export const placeOf = ({ at, bits }: FlatOptions): number => at ?? (bits === 16 ? 0x7c00 : 0x1_0000);

/** Throws where a program would lie under the tables, or beyond what CS reaches. */
export function checkPlace(at: number, bytes: number, bits: 16 | 32 | 64): void {
  if (bits === 16 && at + bytes > SEGMENT16_BYTES)
    throw new RangeError(
      `start: ${bytes} bytes at ${at.toString(16)} do not end below 10000, as those of 16 bits have to`,
    );
  const tables: [from: number, to: number][] = [[flat.gdt, flat.gdt + flat.gdtBytes]];
  if (bits === 64) tables.push([flat.pml4, flat.directoriesEnd]);
  for (const [from, to] of tables) {
    if (at >= to || at + bytes <= from) continue;
    const [where, first, last] = [at, from, to - 1].map((address) => address.toString(16));
    throw new RangeError(`start: ${bytes} bytes at ${where} lie where tables come, ${first} to ${last}`);
  }
}

export function enterFlat(machine: Target, o: FlatOptions): void {
  const { bits = 64, stack = 0x9_0000, ring = 0 } = o;
  if (ring === 3 && bits !== 64) throw new Error("ring 3 is offered in 64-bit mode only");
  DESCRIPTORS.forEach((d, i) => {
    machine.write(flat.gdt + 8 * i, 8, d);
  });
  if (bits === 64) writeTables(machine);
  const cores = o.cores ?? Array.from({ length: machine.cores }, (_, i) => i);
  for (const index of cores) {
    const core = machine.core(index);
    enter(core, bits, ring);
    core.set({ rip: placeOf(o), rsp: stack - index * 0x1000, rdi: index });
    core.rflags = 2n;
    core.activity = ACTIVE;
  }
}

function writeTables(machine: Target): void {
  machine.write(flat.pml4, 8, flat.pointers | PRESENT_WRITABLE_USER);
  for (let g = 0; g < GIGABYTES; g++) {
    const directory = flat.directories + g * 0x1000;
    machine.write(flat.pointers + 8 * g, 8, directory | PRESENT_WRITABLE_USER);
    for (let i = 0; i < 512; i++) {
      machine.write(directory + 8 * i, 8, g * 2 ** 30 + i * 2 ** 21 + (LARGE | PRESENT_WRITABLE_USER));
    }
  }
}

const CR0_FLAT = 0x8000_0033n; // PG NE ET MP PE
const CR0_UNPAGED = 0x33n;
const CR0_REAL = 0x12n;
const CR4_FLAT = 0x620n; // OSXMMEXCPT OSFXSR PAE
const EFER_FLAT = 0xd01n; // NXE LMA LME SCE

function enter(core: CoreState, bits: 16 | 32 | 64, ring: 0 | 3): void {
  core.gdtr = { base: BigInt(flat.gdt), limit: flat.gdtBytes - 1 };
  core.idtr = { base: 0n, limit: bits === 16 ? 0x3ff : 0 };
  core.set({
    rax: 0,
    rcx: 0,
    rdx: 0,
    rbx: 0,
    rbp: 0,
    rsi: 0,
    rdi: 0,
    r8: 0,
    r9: 0,
    r10: 0,
    r11: 0,
    r12: 0,
    r13: 0,
    r14: 0,
    r15: 0,
    cr3: bits === 64 ? flat.pml4 : 0,
    cr4: CR4_FLAT,
    efer: bits === 64 ? EFER_FLAT : 0n,
    cr0: bits === 64 ? CR0_FLAT : bits === 32 ? CR0_UNPAGED : CR0_REAL,
  });
  const { selector } = flat;
  if (bits === 16) {
    load(core, "cs", 0, 0x009b_0000_ffffn);
    for (const name of ["ss", "ds", "es", "fs", "gs"] as const) load(core, name, 0, 0x0093_0000_ffffn);
  } else {
    const code = bits === 32 ? selector.code32 : ring === 3 ? selector.userCode64 : selector.code64;
    const data = ring === 3 ? selector.userData : selector.data;
    load(core, "cs", code, DESCRIPTORS[code >> 3]!);
    for (const name of ["ss", "ds", "es", "fs", "gs"] as const)
      load(core, name, data, DESCRIPTORS[data >> 3]!);
  }
  core.cpl = ring;
}

/** Loads a segment register as the processor would from this descriptor (base 0). */
function load(core: CoreState, name: SegmentName, selector: number, descriptor: bigint): void {
  const high = Number(descriptor >> 32n);
  const raw = Number(descriptor & 0xffffn) | (high & 0xf_0000);
  const limit = (high & 0x80_0000) !== 0 ? ((raw << 12) | 0xfff) >>> 0 : raw;
  core.setSegment(name, { selector, attributes: high & 0x00ff_ff00, base: 0n, limit });
}
