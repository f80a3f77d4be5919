// Far transfers, segment registers and questions about selectors against the host's processor: code of 16, 32 and 64 bits
// in ring 3 with random selectors of an LDT and of Linux's GDT, pointers and stack frames, at the edges of stacks and
// limits. How it ends is compared: exception, error code, registers, stack. SEED and CASES say which and how many. In what no manual
// states one family of processors may differ from another (these are as on family 1AH), and so may the GDT of another Linux.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Draw } from "../references/draw.js";
import { Cpu, GDT, IDT, PAGE_TABLES } from "../support/cpu.js";
import { temporaryFolder } from "../support/folder.js";
import { absentIn16Bit } from "./native.js";

const SEED = Number(process.env.SEED ?? 1);
const CASES = Number(process.env.CASES ?? 1000);
const REGION = 0xa0_0000;
const PAGE = 0x1000;
const STACK = 0x1800;
const DATA = 0x2000;
const LANDING = 0x800;
const LDT = 0xc000;
const HANDLERS = 0x2_0000;
const LARGE_PAGE = 0x20_0000;
const STEPS = 9000;
const INT3 = 0xcc;
const PF = 14;
/** The case went on for so long that it was ended. */
const LATE = "63 ";
const ERRORS = new Set([8, 10, 11, 12, 13, PF, 17]);
const REGISTERS = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"] as const;

/** Entries of the LDT, all from REGION on: limit, 32 bits, contents as of modify_ldt(2), read-only, not present. */
const entries = [
  [0xffff, 1, 2, 0, 0],
  [0x0fff, 1, 2, 1, 0],
  [0x2fff, 1, 0, 0, 0],
  [0x2fff, 1, 0, 1, 0],
  [0x0fff, 1, 1, 0, 0],
  [0x2fff, 1, 0, 0, 1],
  [0xffff, 1, 2, 0, 1],
  [0xffff, 1, 3, 0, 1],
  [0xffff, 0, 2, 0, 0],
  [0xffff, 0, 0, 0, 0],
  [0x1fff, 0, 1, 0, 0],
] as const;
const [CODE32, DATA32, DOWN32, CODE16, DATA16, DOWN16] = [0x07, 0x17, 0x27, 0x47, 0x4f, 0x57];
/** Linux's GDT. */
const [FLAT32, FLAT, FLAT64] = [0x23, 0x2b, 0x33];
const descriptors: Readonly<Record<number, bigint>> = {
  1: 0x00cf_9b00_0000_ffffn,
  2: 0x00af_9b00_0000_ffffn,
  3: 0x00cf_9300_0000_ffffn,
  4: 0x00cf_fb00_0000_ffffn,
  5: 0x00cf_f300_0000_ffffn,
  6: 0x00af_fb00_0000_ffffn,
  8: 0x0000_8b00_0000_4087n,
  10: 0x0000_8200_0000_0057n,
};
const KERNEL_CODE = 0x10;
// biome-ignore format: a list
const SELECTORS = [
  ...entries.map((_, index) => (index << 3) | 7), 0x5f, 0x67, 0, 3, 1, 0x23, 0x2b, 0x33, 0x20, 0x28, 0x10, 0x18, 0x08, 0x0b, 0x1b, 0x13,
  0x43, 0x40, 0x53, 0x63, 0x83, 0xfffb, 0x05, 0x06, 0x04, 0x3d, 0x16, 0x14,
];
const CODE_SELECTORS = [CODE32, 0x0f, 0x3f, CODE16, FLAT32, FLAT64, CODE32, 0x0f, 0x3f, ...SELECTORS];
const OFFSETS = [
  LANDING,
  LANDING,
  REGION + LANDING,
  0xfff,
  0x1000,
  0x1001,
  0xffff,
  0x1_0000,
  0xffff_ffff,
  0xa0,
];
const STACKS = [
  0x1800, 0x1800, 0x2ff8, 0x2ffc, 0x2ffa, 0x2ffe, 0x2ff0, 0x2fee, 0x1002, 0x1004, 0x1008, 0, 2, 4, 0x3000,
  0x2000,
];

interface Case {
  readonly cs: number;
  /** DS, ES, GS, SS. */
  readonly segments: readonly number[];
  readonly registers: readonly number[];
  /** Offset and bytes of each part of the three pages. */
  readonly parts: readonly (readonly [at: number, bytes: readonly number[]])[];
}

const bytesOf = (value: number, count: number) =>
  Array.from({ length: count }, (_, i) => (i < 4 ? (value >>> (8 * i)) & 0xff : 0));

