// A ROM of cases: the reset vector, the monitor (monitor.ts), pristine pages (tables.ts), and then the cases, each a list of
// fields and of words to be put somewhere before it begins.

import { assemble, assembleWithLabels } from "../../emulator/assembler.js";
import {
  CASES, COPY, CR0_PLAIN, CR4_PLAIN, END_VECTOR, FIELDS, MONITOR, type Mode, REAL_CODE_ROM, ROM_BYTES, VECTORS,
} from "./layout.js"; // biome-ignore format: a list
import { monitor, start } from "./monitor.js";
import { realCode } from "./real.js";
import { at, GDT_BYTES, pristinePages, selectors } from "./tables.js";

/** What a case sets before its first instruction; what is left out has the value that tables.ts gives. */
export interface Case {
  /** What is tried, for the report. */
  readonly name: string;
  readonly code: string | Uint8Array;
  readonly bits: 16 | 32 | 64;
  readonly ring?: 0 | 3;
  /** Virtual-8086 mode (legacy only). */
  readonly virtual?: boolean;
  /** Real mode (legacy only), with segments of 64 KiB, or of 4 GiB: real.ts. */
  readonly real?: 1 | 2;
  readonly registers?: Readonly<Record<string, number>>;
  /** Words to put at physical addresses: tables, data. */
  readonly words?: readonly (readonly [address: number, value: number])[];
  /** How many events it may have; 1 unless told. */
  readonly events?: number;
}

const IDT_BYTES = { legacy: 8, long: 16 };
/** Real mode's LGDT knows 24 bits of base: a copy of the GDT in the monitor's 64 KiB. */
const GDT_COPY = 0xe00;
const MONITOR_TEXT = MONITOR + 0x1000;

const DEFAULTS: Readonly<Record<Mode, Readonly<Record<string, number>>>> = {
  legacy: { cr0: 0x8001_0033, cr3: at.directory, cr4: 0x610, efer: 0, rsp: at.stack0, tr: selectors.task, ldtr: selectors.ldt },
  long: { cr0: 0x8001_0033, cr3: at.pml4, cr4: 0x620, efer: 0xd01, rsp: at.stack0, tr: selectors.task, ldtr: selectors.ldt },
}; // biome-ignore format: tables

function entry(mode: Mode, c: Case): Record<string, number> {
  const ring = c.ring ?? 0;
  const rings =
    ring === 3
      ? { code: selectors.userCode, data: selectors.userData }
      : { code: selectors.code, data: selectors.data };
  const code16 = ring === 3 ? selectors.userCode16 : selectors.code16;
  const code32 = ring === 3 ? selectors.userCode32 : selectors.code32;
  const cs = c.bits === 16 ? code16 : mode === "long" && c.bits === 32 ? code32 : rings.code;
  const flat = { cs, ss: rings.data, ds: rings.data, es: rings.data, fs: rings.data, gs: rings.data };
  const segmented = c.virtual || c.real !== undefined;
  const real = {
    cs: at.code >>> 4,
    ss: at.stack3Page >>> 4,
    ds: at.data >>> 4,
    es: at.data >>> 4,
    fs: 0,
    gs: 0,
  };
  const own: Record<string, number> = {
    ...DEFAULTS[mode],
    rip: segmented ? 0 : at.code,
    flags: c.virtual ? 0x2_0002 : 2,
    ...(segmented ? real : flat),
    ...(segmented ? { rsp: 0xff0 } : ring === 3 ? { rsp: at.stack3 } : {}),
    ...(c.real !== undefined ? { real: c.real, cr0: CR0_PLAIN.legacy, cr4: CR4_PLAIN.legacy } : {}),
    rdi: 0x1111_1111, rsi: 0x2222_2222, rbp: 0x3333_3333, rbx: 0x4444_4444, rdx: 0x5555_5555, rcx: 0x6666_6666, rax: 0x7777_7777,
    dr7: 0, events: c.events ?? 1,
  }; // biome-ignore format: one idea a line
  for (const [name, value] of Object.entries(c.registers ?? {})) {
    if (!(FIELDS as readonly string[]).includes(name)) throw new Error(`${c.name}: no register ${name}`);
    own[name] = value;
  }
  return own;
}

