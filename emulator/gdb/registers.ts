// The registers that gdb sees, as a table: its order is their numbering, and the target description is printed from it.
// Features and names: GDB manual, appendix G.5.11 (i386 features). The control registers are a feature of our own.
// A gdb knows one architecture for as long as it is connected: x86-64 with all there is, which shows 32- and 16-bit code by
// its registers but cannot disassemble it, or on demand those of i386 or i8086.

import { MODE_64, MXCSR_MASK } from "../cpu/layout.js";
import type { CoreState, SegmentName } from "../cpu/state.js";

/** A core, and what of its registers the chip beside it has. */
export interface Registered {
  readonly core: CoreState;
  taskPriority(): number;
}

export interface Register {
  readonly name: string;
  readonly bits: 32 | 64 | 80 | 128;
  /** gdb's type. */
  readonly type: string;
  readonly feature: string;
  read(of: Registered): bigint;
  /** Absent: gdb may not write it. */
  write?(core: CoreState, value: bigint): void;
}

const CORE = "org.gnu.gdb.i386.core";
const SSE = "org.gnu.gdb.i386.sse";
const SEGMENTS = "org.gnu.gdb.i386.segments";
const CONTROL = "org.buslock.control";

// biome-ignore format: gdb's order, not the encoding's
const general = [
  "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
] as const;
const general32 = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"] as const;
const pointers: ReadonlySet<string> = new Set(["rbp", "rsp"]);

/** What the description is of. */
export type GdbBits = 16 | 32 | 64;
const architectures: Readonly<Record<GdbBits, string>> = { 16: "i8086", 32: "i386", 64: "i386:x86-64" };
const selectors: readonly SegmentName[] = ["cs", "ss", "ds", "es", "fs", "gs"];

const word = (
  name: string,
  register: Parameters<CoreState["register"]>[0],
  type: string,
  feature: string,
): Register => ({
  name,
  bits: 64,
  type,
  feature,
  read: ({ core }) => core.register(register),
  write: (core, value) => core.setRegister(register, value),
});

/** The lower half under its old name; writing it clears the upper one, as 32-bit code does in 64-bit mode. */
const half = (register: Register): Register => ({
  ...register,
  name: register.name.replace(/^r/, "e"),
  bits: 32,
  type: register.type === "int64" ? "int32" : register.type,
  read: (of) => register.read(of) & 0xffff_ffffn,
});

const x87 = (
  name: string,
  read: (core: CoreState) => number,
  write?: (core: CoreState, value: number) => void,
): Register => ({
  name,
  bits: 32,
  type: "int",
  feature: CORE,
  read: ({ core }) => BigInt(read(core)),
  ...(write === undefined ? {} : { write: (core, value) => write(core, Number(value)) }),
});

/**
 * Where code is, as a linear address: gdb knows no segments, and looks for breakpoints and instructions there. In 64-bit
 * mode and in flat segments it is RIP itself.
 */
const instruction: Register = {
  name: "rip",
  bits: 64,
  type: "code_ptr",
  feature: CORE,
  read: ({ core }) => linearRip(core),
  write: (core, value) => {
    core.rip = segmented(core) ? BigInt.asUintN(32, value - core.segment("cs").base) : value;
  },
};
export function linearRip(core: CoreState): bigint {
  return segmented(core) ? BigInt.asUintN(32, core.segment("cs").base + core.rip) : core.rip;
}
const segmented = (core: CoreState): boolean => (core.mode & MODE_64) === 0;

const base = (name: string, segment: "fs" | "gs"): Register => ({
  name,
  bits: 64,
  type: "int",
  feature: SEGMENTS,
  read: ({ core }) => core.segment(segment).base,
  write: (core, value) => core.setSegment(segment, { base: value }),
});

const generalWord = (name: (typeof general)[number]): Register =>
  word(name, name, pointers.has(name) ? "data_ptr" : "int64", CORE);

/** Of the core feature what both architectures have: from EFLAGS on. */
const common: readonly Register[] = [
  {
    name: "eflags",
    bits: 32,
    type: "i386_eflags",
    feature: CORE,
    read: ({ core }) => core.rflags & 0xffff_ffffn,
    write: (core, value) => {
      core.rflags = value;
    },
  },
  ...selectors.map(
    (name): Register => ({
      name,
      bits: 32,
      type: "int32",
      feature: CORE,
      read: ({ core }) => BigInt(core.segment(name).selector),
    }),
  ),
  ...Array.from(
    { length: 8 },
    (_, n): Register => ({
      name: `st${n}`,
      bits: 80,
      type: "i387_ext",
      feature: CORE,
      read: ({ core }) => core.st(n),
      write: (core, value) => core.setSt(n, value),
    }),
  ),
  x87(
    "fctrl",
    (core) => core.fpu("control"),
    (core, value) => core.setFpu("control", value & 0xffff),
  ),
  x87(
    "fstat",
    (core) => core.fpu("status"),
    (core, value) => core.setFpu("status", value & 0xffff),
  ),
  x87(
    "ftag",
    (core) => fullTags(core),
    (core, value) => core.setFpu("tags", abridged(value)),
  ),
  x87("fiseg", () => 0),
  x87("fioff", (core) => core.fpu("instruction")),
  x87("foseg", () => 0),
  x87("fooff", (core) => core.fpu("data")),
  x87("fop", (core) => core.fpu("opcode")),
];
const vectors = (count: number): Register[] => [
  ...Array.from(
    { length: count },
    (_, n): Register => ({
      name: `xmm${n}`,
      bits: 128,
      type: "vec128",
      feature: SSE,
      read: ({ core }) => core.xmm(n),
      write: (core, value) => core.setXmm(n, value),
    }),
  ),
  {
    name: "mxcsr",
    bits: 32,
    type: "i386_mxcsr",
    feature: SSE,
    read: ({ core }) => BigInt(core.mxcsr),
    write: (core, value) => {
      core.mxcsr = Number(value) & MXCSR_MASK;
    },
  },
];
const bases: readonly Register[] = [base("fs_base", "fs"), base("gs_base", "gs")];
const control: readonly Register[] = [
  word("k_gs_base", "kernelGsBase", "int64", CONTROL),
  word("cr0", "cr0", "int64", CONTROL),
  word("cr2", "cr2", "int64", CONTROL),
  word("cr3", "cr3", "int64", CONTROL),
  word("cr4", "cr4", "int64", CONTROL),
  {
    name: "cr8",
    bits: 64,
    type: "int64",
    feature: CONTROL,
    read: ({ taskPriority }) => BigInt(taskPriority()),
  },
  word("efer", "efer", "int64", CONTROL),
  {
    name: "cpl",
    bits: 32,
    type: "int32",
    feature: CONTROL,
    read: ({ core }) => BigInt(core.cpl),
  },
];

