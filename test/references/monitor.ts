// The program that lives through cases, the same on every machine: the tables and pages of a case are made anew, its
// words are put into them, its registers are loaded, IRET goes to its code, and whatever exception or interrupt follows
// is written to port E9 with the registers, the frame that was pushed, control and debug registers, MSRs, FSW and MXCSR.
// At the case's end a digest of every page that it may have changed follows. Two machines are compared value by value.
//
// It knows no instruction of a case and no expected result. One text serves legacy mode (which has tasks, virtual-8086
// and real mode; real.ts) and long mode. A case ends by `int 0x40`, by any exception but #DB and #BP, or when it has used
// up its events.

import {
  CASES, COPY, CR0_PLAIN, CR4_PLAIN, CURRENT, DIGEST_BYTES, EFER, ENTRY, EVENTS, EXTRA, EXTRAS, extraBytes, FIELDS, type Field, field,
  GENERAL, MONITOR, MONITOR_STACK, MONITOR_TABLES, type Mode, MSRS, mark, REAL_CODE, REAL_CODE_BYTES, REAL_CODE_ROM, ROM_BYTES,
  STACKED, stackedBytes, TOLD, VECTORS, WIDTH,
} from "./layout.js"; // biome-ignore format: a list
import { fromReal, toReal } from "./real.js";
import { at, selectors } from "./tables.js";

const HAS_ERROR = new Set([8, 10, 11, 12, 13, 14, 17, 21, 29, 30]);
const VM = 0x2_0000;
const PKE = 0x40_0000;
const DR6_CLEAR = 0xffff_0ff0;

const say = (byte: number) => `mov al, ${byte};; out 0xe9, al`;
/** ECX bytes from ESI in the stack's segment, which may be the case's. */
const send = (count: number) => `mov dx, 0xe9;; mov ecx, ${count};; db 0x36;; rep outsb`;
const PAGES = COPY;

/** The registers' names in a mode's own width, and what else differs. */
function widthOf(mode: Mode) {
  const r = mode === "long" ? "r" : "e";
  const own = (name: string) => (mode === "long" || !name.startsWith("r") ? name : `e${name.slice(1)}`);
  const plain =
    mode === "long"
      ? `mov edx, ${MONITOR_TABLES};; mov cr3, rdx;; mov edx, ${CR0_PLAIN.long};; mov cr0, rdx;; mov edx, ${CR4_PLAIN.long};; mov cr4, rdx`
      : `mov edx, ${CR0_PLAIN.legacy};; mov cr0, edx;; mov edx, ${CR4_PLAIN.legacy};; mov cr4, edx`;
  return { mode, r, own, bytes: WIDTH[mode], general: GENERAL[mode].map(own), plain };
}
type Width = ReturnType<typeof widthOf>;

