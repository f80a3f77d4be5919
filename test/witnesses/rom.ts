// A ROM that lives through cases and tells what became of each, the same on every machine: the tables and pages of a
// case are made anew, its words are put into them, its registers are loaded, IRET goes to its code, and whatever
// exception or interrupt follows is written to port E9 with the registers, the frame that was pushed, CR2 and DR6. At
// the case's end a digest of every page that it may have changed follows. Two machines are compared byte by byte.
//
// The monitor knows no instruction of a case and no expected result. It is written twice, for legacy mode (which has
// tasks and virtual-8086 mode) and for long mode. A case ends by `int 0x40`, by any exception but #DB and #BP, or when
// it has used up its events.

import { assemble, assembleWithLabels } from "../../emulator/assembler.js";
import { at, GDT_BYTES, pristinePages, selectors } from "./tables.js";

export type Mode = "legacy" | "long";

/** What a case sets before its first instruction; what is left out has the value that tables.ts gives. */
export interface Case {
  /** What is tried, for the report. */
  readonly name: string;
  readonly code: string | Uint8Array;
  readonly bits: 16 | 32 | 64;
  readonly ring?: 0 | 3;
  /** Virtual-8086 mode (legacy only). */
  readonly virtual?: boolean;
  readonly registers?: Readonly<Record<string, number>>;
  /** Words to put at physical addresses: tables, data. */
  readonly words?: readonly (readonly [address: number, value: number])[];
  /** How many events it may have; 1 unless told. */
  readonly events?: number;
}

/** The dwords in front of a case's words. */
const FIELDS = [
  "bytes", "words", "rip", "cs", "flags", "rsp", "ss", "es", "ds", "fs", "gs", "rdi", "rsi", "rbp", "rbx", "rdx", "rcx",
  "rax", "cr0", "cr3", "cr4", "efer", "dr0", "dr1", "dr2", "dr3", "dr7", "events", "ldtr", "tr",
] as const; // biome-ignore format: a list
const field = Object.fromEntries(FIELDS.map((name, i) => [name, 4 * i])) as Record<
  (typeof FIELDS)[number],
  number
>;

const ROM_BYTES = 0x10_0000;
const MONITOR = 0xf_0000;
/** Where the ROM is copied to, and where its cases begin there. */
const COPY = 0x10_0000;
const PAGES = COPY;
const CASES = COPY + at.pagesEnd - at.pagesStart;
const VARIABLES = 0x5_0000;
const [CURRENT, EVENTS, ENTRY, EXTRA] = [0, 8, 0x100, 0x200].map((n) => VARIABLES + n) as [
  number,
  number,
  number,
  number,
];
const MONITOR_STACK = 0x5_8000;
const MONITOR_TABLES = 0x6_0000;
const IDT_BYTES = { legacy: 8, long: 16 };
/** Real mode's LGDT knows 24 bits of base: a copy of the GDT in the monitor's 64 KiB. */
const GDT_COPY = 0xe00;
const VECTORS = 0x42;
const END_VECTOR = 0x40;
const HAS_ERROR = new Set([8, 10, 11, 12, 13, 14, 17, 21, 29, 30]);
const CR0_PLAIN = 0x33;

/** How many bytes follow each mark of the log. */
export const EVENT_BYTES = {
  legacy: 4 * (4 + 8 + 2 + 9) + 4 * 8,
  long: 8 * (4 + 15 + 2 + 5) + 8 * 8,
} as const;
const digested = at.digested;
export const DIGEST_BYTES = 4 * digested.length;

const vectors = Array.from({ length: VECTORS }, (_, i) => i);
const send = (count: number, segment = "") =>
  `mov dx, 0xe9;; mov ecx, ${count};; ${segment === "" ? "rep outsb" : "db 0x36;; rep outsb"}`;
const mark = (byte: number) => `mov al, ${byte};; out 0xe9, al`;

/** EDI/RDI words: digest of each page in `digested`, sent as dwords. */
const digest = (r: "e" | "r") => `
  ${mark(0xd1)}
  ${digested
    .map(
      (page, i) => `
    mov esi, ${page}
    mov ecx, 1024
    xor eax, eax
    digest${i}: rol eax, 7
    xor eax, [${r}si]
    add ${r}si, 4
    dec ecx
    jnz digest${i}
    mov [${EXTRA + 4 * i}], eax`,
    )
    .join("\n")}
  mov esi, ${EXTRA}
  ${send(DIGEST_BYTES)}`;