/** One case: a mode, a stack, and an instruction with what it reads. */
class Drawing {
  readonly #parts: [number, number[]][] = [];
  readonly #cs: number;
  readonly #flat: boolean;
  readonly #long: boolean;
  readonly #wordBytes: number;
  readonly #prefixes: readonly number[];
  readonly #ss: number;
  readonly #top: number;
  readonly #pointerAt: number;

  constructor(readonly d: Draw) {
    this.#cs = d.rarely(3) ? CODE16 : d.pick([CODE32, CODE32, FLAT32, FLAT64, FLAT64]);
    this.#flat = (this.#cs & 4) === 0;
    this.#long = this.#cs === FLAT64;
    const [narrow, wide] = [d.rarely(3), this.#long && d.rarely(2)];
    this.#prefixes = [...(narrow ? [0x66] : []), ...(wide ? [0x48] : [])];
    this.#wordBytes = wide ? 8 : (this.#cs === CODE16) === narrow ? 4 : 2;
    this.#ss = d.pick([FLAT, FLAT, DATA32, DATA32, DATA16, DOWN32, DOWN16]);
    this.#top = d.pick(STACKS);
    this.#pointerAt = DATA + d.pick([0x100, 0x100, 0x100, 0xffc, 0xffa, 0xffe, 0xff8]);
  }

  #put(at: number, ...values: [value: number, bytes: number][]): void {
    let to = at;
    for (const [value, bytes] of values) {
      if (to >= PAGE && to + bytes <= 3 * PAGE) this.#parts.push([to, bytesOf(value, bytes)]);
      to += bytes;
    }
  }

  /** An operand in memory at the pointer's place. */
  #memory(digit: number): number[] {
    const at = (this.#flat ? REGION : 0) + this.#pointerAt;
    if (this.#long) return [(digit << 3) | 4, 0x25, ...bytesOf(at, 4)];
    return this.#cs === CODE16
      ? [(digit << 3) | 6, ...bytesOf(at, 2)]
      : [(digit << 3) | 5, ...bytesOf(at, 4)];
  }

  /** What RET and IRET pop. */
  #frame(flags: boolean, skipped = 0): void {
    const [d, bytes] = [this.d, this.#wordBytes];
    this.#put(
      this.#top,
      [d.pick(OFFSETS), bytes],
      [d.pick(CODE_SELECTORS), bytes],
      ...(flags
        ? [[d.pick([2, 0x202, 0x7ed7, 0x4002, 0x4_0002, 0x2_0002]) & ~0x100, bytes] as [number, number]]
        : []),
      [0, skipped],
      [d.pick([STACK, REGION + STACK]), bytes],
      [d.pick(SELECTORS), bytes],
    );
  }

