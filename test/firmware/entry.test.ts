// What each boot protocol promises of the processor at the kernel's entry, seen on kernels that stop there; and images that
// are wrong, each with its words. Multiboot Specification 0.6.96, 3.1 and 3.2; Xen, "x86/HVM direct boot ABI"; Linux,
// Documentation/arch/x86/boot.rst.

import { describe, expect, test } from "vitest";
import { bootFiles } from "../../emulator/boot-files.js";
import { Machine, type MachineOptions } from "../../emulator/machine.js";
import { firmwareImage } from "../../firmware/index.js";
import { type ElfOptions, elfImage, multibootStop, pvhNote, STOP_AT } from "./elf-image.js";

const BASE = 0x10_0000;

async function run(options: MachineOptions) {
  let console = "";
  const machine = await Machine.create({
    firmware: firmwareImage(),
    memory: 32 << 20,
    ...options,
    console: (byte) => {
      console += String.fromCharCode(byte);
    },
  });
  machine.run({ limit: 20e6 });
  return {
    console,
    machine,
    core: machine.core(0),
    view: new DataView(machine.ram.buffer, machine.ram.byteOffset),
  };
}

const multiboot = (o: Partial<ElfOptions> = {}) =>
  elfImage({ entry: BASE + STOP_AT, segments: [{ bytes: multibootStop(), physical: BASE }], ...o });
const stop = Uint8Array.of(0xf4, 0xeb, 0xfd);
const pvh = (bits: 32 | 64) =>
  elfImage({
    bits,
    entry: 0,
    segments: [
      { bytes: stop, physical: BASE },
      { type: 4, bytes: pvhNote(BASE) },
    ],
  });

/** A setup header and code that stops at both entries. */
function linux(): Uint8Array {
  const file = new Uint8Array(3 * 512 + 0x280);
  const view = new DataView(file.buffer);
  file[0x1f1] = 2;
  view.setUint16(0x1fe, 0xaa55, true);
  file.set([0xeb, 0x66], 0x200);
  file.set(Buffer.from("HdrS"), 0x202);
  view.setUint16(0x206, 0x020f, true);
  file.set([1], 0x211);
  view.setUint32(0x214, BASE, true);
  view.setUint32(0x22c, 0x7fff_ffff, true);
  view.setUint32(0x260, 0x1000, true);
  file.set([1], 0x236);
  for (const at of [0, 0x200]) file.set(stop, 3 * 512 + at);
  return file;
}

type Core = Awaited<ReturnType<typeof run>>["core"];
/** Base, limit and type of a segment; type as in descriptors, with P, DPL and S. */
const segmentOf = (core: Core, name: "cs" | "ds" | "es" | "fs" | "gs" | "ss" | "tr") => {
  const { base, limit, attributes } = core.segment(name);
  return {
    base: Number(base),
    limit: limit >>> 0,
    type: (attributes >> 8) & 0xfe,
    big: (attributes >> 22) & 1,
  };
};
const FLAT = { base: 0, limit: 0xffff_ffff };
/** Accessed or not (bit 0 is left out). */
const [CODE, DATA] = [0x9a, 0x92];
const flag = { trap: 1n << 8n, interrupts: 1n << 9n, virtual: 1n << 17n } as const;
const PE = 1n;
const PG = 1n << 31n;
/** ET reads as 1 on every processor since the 486. */
const ET = 1n << 4n;

function expectProtected(core: Core): void {
  expect(core.register("cr0") & ~ET).toBe(PE);
  expect(core.register("cr4")).toBe(0n);
  expect(core.register("efer")).toBe(0n);
  expect(core.rflags & (flag.trap | flag.interrupts | flag.virtual)).toBe(0n);
  expect(segmentOf(core, "cs")).toEqual({ ...FLAT, type: CODE, big: 1 });
  for (const name of ["ds", "es", "fs", "gs", "ss"] as const)
    expect([name, segmentOf(core, name)]).toEqual([name, { ...FLAT, type: DATA, big: 1 }]);
}