const goodbye = `
  ${mark(0x99)}
  mov dx, 0x8900
  ${[..."Shutdown"].map((c) => `mov al, ${c.charCodeAt(0)};; out dx, al`).join("\n")}
  mov dx, 0xf4
  mov al, 0
  out dx, al
  stop: hlt
  jmp stop`;

/** Pages, words, descriptor-table registers and everything else that is the same in both modes. EBX: the case. */
const prepare = (r: "e" | "r", plainCr0: string) => `
  next:
    ${plainCr0}
    mov ${r}sp, ${MONITOR_STACK}
    mov ax, ${selectors.data}
    mov ds, ax;; mov es, ax;; mov fs, ax;; mov gs, ax;; mov ss, ax
    xor eax, eax
    mov dr7, ${r}ax
    mov cr2, ${r}ax
    cld
    mov esi, ${PAGES}
    mov edi, ${at.pagesStart}
    mov ecx, ${(at.pagesEnd - at.pagesStart) / 4}
    rep movsd
    lgdt [${at.pointers}]
    lidt [${at.pointers + 16}]
    mov ebx, [${CURRENT}]
    mov eax, [${r}bx]
    test eax, eax
    jz end
    add eax, ebx
    mov [${CURRENT}], eax
    ${mark(0xc5)}
    mov ecx, [${r}bx+4]
    lea ${r}si, [${r}bx+${4 * FIELDS.length}]
    test ecx, ecx;; jz written
    words: mov edi, [${r}si]
    mov eax, [${r}si+4]
    mov [${r}di], eax
    add ${r}si, 8
    dec ecx
    jnz words
    written:
    mov ${r}si, ${r}bx
    mov edi, ${ENTRY}
    mov ecx, ${FIELDS.length}
    rep movsd
    mov eax, [${ENTRY + field.events}]
    mov [${EVENTS}], eax
    fninit
    db 0x0f, 0x57, 0xc0, 0x0f, 0x57, 0xc9
    ltr word ptr [${ENTRY + field.tr}]
    lldt word ptr [${ENTRY + field.ldtr}]
    mov ecx, 0xc0000080
    mov eax, [${ENTRY + field.efer}]
    xor edx, edx
    wrmsr
    ${[0, 1, 2, 3].map((i) => `mov eax, [${ENTRY + field.dr0 + 4 * i}];; mov dr${i}, ${r}ax`).join("\n")}
    mov eax, 0xffff0ff0
    mov dr6, ${r}ax
    mov eax, [${ENTRY + field.cr4}]
    mov cr4, ${r}ax
    mov eax, [${ENTRY + field.cr3}]
    mov cr3, ${r}ax
    mov eax, [${ENTRY + field.cr0}]
    mov cr0, ${r}ax`;

const stubs = (r: "e" | "r") =>
  vectors
    .filter((v) => v !== 8 || r === "r")
    .map((v) => `vector${v}: ${HAS_ERROR.has(v) ? "" : "push 0x55;; "}push ${v};; jmp event`)
    .join("\n");