const digest = ({ r }: Width) => `
  ${say(mark.digest)}
  ${at.digested
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

/** By ACPI-less ways out of QEMU and Bochs, else for ever. */
const goodbye = `
  ${say(mark.end)}
  mov dx, 0x8900
  ${[..."Shutdown"].map((c) => `mov al, ${c.charCodeAt(0)};; out dx, al`).join("\n")}
  mov dx, 0xf4
  mov al, 0
  out dx, al
  stop: hlt
  jmp stop`;

/** The monitor's own data segments and stack. */
const flat = ({ r }: Width) => `
  mov ax, ${selectors.data}
  mov ds, ax;; mov es, ax;; mov ss, ax
  mov ${r}sp, ${MONITOR_STACK}`;

const pristine = `
  mov esi, ${PAGES}
  mov edi, ${at.pagesStart}
  mov ecx, ${(at.pagesEnd - at.pagesStart) / 4}
  rep movsd
  lgdt [${at.pointers}]
  lidt [${at.pointers + 16}]`;

/** From one case to the next: everything that is the same however it is entered. EBX: the case. */
const prepare = (w: Width) => `
  next:
    ${w.plain}
    ${flat(w)}
    push 2;; popf${w.mode === "long" ? "q" : "d"}
    xor eax, eax
    mov fs, ax;; mov gs, ax
    mov dr7, ${w.r}ax
    mov cr2, ${w.r}ax
    ${pristine}
    mov ebx, [${CURRENT}]
    mov eax, [${w.r}bx]
    test eax, eax
    jz end
    add eax, ebx
    mov [${CURRENT}], eax
    ${say(mark.case)}
    mov ecx, [${w.r}bx+4]
    lea ${w.r}si, [${w.r}bx+${4 * FIELDS.length}]
    test ecx, ecx;; jz written
    words: mov edi, [${w.r}si]
    mov eax, [${w.r}si+4]
    mov [${w.r}di], eax
    add ${w.r}si, 8
    dec ecx
    jnz words
    written:
    mov ${w.r}si, ${w.r}bx
    mov edi, ${ENTRY}
    mov ecx, ${FIELDS.length}
    rep movsd
    mov eax, [${ENTRY + field.events}]
    mov [${EVENTS}], eax
    fninit
    mov dword ptr [${EXTRA}], 0x1f80
    ldmxcsr [${EXTRA}]
    db 0x0f, 0x57, 0xc0, 0x0f, 0x57, 0xc9
    ltr word ptr [${ENTRY + field.tr}]
    lldt word ptr [${ENTRY + field.ldtr}]
    ${Object.values(MSRS)
      .map(({ number, high, low }) => `mov ecx, ${number};; mov eax, ${low};; mov edx, ${high};; wrmsr`)
      .join("\n")}
    mov ecx, ${EFER};; mov eax, [${ENTRY + field.efer}];; xor edx, edx;; wrmsr
    ${[0, 1, 2, 3].map((i) => `mov eax, [${ENTRY + field.dr0 + 4 * i}];; mov dr${i}, ${w.r}ax`).join("\n")}
    mov eax, ${DR6_CLEAR}
    mov dr6, ${w.r}ax
    mov eax, [${ENTRY + field.cr4}]
    mov cr4, ${w.r}ax
    test eax, ${PKE}
    jz unkeyed
    mov eax, [${ENTRY + field.pkru}];; xor ecx, ecx;; xor edx, edx;; wrpkru
    unkeyed:
    mov eax, [${ENTRY + field.cr3}]
    mov cr3, ${w.r}ax
    mov eax, [${ENTRY + field.cr0}]
    mov cr0, ${w.r}ax`;

/** A field into a register, whatever DS is. */
const load = (name: Field, register: string) => `mov ${register}, cs:[${ENTRY + field[name]}]`;

/** What a case starts with but for CS, RIP, flags and, where the return loads them, SS and RSP. */
function registers(w: Width): string {
  const dataSegments = ["es", "ds", "fs", "gs"] as const;
  const general = ["rdi", "rsi", "rbp", "rbx", "rdx", "rcx", "rax"] as const;
  const low = (name: string) => `e${name.slice(1)}`;
  return [
    `${load("dr7", "eax")};; mov dr7, ${w.r}ax`,
    ...dataSegments.map((s) => `${load(s, "eax")};; mov ${s}, ax`),
    ...general.map((name) => load(name, low(name))),
    ...(w.mode === "long" ? general.map((name) => `movsxd ${name}, ${low(name)}`) : []),
    ...(w.mode === "long" ? [8, 9, 10, 11, 12, 13, 14, 15].map((n) => `mov r${n}d, ${n * 0x0101_0101}`) : []),
  ].join("\n");
}

const pushed = (names: readonly Field[]) =>
  names.map((name) => `push dword ptr [${ENTRY + field[name]}]`).join("\n");

/** In long mode IRET loads SS and RSP always, in legacy mode where it goes outward. */
const enter = (w: Width) =>
  w.mode === "long"
    ? `${["ss", "rsp", "flags", "cs", "rip"].map((n) => `movsxd rax, dword ptr [${ENTRY + field[n as "ss"]}];; push rax`).join("\n")}
    ${registers(w)}
    iretq`
    : `cmp dword ptr [${ENTRY + field.real}], 0
    jne real
    test dword ptr [${ENTRY + field.flags}], ${VM}
    jnz outward
    test byte ptr [${ENTRY + field.cs}], 3
    jnz outward
    mov ss, word ptr [${ENTRY + field.ss}]
    mov esp, [${ENTRY + field.rsp}]
    ${pushed(["flags", "cs", "rip"])}
    ${registers(w)}
    iretd
    outward:
    ${pushed(["gs", "fs", "ds", "es", "ss", "rsp", "flags", "cs", "rip"])}
    test dword ptr [${ENTRY + field.flags}], ${VM}
    jz plain
    ${["es", "ds", "fs", "gs"].map((s) => `mov word ptr [${ENTRY + field[s as "es"]}], 0`).join("\n")}
    plain:
    ${registers(w)}
    iretd
    ${toReal}`;

const stubs = (w: Width) =>
  Array.from({ length: VECTORS }, (_, v) => v)
    .filter((v) => v !== 8 || w.mode === "long")
    .map((v) => `vector${v}: ${HAS_ERROR.has(v) ? "" : "push 0x55;; "}push ${v};; jmp event`)
    .join("\n");

const place = (w: Width, extra: (typeof EXTRAS)[number]) => EXTRA + w.bytes * EXTRAS.indexOf(extra);
const onStack = (w: Width, name: string) => w.bytes * (STACKED[w.mode] as readonly string[]).indexOf(name);

/** Control registers to EAX, EBX, ECX, then the monitor's own, under which the rest is read and told. */
const tell = (w: Width) => `
    told: cld
    ${w.plain}
    ${(["cr0", "cr3", "cr4"] as const).map((name, i) => `mov [${place(w, name)}], ${w.r}${"abc"[i]}x`).join("\n")}
    ${say(mark.event)}
    mov ${w.r}si, ${w.r}sp
    ${send(stackedBytes(w.mode))}
    ${(["dr6", "dr7", "cr2"] as const).map((name) => `mov ${w.r}ax, ${name};; mov [${place(w, name)}], ${w.r}ax`).join("\n")}
    mov [${place(w, "handler_rsp")}], ${w.r}sp
    xor eax, eax
    mov edi, ${place(w, "fsw")};; mov [${w.r}di+4], eax
    sldt ax;; mov [${place(w, "ldtr")}], ${w.r}ax
    str ax;; mov [${place(w, "tr")}], ${w.r}ax
    fnstsw ax;; mov [${place(w, "fsw")}], ${w.r}ax
    mov [${place(w, "mxcsr")}], ${w.r}ax
    stmxcsr [${place(w, "mxcsr")}]
    ${TOLD.map(
      ({ number }, i) => `mov ecx, ${number};; rdmsr
    mov [${EXTRA + w.bytes * EXTRAS.length + 8 * i}], eax;; mov [${EXTRA + w.bytes * EXTRAS.length + 8 * i + 4}], edx`,
    ).join("\n")}
    mov esi, ${EXTRA}
    ${send(extraBytes(w.mode))}
    mov eax, [${w.r}sp+${onStack(w, "vector")}]
    cmp eax, 1
    je again
    cmp eax, 3
    jne over
    again:
    dec dword ptr [${EVENTS}]
    jz over`;

/** Back into the case: only DS, general and control registers are the monitor's. */
const goOn = (w: Width) => `
    ${(["cr4", "cr3", "cr0"] as const).map((name) => `mov ${w.r}ax, [${place(w, name)}];; mov ${name}, ${w.r}ax`).join("\n")}
    add ${w.r}sp, ${3 * w.bytes}
    pop ${w.r}ax;; mov ds, ax
    ${w.general.map((name) => `pop ${name}`).join("\n")}
    add ${w.r}sp, ${2 * w.bytes}
    iret${w.mode === "long" ? "q" : "d"}`;

function text(w: Width): string {
  return `
    main:
    mov dword ptr [${CURRENT}], ${CASES}
    ${prepare(w)}
    ${enter(w)}
    ${stubs(w)}
    event:
    ${[...w.general].reverse().map((name) => `push ${name}`).join("\n")}
    ${["ds", "es", "fs", "gs"].map((s) => `mov eax, ${s};; push ${w.r}ax`).join("\n")}
    mov ax, ${selectors.data}
    mov ds, ax
    mov ${w.r}ax, cr0;; mov ${w.r}bx, cr3;; mov ${w.r}cx, cr4
    ${tell(w)}
    ${w.mode === "legacy" ? `cmp dword ptr [${ENTRY + field.real}], 0;; jne realAgain` : ""}
    ${goOn(w)}
    ${w.mode === "legacy" ? fromReal : ""}
    double:
    mov ax, ${selectors.data};; mov ds, ax;; mov ss, ax
    ${say(mark.double)}
    over:
    xor eax, eax
    mov dr7, ${w.r}ax
    ${w.plain}
    ${flat(w)}
    cld
    ${digest(w)}
    jmp next
    end: ${goodbye}`; // biome-ignore format: one idea a line
}

export const monitor = (mode: Mode): string => text(widthOf(mode));

/** 32-bit code behind the reset vector: the ROM to RAM, and into the mode. */
export function start(mode: Mode, main: number): string {
  const long = `
    mov dword ptr [${MONITOR_TABLES}], ${MONITOR_TABLES + 0x1003}
    mov dword ptr [${MONITOR_TABLES + 0x1000}], ${MONITOR_TABLES + 0x2003}
    mov dword ptr [${MONITOR_TABLES + 0x2000}], 0x83
    mov eax, ${CR4_PLAIN.long};; mov cr4, eax
    mov eax, ${MONITOR_TABLES};; mov cr3, eax
    mov ecx, ${EFER};; rdmsr;; or eax, 0x100;; wrmsr`;
  return `
    ${flat(widthOf("legacy"))}
    cld
    mov esi, ${0x1_0000_0000 - ROM_BYTES}
    mov edi, ${COPY}
    mov ecx, ${MONITOR / 4}
    rep movsd
    mov esi, ${REAL_CODE_ROM}
    mov edi, ${REAL_CODE}
    mov ecx, ${REAL_CODE_BYTES / 4}
    rep movsd
    ${pristine}
    ${mode === "long" ? long : ""}
    mov eax, ${CR0_PLAIN[mode]};; mov cr0, eax
    db 0xea
    dd ${main}
    dw ${selectors.code}`;
}
