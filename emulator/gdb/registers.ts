// The registers that gdb sees, as one table: its order is their numbering, and the target description is printed from it.
// Features and names: GDB manual, appendix G.5.11 (i386 features). The control registers are a feature of our own.

import type { CoreState, SegmentName } from "../cpu/state.js";

export interface Register {
  readonly name: string;
  readonly bits: 32 | 64 | 80 | 128;
  /** gdb's type. */
  readonly type: string;
  readonly feature: string;
  read(core: CoreState): bigint;
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
const pointers: ReadonlySet<string> = new Set(["rbp", "rsp"]);
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
  read: (core) => core.register(register),
  write: (core, value) => core.setRegister(register, value),
});

const x87 = (name: string, read: (core: CoreState) => number): Register => ({
  name,
  bits: 32,
  type: "int",
  feature: CORE,
  read: (core) => BigInt(read(core)),
});

const base = (name: string, segment: "fs" | "gs"): Register => ({
  name,
  bits: 64,
  type: "int",
  feature: SEGMENTS,
  read: (core) => core.segment(segment).base,
  write: (core, value) => core.setSegment(segment, { base: value }),
});

export const registers: readonly Register[] = [
  ...general.map((name) => word(name, name, pointers.has(name) ? "data_ptr" : "int64", CORE)),
  word("rip", "rip", "code_ptr", CORE),
  {
    name: "eflags",
    bits: 32,
    type: "i386_eflags",
    feature: CORE,
    read: (core) => core.rflags & 0xffff_ffffn,
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
      read: (core) => BigInt(core.segment(name).selector),
    }),
  ),
  ...Array.from(
    { length: 8 },
    (_, n): Register => ({
      name: `st${n}`,
      bits: 80,
      type: "i387_ext",
      feature: CORE,
      read: (core) => core.st(n),
    }),
  ),
  x87("fctrl", (core) => core.fpu("control")),
  x87("fstat", (core) => core.fpu("status")),
  x87("ftag", (core) => fullTags(core)),
  x87("fiseg", () => 0),
  x87("fioff", (core) => core.fpu("instruction")),
  x87("foseg", () => 0),
  x87("fooff", (core) => core.fpu("data")),
  x87("fop", (core) => core.fpu("opcode")),
  ...Array.from(
    { length: 16 },
    (_, n): Register => ({
      name: `xmm${n}`,
      bits: 128,
      type: "vec128",
      feature: SSE,
      read: (core) => core.xmm(n),
      write: (core, value) => core.setXmm(n, value),
    }),
  ),
  {
    name: "mxcsr",
    bits: 32,
    type: "i386_mxcsr",
    feature: SSE,
    read: (core) => BigInt(core.mxcsr),
  },
  base("fs_base", "fs"),
  base("gs_base", "gs"),
  word("k_gs_base", "kernelGsBase", "int64", CONTROL),
  word("cr0", "cr0", "int64", CONTROL),
  word("cr2", "cr2", "int64", CONTROL),
  word("cr3", "cr3", "int64", CONTROL),
  word("cr4", "cr4", "int64", CONTROL),
  word("efer", "efer", "int64", CONTROL),
  {
    name: "cpl",
    bits: 32,
    type: "int32",
    feature: CONTROL,
    read: (core) => BigInt(core.cpl),
  },
];

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

/** A register's bytes, least significant first, as gdb wants them. */
export function bytesOf(register: Register, value: bigint): Uint8Array {
  return Uint8Array.from({ length: register.bits / 8 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

export function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** What qXfer:features:read:target.xml gives. */
export function targetDescription(): string {
  const features = [...new Set(registers.map((r) => r.feature))].map((feature) => {
    const regs = registers.filter((r) => r.feature === feature).map(element);
    return `<feature name="${feature}">${types[feature] ?? ""}${regs.join("")}</feature>`;
  });
  return `<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target version="1.0"><architecture>i386:x86-64</architecture>${features.join("")}</target>`;
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