function legacy(): string {
  const load = (name: keyof typeof field, register: string) => `mov ${register}, cs:[${ENTRY + field[name]}]`;
  const segmentsAndRegisters = `
    ${load("dr7", "eax")}
    mov dr7, eax
    ${["es", "ds", "fs", "gs"].map((s) => `${load(s as "es", "eax")};; mov ${s}, ax`).join("\n")}
    ${["rdi", "rsi", "rbp", "rbx", "rdx", "rcx", "rax"].map((n) => load(n as "rdi", `e${n.slice(1)}`)).join("\n")}`;
  return `
    main:
    mov dword ptr [${CURRENT}], ${CASES}
    ${prepare("e", `mov eax, ${CR0_PLAIN};; mov cr0, eax;; mov eax, 0x600;; mov cr4, eax;; push 2;; popfd`)}
    test dword ptr [${ENTRY + field.flags}], 0x20000
    jnz outward
    test byte ptr [${ENTRY + field.cs}], 3
    jnz outward
    mov ss, word ptr [${ENTRY + field.ss}]
    mov esp, [${ENTRY + field.rsp}]
    push dword ptr [${ENTRY + field.flags}]
    push dword ptr [${ENTRY + field.cs}]
    push dword ptr [${ENTRY + field.rip}]
    ${segmentsAndRegisters}
    iretd
    outward:
    ${["gs", "fs", "ds", "es", "ss", "rsp", "flags", "cs", "rip"].map((n) => `push dword ptr [${ENTRY + field[n as "gs"]}]`).join("\n")}
    test dword ptr [${ENTRY + field.flags}], 0x20000
    jz plain
    mov word ptr [${ENTRY + field.es}], 0;; mov word ptr [${ENTRY + field.ds}], 0
    mov word ptr [${ENTRY + field.fs}], 0;; mov word ptr [${ENTRY + field.gs}], 0
    plain:
    ${segmentsAndRegisters}
    iretd
    ${stubs("e")}
    event:
    pushad
    push ds;; push es;; push fs;; push gs
    mov ax, ${selectors.data}
    mov ds, ax
    mov eax, cr0
    mov [${EXTRA + 8}], eax
    and eax, 0x7fffffff
    mov cr0, eax
    ${mark(0xe1)}
    mov esi, esp
    ${send(4 * (4 + 8 + 2 + 9), "ss")}
    ${[
      ["dr6", 0],
      ["dr7", 4],
      ["cr2", 12],
      ["cr4", 16],
    ]
      .map(([name, to]) => `mov eax, ${name};; mov [${EXTRA + (to as number)}], eax`)
      .join("\n")}
    xor eax, eax
    sldt ax;; mov [${EXTRA + 20}], eax
    str ax;; mov [${EXTRA + 24}], eax
    mov [${EXTRA + 28}], esp
    mov esi, ${EXTRA}
    ${send(32)}
    mov eax, ss:[esp+48]
    cmp eax, 1
    je again
    cmp eax, 3
    jne over
    again:
    dec dword ptr [${EVENTS}]
    jz over
    mov eax, [${EXTRA + 8}]
    mov cr0, eax
    pop gs;; pop fs;; pop es;; pop ds
    popad
    add esp, 8
    iretd
    double:
    ${mark(0xdf)}
    over:
    xor eax, eax
    mov dr7, eax
    mov ax, ${selectors.data}
    mov ds, ax;; mov ss, ax;; mov es, ax
    mov esp, ${MONITOR_STACK}
    push 2;; popfd
    mov eax, ${CR0_PLAIN};; mov cr0, eax
    ${digest("e")}
    jmp next
    end: ${goodbye}`;
}

const GENERAL = [
  "r15",
  "r14",
  "r13",
  "r12",
  "r11",
  "r10",
  "r9",
  "r8",
  "rdi",
  "rsi",
  "rbp",
  "rbx",
  "rdx",
  "rcx",
  "rax",
];