describe("at the entry", () => {
  // Multiboot 0.6.96, 3.2
  test.each([
    ["ELF32", multiboot(), {}],
    ["ELF64", multiboot({ bits: 64 }), {}],
    ["flat", stop, bootFiles({ flat: BASE })],
  ] as const)("multiboot, %s", async (_, kernel, files) => {
    const { core, view, machine } = await run({ kernel, ...files });
    expectProtected(core);
    expect(core.register("rax")).toBe(0x2bad_b002n);
    expect(core.rip).toBe(BigInt(BASE + (kernel === stop ? 1 : STOP_AT + 1)));
    const information = Number(core.register("rbx"));
    expect(view.getUint32(information, true) & 0x41).toBe(0x41);
    expect(machine.snapshot()).toBeDefined();
    expect(a20(machine)).toBe(true);
  });

  // Xen, "x86/HVM direct boot ABI"
  test.each([32, 64] as const)("PVH, ELF%i", async (bits) => {
    const { core, view } = await run({ kernel: pvh(bits) });
    expectProtected(core);
    expect(core.rip).toBe(BigInt(BASE + 1));
    // "tr: must be a 32-bit TSS (active) with a base of 0 and a limit of 0x67"
    expect(segmentOf(core, "tr")).toMatchObject({ base: 0, limit: 0x67, type: 0x8a });
    const at = Number(core.register("rbx"));
    expect([view.getUint32(at, true), view.getUint32(at + 4, true)]).toEqual([0x336e_c578, 1]);
  });

  // boot.rst, "32-bit Boot Protocol"
  test("Linux, 32 bits", async () => {
    const { core, view } = await run({ kernel: linux() });
    expectProtected(core);
    expect([core.segment("cs").selector, core.segment("ds").selector]).toEqual([0x10, 0x18]);
    expect([core.segment("es").selector, core.segment("ss").selector]).toEqual([0x18, 0x18]);
    for (const name of ["rbp", "rdi", "rbx"] as const)
      expect([name, core.register(name)]).toEqual([name, 0n]);
    expect(view.getUint32(Number(core.register("rsi")) + 0x202, true)).toBe(0x5372_6448);
    descriptors(core, view, 0xcf9a, 0xcf92);
  });

  // boot.rst, "64-bit Boot Protocol"
  test("Linux, 64 bits", async () => {
    const { core, view } = await run({ kernel: linux(), ...bootFiles({ entry: 64 }) });
    expect(core.register("cr0") & (PE | PG)).toBe(PE | PG);
    expect(core.register("efer") & 0x500n).toBe(0x500n);
    expect(core.rflags & flag.interrupts).toBe(0n);
    expect([core.segment("cs").selector, core.segment("ds").selector]).toEqual([0x10, 0x18]);
    expect(view.getUint32(Number(core.register("rsi")) + 0x202, true)).toBe(0x5372_6448);
    expect(core.rip).toBe(BigInt(BASE + 0x201));
    descriptors(core, view, 0xaf9a, 0xcf92);
  });
});

/** The GDT holds __BOOT_CS (0x10) and __BOOT_DS (0x18): their attributes, the accessed bit left out. */
function descriptors(core: Core, view: DataView, code: number, data: number): void {
  const gdt = Number(core.gdtr.base);
  expect(core.gdtr.limit).toBeGreaterThanOrEqual(0x1f);
  const attributes = (selector: number) => (view.getUint32(gdt + selector + 4, true) >>> 8) & 0xf0fe;
  expect([attributes(0x10), attributes(0x18)]).toEqual([code & 0xf0fe, data & 0xf0fe]);
}

/** Address bit 20 arrives. */
function a20(machine: Machine): boolean {
  machine.write(0x40_0000, 4, 1n);
  machine.write(0x50_0000, 4, 2n);
  return machine.read(0x40_0000, 4) === 1n;
}