  readonly #kinds: readonly (() => number[])[] = [
    () => this.#direct(0xea),
    () => this.#direct(0x9a),
    () => this.#throughMemory(5),
    () => this.#throughMemory(3),
    () => {
      this.#frame(false);
      return [0xcb];
    },
    () => {
      const released = this.d.pick([0, 2, 4, 8, 0x100, 0xfffe]);
      this.#frame(false, released < 16 ? released : 0);
      return [0xca, ...bytesOf(released, 2)];
    },
    () => {
      this.#frame(true);
      return [0xcf];
    },
    () => [0x8e, 0xc0 | (this.d.pick([0, 1, 2, 3, 5]) << 3)],
    () => {
      this.#put(this.#top, [this.d.pick(SELECTORS) | 0x1234_0000, this.#wordBytes]);
      return this.#long ? [0x0f, 0xa9] : this.d.pick([[0x07], [0x17], [0x1f], [0x0f, 0xa9]]);
    },
    () => (this.#long ? [0x0f, 0xa8] : this.d.pick([[0x06], [0x16], [0x1e], [0x0e], [0x0f, 0xa8]])),
    () => {
      this.#put(this.#pointerAt, [0x1234_5678, this.#wordBytes], [this.d.pick(SELECTORS), 2]);
      const [lss, lgs] = [[0x0f, 0xb2], [0x0f, 0xb5]]; // biome-ignore format: opcodes
      return [
        ...this.d.pick(this.#long ? [lss!, lgs!] : [[0xc4], [0xc5], lss!, lgs!]),
        ...this.#memory(this.d.pick([0, 6])),
      ];
    },
    () => [0x0f, this.d.pick([2, 3]), 0xc0],
    () => [0x0f, 0x00, this.d.pick([0xe0, 0xe8])],
    () => (this.#long ? [0x90] : [0x63, 0xc8]), // ARPL
  ];

  /** Not in 64-bit mode. */
  #direct(opcode: number): number[] {
    if (this.#long) return [opcode];
    return [
      opcode,
      ...bytesOf(this.d.pick(OFFSETS), this.#wordBytes),
      ...bytesOf(this.d.pick(CODE_SELECTORS), 2),
    ];
  }
  #throughMemory(digit: number): number[] {
    this.#put(this.#pointerAt, [this.d.pick(OFFSETS), this.#wordBytes], [this.d.pick(CODE_SELECTORS), 2]);
    return [0xff, ...this.#memory(digit)];
  }

  made(): Case {
    const { d } = this;
    const wraps = this.#ss === DATA16 && d.rarely(3) ? 0x5_0000 : 0;
    const rsp = (this.#ss === FLAT ? REGION : wraps) + this.#top;
    const code = d.pick(this.#kinds)();
    // With REX.W far pointers are Intel's here: compare.ts says so.
    const far = code[0] === 0xff || (code[0] === 0x0f && (code[1] === 0xb2 || code[1] === 0xb5));
    const prefixes = far ? this.#prefixes.filter((byte) => byte === 0x66) : this.#prefixes;
    this.#parts.push([0, [...prefixes, ...code]]);
    const given = [
      d.pick(SELECTORS),
      d.pick(CODE_SELECTORS),
      d.bits(),
      d.bits(),
      rsp,
      d.bits(),
      d.bits(),
      d.bits(),
    ];
    const segments = [this.#flat ? FLAT : DATA32, d.pick([0, DATA32, FLAT]), d.pick([0, DATA32]), this.#ss];
    return { cs: this.#cs, segments, registers: given.map((value) => value >>> 0), parts: this.#parts };
  }
}

const hex = (value: number | bigint) => value.toString(16);
const line = ({ cs, segments, registers, parts }: Case) =>
  [
    ...[cs, ...segments, ...registers].map(hex),
    ...parts.map(([at, bytes]) => `${hex(at)}:${Buffer.from(bytes).toString("hex")}`),
  ].join(" ");

function onSilicon(cases: readonly Case[]): string[] {
  const folder = temporaryFolder();
  try {
    const program = join(folder.path, "far");
    const source = fileURLToPath(new URL("far.c", import.meta.url));
    const options = ["-O1", "-no-pie", "-fno-stack-protector"];
    const compiled = spawnSync("gcc", [...options, "-o", program, source], { encoding: "utf8" });
    if (compiled.status !== 0) throw new Error(`gcc: ${compiled.stderr}`);
    const table = entries.map(([limit, ...rest], index) => `ldt ${index} ${hex(limit)} ${rest.join(" ")}`);
    const input = `${[...table, ...cases.map(line)].join("\n")}\n`;
    return spawnSync(program, { input, encoding: "utf8", timeout: 60_000 }).stdout.trimEnd().split("\n");
  } finally {
    folder.remove();
  }
}

/** The descriptor that modify_ldt makes. */
function descriptorOf([limit, big, contents, readOnly, absent]: (typeof entries)[number]): bigint {
  const access = 0x71 | (contents << 2) | (readOnly ? 0 : 2) | (absent ? 0 : 0x80);
  return BigInt(limit) | (BigInt(REGION) << 16n) | (BigInt(access) << 40n) | (BigInt(big) << 54n);
}
const find = (selector: number) =>
  (selector & 4) !== 0 ? descriptorOf(entries[selector >> 3]!) : (descriptors[selector >> 3] ?? 0n);

function prepare(cpu: Cpu, c: Case): void {
  cpu.engine.reset(0);
  cpu.setUp();
  cpu.ram.fill(0, REGION, REGION + 4 * PAGE);
  cpu.ram.fill(INT3, REGION, REGION + PAGE);
  for (const [at, bytes] of c.parts) cpu.ram.set(bytes, REGION + at);
  for (let i = 0; i < 16; i++) cpu.write(GDT + 8 * i, 8, descriptors[i] ?? 0n);
  for (const [i, entry] of entries.entries()) cpu.write(LDT + 8 * i, 8, descriptorOf(entry));
  // Three pages are the user's; the system has its first 10 MiB to itself.
  for (let i = 0; i < 4 * 512; i++)
    cpu.write(PAGE_TABLES + 0x2000 + 8 * i, 8, i < REGION / LARGE_PAGE ? i * LARGE_PAGE + 0x83 : 0);
  cpu.write(PAGE_TABLES + 0x2000 + 8 * (REGION / LARGE_PAGE), 8, 0x7007);
  for (let i = 0; i < 512; i++) cpu.write(0x7000 + 8 * i, 8, i < 3 ? REGION + PAGE * i + 7 : 0);
  for (let vector = 0; vector < 20; vector++) {
    const handler = HANDLERS + 16 * vector;
    cpu.place(handler, "hlt");
    cpu.gate(vector, handler);
    cpu.write(IDT + 16 * vector + 2, 2, KERNEL_CODE);
  }
  cpu.write(IDT + 16 * 3 + 5, 1, 0xee); // INT3 is for ring 3
  const s = cpu.state();
  s.gdtr = { base: BigInt(GDT), limit: 0x7f };
  s.setSegment("ldtr", {
    selector: 0x50,
    base: BigInt(LDT),
    limit: 8 * entries.length - 1,
    attributes: 0x8200,
  });
  const load = (name: "cs" | "ds" | "es" | "gs" | "ss", selector: number) => {
    const d = selector === 0 ? 0n : find(selector);
    const limit = Number(d & 0xffffn) | (Number((d >> 48n) & 15n) << 16);
    const bytes = ((d >> 55n) & 1n) === 1n ? ((limit << 12) | 0xfff) >>> 0 : limit;
    const base = ((d >> 16n) & 0xff_ffffn) | ((d >> 56n) << 24n);
    s.setSegment(name, { selector, base, limit: bytes, attributes: Number((d >> 32n) & 0xf0_ff00n) });
  };
  load("cs", c.cs);
  for (const [i, name] of (["ds", "es", "gs", "ss"] as const).entries()) load(name, c.segments[i]!);
  s.setSegment("fs", { selector: 0, base: 0n, limit: 0, attributes: 0 });
  s.cpl = 3;
  s.rflags = 0x202;
  s.set(Object.fromEntries(REGISTERS.map((name, i) => [name, c.registers[i]!])));
  s.set({ rip: (c.cs & 4) !== 0 ? 0 : REGION });
  cpu.engine.written(REGION, 4 * PAGE);
  cpu.engine.restore(0, cpu.engine.snapshot(0)); // the engine looks at the segments anew
}

function here(cpu: Cpu, c: Case): string {
  prepare(cpu, c);
  cpu.run(STEPS);
  const s = cpu.state();
  const vector = (Number(s.rip) - 1 - HANDLERS) / 16;
  let frame = Number(s.register("rsp"));
  let error = 0;
  if (ERRORS.has(vector)) {
    error = Number(cpu.read(frame, 4)) & (vector === PF ? ~1 : ~0);
    frame += 8;
  }
  const pushed = (index: number) => Number(cpu.read(frame + 8 * index, 4));
  const selectors = [pushed(4), ...(["ds", "es", "gs"] as const).map((name) => s.segment(name).selector)];
  const registers = REGISTERS.map((name) => (name === "rsp" ? cpu.read(frame + 24, 8) : s.register(name)));
  let sum = 0;
  for (let i = PAGE; i < 3 * PAGE; i++) sum = (Math.imul(sum, 31) + cpu.ram[REGION + i]!) >>> 0;
  const flags = pushed(2) & ~0x1_0000;
  return [vector, error, pushed(1), pushed(0), flags, ...selectors, ...registers, sum].map(hex).join(" ");
}

/** Null selectors lose their RPL when the system returns. */
const told = (text: string) =>
  text
    .split(" ")
    .map((word, i) => (i >= 5 && i <= 8 && /^[123]$/.test(word) ? "0" : word))
    .join(" ");

const missing =
  absentIn16Bit() ?? (spawnSync("gcc", ["--version"]).status === 0 ? undefined : "gcc is not installed");

test.skipIf(missing !== undefined)(
  `far transfers and segment registers agree with silicon${missing === undefined ? "" : ` (${missing})`}`,
  { timeout: 120_000 },
  async () => {
    const d = new Draw(SEED);
    const cases = Array.from({ length: CASES }, () => new Drawing(d).made());
    const silicon = onSilicon(cases);
    const cpu = await Cpu.create();
    const found: string[] = [];
    for (const [i, c] of cases.entries()) {
      const theirs = silicon[i] ?? "nothing";
      const ours = theirs.startsWith(LATE) ? theirs : here(cpu, c);
      if (told(ours) !== told(theirs)) found.push(`${line(c)}\n  silicon ${theirs}\n  here    ${ours}`);
    }
    expect(found.join("\n"), `SEED=${SEED}`).toBe("");
  },
);