const tables: Readonly<Record<GdbBits, readonly Register[]>> = {
  64: [...general.map(generalWord), instruction, ...common, ...vectors(16), ...bases, ...control],
  32: [...general32.map(generalWord).map(half), half(instruction), ...common, ...vectors(8), ...control],
  get 16() {
    return this[32];
  },
};
export const registersOf = (bits: GdbBits): readonly Register[] => tables[bits];

/** Two bits a physical register, from the one bit that the core keeps: valid, zero, special, empty. SDM vol. 1, 8.1.7. */
function fullTags(core: CoreState): number {
  const top = (core.fpu("status") >> 11) & 7;
  let tags = 0;
  for (let physical = 0; physical < 8; physical++) {
    const value = core.st((physical - top) & 7);
    const exponent = (value >> 64n) & 0x7fffn;
    const significand = value & 0xffff_ffff_ffff_ffffn;
    let tag = exponent === 0n && significand === 0n ? 1 : 0;
    if (tag === 0 && (exponent === 0n || exponent === 0x7fffn || significand >> 63n === 0n)) tag = 2;
    if (((core.fpu("tags") >> physical) & 1) === 0) tag = 3;
    tags |= tag << (2 * physical);
  }
  return tags;
}

/** A bit a physical register that is not empty. */
function abridged(tags: number): number {
  let bits = 0;
  for (let physical = 0; physical < 8; physical++)
    if (((tags >> (2 * physical)) & 3) !== 3) bits |= 1 << physical;
  return bits;
}

/** A register's bytes, least significant first, as gdb wants them. */
export function bytesOf(register: Register, value: bigint): Uint8Array {
  return Uint8Array.from({ length: register.bits / 8 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

export function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** What qXfer:features:read:target.xml gives. */
export function targetDescription(bits: GdbBits): string {
  const registers = registersOf(bits);
  const features = [...new Set(registers.map((r) => r.feature))].map((feature) => {
    const regs = registers.filter((r) => r.feature === feature).map(element);
    return `<feature name="${feature}">${types[feature] ?? ""}${regs.join("")}</feature>`;
  });
  return `<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target version="1.0"><architecture>${architectures[bits]}</architecture>${features.join("")}</target>`;
}

const element = ({ name, bits, type, feature }: Register): string => {
  const group = feature === CONTROL ? ' group="system"' : name.startsWith("st") ? ' group="float"' : "";
  return `<reg name="${name}" bitsize="${bits}" type="${type}"${group}/>`;
};

const flags = (id: string, bits: readonly (readonly [string, number])[]): string =>
  `<flags id="${id}" size="4">${bits
    .map(([name, bit]) => `<field name="${name}" start="${bit}" end="${bit}"/>`)
    .join("")}</flags>`;

// biome-ignore format: tables
const types: Record<string, string> = {
  [CORE]: flags("i386_eflags", [
    ["CF", 0], ["", 1], ["PF", 2], ["AF", 4], ["ZF", 6], ["SF", 7], ["TF", 8], ["IF", 9], ["DF", 10], ["OF", 11],
    ["NT", 14], ["RF", 16], ["VM", 17], ["AC", 18], ["VIF", 19], ["VIP", 20], ["ID", 21],
  ]),
  [SSE]:
    `<vector id="v4f" type="ieee_single" count="4"/><vector id="v2d" type="ieee_double" count="2"/>` +
    `<vector id="v16i8" type="int8" count="16"/><vector id="v8i16" type="int16" count="8"/>` +
    `<vector id="v4i32" type="int32" count="4"/><vector id="v2i64" type="int64" count="2"/>` +
    `<union id="vec128"><field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/>` +
    `<field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/><field name="v4_int32" type="v4i32"/>` +
    `<field name="v2_int64" type="v2i64"/><field name="uint128" type="uint128"/></union>` +
    flags("i386_mxcsr", [
      ["IE", 0], ["DE", 1], ["ZE", 2], ["OE", 3], ["UE", 4], ["PE", 5], ["DAZ", 6], ["IM", 7], ["DM", 8], ["ZM", 9],
      ["OM", 10], ["UM", 11], ["PM", 12], ["FZ", 15],
    ]),
};