function long(): string {
  const own = `mov eax, ${MONITOR_TABLES};; mov cr3, rax;; mov eax, 0x620;; mov cr4, rax`;
  return `
    main:
    mov dword ptr [${CURRENT}], ${CASES}
    ${prepare("r", `${own};; mov eax, 0x80000033;; mov cr0, rax`)}
    ${["ss", "rsp", "flags", "cs", "rip"].map((n) => `mov eax, [${ENTRY + field[n as "ss"]}];; ${n === "rsp" ? "movsxd rax, eax;; " : ""}push rax`).join("\n")}
    mov eax, [${ENTRY + field.dr7}]
    mov dr7, rax
    ${["es", "ds", "fs", "gs"].map((s) => `mov ${s}, word ptr [${ENTRY + field[s as "es"]}]`).join("\n")}
    ${["rdi", "rsi", "rbp", "rbx", "rdx", "rcx", "rax"].map((n) => `mov e${n.slice(1)}, [${ENTRY + field[n as "rdi"]}]`).join("\n")}
    ${["rdi", "rsi", "rbp", "rbx", "rdx", "rcx", "rax"].map((n) => `movsxd ${n}, e${n.slice(1)}`).join("\n")}
    ${[8, 9, 10, 11, 12, 13, 14, 15].map((n) => `mov r${n}d, ${n * 0x0101_0101}`).join("\n")}
    iretq
    ${stubs("r")}
    event:
    ${[...GENERAL]
      .reverse()
      .map((n) => `push ${n}`)
      .join("\n")}
    ${["ds", "es"].map((s) => `mov eax, ${s};; push rax`).join("\n")}
    push fs;; push gs
    mov ax, ${selectors.data}
    mov ds, ax;; mov es, ax
    mov rax, cr3
    mov ebx, ${MONITOR_TABLES}
    mov rcx, cr4
    mov cr3, rbx
    mov ebx, 0x620
    mov cr4, rbx
    mov [${EXTRA + 32}], rax
    mov [${EXTRA + 40}], rcx
    ${mark(0xe1)}
    mov rsi, rsp
    ${send(8 * (4 + 15 + 2 + 5))}
    ${[
      ["dr6", 0],
      ["dr7", 8],
      ["cr2", 16],
      ["cr0", 24],
    ]
      .map(([name, to]) => `mov rax, ${name};; mov [${EXTRA + (to as number)}], rax`)
      .join("\n")}
    xor eax, eax
    sldt ax;; mov [${EXTRA + 48}], eax
    str ax;; mov [${EXTRA + 52}], eax
    mov [${EXTRA + 56}], rsp
    mov esi, ${EXTRA}
    ${send(64)}
    mov eax, [rsp+${8 * 19}]
    cmp eax, 1
    je again
    cmp eax, 3
    jne over
    again:
    dec dword ptr [${EVENTS}]
    jz over
    mov rax, [${EXTRA + 40}]
    mov cr4, rax
    mov rax, [${EXTRA + 32}]
    mov cr3, rax
    pop gs;; pop fs
    pop rax;; mov es, ax;; pop rax;; mov ds, ax
    ${GENERAL.map((n) => `pop ${n}`).join("\n")}
    add rsp, 16
    iretq
    over:
    xor eax, eax
    mov dr7, rax
    mov ax, ${selectors.data}
    mov ds, ax;; mov ss, ax;; mov es, ax
    mov rsp, ${MONITOR_STACK}
    push 2;; popfq
    ${digest("r")}
    jmp next
    end: ${goodbye}`;
}

/** 32-bit code: the ROM to RAM, and into the mode. */
function start(mode: Mode, main: number): string {
  return `
    mov ax, ${selectors.data}
    mov ds, ax;; mov es, ax;; mov ss, ax
    mov esp, ${MONITOR_STACK}
    cld
    mov esi, ${0x1_0000_0000 - ROM_BYTES}
    mov edi, ${COPY}
    mov ecx, ${MONITOR / 4}
    rep movsd
    mov esi, ${PAGES}
    mov edi, ${at.pagesStart}
    mov ecx, ${(at.pagesEnd - at.pagesStart) / 4}
    rep movsd
    lgdt [${at.pointers}]
    lidt [${at.pointers + 16}]
    mov eax, 0x33;; mov cr0, eax
    ${
      mode === "long"
        ? `mov dword ptr [${MONITOR_TABLES}], ${MONITOR_TABLES + 0x1003}
           mov dword ptr [${MONITOR_TABLES + 0x1000}], ${MONITOR_TABLES + 0x2003}
           mov dword ptr [${MONITOR_TABLES + 0x2000}], 0x83
           mov eax, 0x620;; mov cr4, eax
           mov eax, ${MONITOR_TABLES};; mov cr3, eax
           mov ecx, 0xc0000080;; rdmsr;; or eax, 0x100;; wrmsr
           mov eax, 0x80000033;; mov cr0, eax`
        : ""
    }
    db 0xea
    dd ${main}
    dw ${selectors.code}`;
}

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
    rip: c.virtual ? 0 : at.code,
    flags: c.virtual ? 0x2_0002 : 2,
    ...(c.virtual ? real : flat),
    ...(c.virtual ? { rsp: 0xff0 } : ring === 3 ? { rsp: at.stack3 } : {}),
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
    ? assemble(`${c.code}\nint 0x40`, { bits: c.bits, origin: c.virtual ? 0 : at.code })
    : c.code;

/** The ROM, with the cases as far as they fit: how many there are is `cases.length` always, or it throws. */
export function rom(mode: Mode, cases: readonly Case[]): Uint8Array {
  const bytes = new Uint8Array(ROM_BYTES).fill(0xf4);
  const view = new DataView(bytes.buffer);
  const bits = mode === "long" ? 64 : 32;
  const body = assembleWithLabels(mode === "long" ? long() : legacy(), { bits, origin: MONITOR + 0x1000 });
  const address = (name: string) => Number(body.labels.get(name));
  bytes.set(body.bytes, MONITOR + 0x1000);
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