export const codeOf = (c: Case): Uint8Array =>
  typeof c.code === "string"
    ? assemble(`${c.code}\nint 0x40`, {
        bits: c.bits,
        origin: c.virtual || c.real !== undefined ? 0 : at.code,
      })
    : c.code;

/** The ROM, with the cases as far as they fit: how many there are is `cases.length` always, or it throws. */
export function rom(mode: Mode, cases: readonly Case[]): Uint8Array {
  const bytes = new Uint8Array(ROM_BYTES).fill(0xf4);
  const view = new DataView(bytes.buffer);
  const bits = mode === "long" ? 64 : 32;
  const body = assembleWithLabels(monitor(mode), { bits, origin: MONITOR_TEXT });
  const address = (name: string) => Number(body.labels.get(name));
  if (MONITOR_TEXT + body.bytes.length > REAL_CODE_ROM) throw new Error("the monitor is too long");
  bytes.set(body.bytes, MONITOR_TEXT);
  if (mode === "legacy") bytes.set(realCode(address("fromReal")), REAL_CODE_ROM);
  bytes.set(assemble("jmp 0xf000:0", { bits: 16 }), ROM_BYTES - 16);
  bytes.set(
    assemble(
      `cli;; xor ax, ax;; mov ds, ax;; mov ss, ax
       lgdt [cs:0x80]
       mov eax, cr0;; or al, 1;; mov cr0, eax
       db 0x66, 0xea
       dd ${MONITOR + 0x100}
       dw ${selectors.code32}`,
      { bits: 16 },
    ),
    MONITOR,
  );
  const double = mode === "legacy" ? address("double") : 0;
  bytes.set(assemble(start(mode, address("main")), { bits: 32, origin: MONITOR + 0x100 }), MONITOR + 0x100);
  view.setUint16(MONITOR + 0x80, 0x1ff, true);
  view.setUint32(MONITOR + 0x82, MONITOR + GDT_COPY, true);
  bytes.set(
    pristinePages(
      mode,
      (v) =>
        (v < 32 || v >= END_VECTOR) && v < VECTORS
          ? v === 8 && mode === "legacy"
            ? double
            : address(`vector${v}`)
          : 0,
      IDT_BYTES[mode],
    ),
    0,
  );
  bytes.copyWithin(MONITOR + GDT_COPY, at.gdt - at.pagesStart, at.gdt - at.pagesStart + GDT_BYTES);
  let to = CASES - COPY;
  for (const c of cases) {
    const code = codeOf(c);
    const padded = new Uint8Array((code.length + 3) & ~3).fill(0x90);
    padded.set(code);
    const codeView = new DataView(padded.buffer);
    const words: (readonly [number, number])[] = Array.from(
      { length: padded.length / 4 },
      (_, i) => [at.code + 4 * i, codeView.getUint32(4 * i, true)] as const,
    );
    words.push(...(c.words ?? []));
    const values = entry(mode, c);
    values.bytes = 4 * FIELDS.length + 8 * words.length;
    values.words = words.length;
    if (to + values.bytes + 4 > MONITOR) throw new Error(`${cases.length} cases do not fit`);
    FIELDS.forEach((name, i) => {
      view.setUint32(to + 4 * i, (values[name] ?? 0) >>> 0, true);
    });
    to += 4 * FIELDS.length;
    for (const [where, value] of words) {
      view.setUint32(to, where, true);
      view.setUint32(to + 4, value >>> 0, true);
      to += 8;
    }
  }
  view.setUint32(to, 0, true);
  return bytes;
}