describe("an ELF image for multiboot", () => {
  // System V ABI: e_entry is a virtual address
  test.each([
    ["32", { bits: 32, virtual: 0xc010_0000n }],
    ["64", { bits: 64, virtual: 0xffff_ffff_8010_0000n }],
  ] as const)("ELF%s linked elsewhere is entered where its segment lies", async (_, { bits, virtual }) => {
    const segments = [
      { bytes: stop, physical: 0x30_0000, virtual: virtual + 0x20_0000n },
      { bytes: multibootStop(), physical: BASE, virtual },
    ];
    const { core, console } = await run({
      kernel: elfImage({ bits, entry: virtual + BigInt(STOP_AT), segments }),
    });
    expect(console).not.toMatch(/^firmware:/m);
    expect(core.rip).toBe(BigInt(BASE + STOP_AT + 1));
  });

  test("a physical entry of an image that is linked elsewhere stays", async () => {
    const segments = [{ bytes: multibootStop(), physical: BASE, virtual: 0xc010_0000n }];
    expect((await run({ kernel: multiboot({ segments }) })).core.rip).toBe(BigInt(BASE + STOP_AT + 1));
  });

  test("memory beyond the file is cleared, to the last byte", async () => {
    const segments = [{ bytes: multibootStop(), physical: BASE, memoryBytes: 0x1003 }];
    const { machine, core } = await run({ kernel: multiboot({ segments }) });
    expect(core.rip).toBe(BigInt(BASE + STOP_AT + 1));
    expect(machine.ram.subarray(BASE + 15, BASE + 0x1003).every((byte) => byte === 0)).toBe(true);
  });
});

const wrong: readonly [name: string, kernel: Uint8Array, words: string][] = [
  ["a big-endian ELF file", multiboot({ data: 2 }), "for another processor"],
  ["an ELF file of another processor", multiboot({ machine: 40 }), "for another processor"],
  ["an ELF file of no known class", multiboot().fill(7, 4, 5), "neither ELF nor does its header"],
  [
    "an entry outside of what is loaded",
    multiboot({ entry: 0x50_0000 }),
    "entry does not lie in what was loaded",
  ],
  [
    "no segment to load",
    multiboot({ segments: [{ type: 4, bytes: multibootStop() }] }),
    "entry does not lie",
  ],
  ["an entry above 4 GiB", multiboot({ bits: 64, entry: 2n ** 32n + 5n }), "entry lies above 4 GiB"],
  ["program headers far into the file", multiboot({ headers: 0x10_0000 }), "do not stand at the beginning"],
  ["program headers that are too short", multiboot({ headerBytes: 8 }), "or are too short"],
  ["a file that is cut", multiboot().slice(0, -2), "file ends before a part"],
  [
    "a segment that lies beyond the file",
    multiboot({ segments: [{ bytes: multibootStop(), physical: BASE, offset: 0xffff_fff0 }] }),
    "file ends before a part",
  ],
  [
    "a segment longer in the file than in memory",
    multiboot({ segments: [{ bytes: multibootStop(), physical: BASE, memoryBytes: 3 }] }),
    "does not lie in RAM that is free",
  ],
  [
    "a segment that goes round the end of memory",
    multiboot({
      segments: [{ bytes: multibootStop(), physical: 0xffff_fff0, memoryBytes: 0x100 }],
      entry: 0xffff_fffc,
    }),
    "does not lie in RAM that is free",
  ],
  [
    "a segment in the BIOS data area",
    multiboot({ segments: [{ bytes: multibootStop(), physical: 0x400 }], entry: 0x40c }),
    "does not lie in RAM that is free",
  ],
  [
    "a multiboot checksum that is wrong",
    multiboot().fill(0x55, 0x208, 0x209),
    "speaks no boot protocol known here",
  ],
  ["a PVH note that names no loaded address", pvhTo(0x70_0000), "entry does not lie in what was loaded"],
  ["a file of one byte", Uint8Array.of(0x7f), "speaks no boot protocol known here"],
  [
    "the first bytes of an ELF file",
    Uint8Array.of(0x7f, 0x45, 0x4c, 0x46),
    "speaks no boot protocol known here",
  ],
];
function pvhTo(entry: number): Uint8Array {
  const segments = [
    { bytes: stop, physical: BASE },
    { type: 4, bytes: pvhNote(entry) },
  ];
  return elfImage({ entry: BASE, segments });
}

test.each(wrong)("the firmware names %s and ends", async (_, kernel, words) => {
  const { console, machine } = await run({ kernel });
  expect(console).toMatch(new RegExp(`^firmware: .*${words}`, "m"));
  expect({ exit: machine.exitCode, problem: machine.problem }).toEqual({ exit: 126, problem: "" });
});
